"""Fixtures: axsignald with the demonstration catalogue."""
import os
import pathlib

import pytest

from axsignald import Axsignald, vss


@pytest.fixture
def demo(stage):
    return pathlib.Path(stage.path) / "share/axle/signals/demo.json"


@pytest.fixture
def make_signals(stage, folder, demo):
    made = []

    def make(catalogues=None, config=None):
        place = folder / f"s{len(made)}"
        place.mkdir()
        service = Axsignald(stage, place, catalogues or [demo], config)
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()


@pytest.fixture
def signals(make_signals):
    return make_signals().start()


@pytest.fixture
def official():
    path = vss("vss_release_6.0.json")
    if not path:
        pytest.skip("the official VSS 6.0 export is not here ($AXLE_VSS)")
    return path
