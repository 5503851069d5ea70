"""Fixtures: axsignald with the demonstration catalogue."""
import os
import pathlib
import subprocess
import sys

import pytest

from axsignald import Axsignald, vss
from view_container import POLICY, SPEED, Container


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


@pytest.fixture
def guarded(make_signals):
    service = make_signals(config=POLICY).start()
    service.write(SPEED, "88.5")
    service.write("Vehicle/TraveledDistance", "1000")
    return service


@pytest.fixture
def containers(stage, folder, tag):
    made = []

    def make(service, annotations, runtime=None, start=True, **options):
        runtime = runtime or [stage.program("axrun")]
        made.append(Container(runtime, folder, f"{tag}c{len(made)}", service, annotations, **options))
        return made[-1].start() if start else made[-1]

    yield make
    for container in made:
        container.remove()


@pytest.fixture
def module(stage):
    sys.path.insert(0, os.path.join(stage.path, "share/axle/python"))
    try:
        import axle_signal
        yield axle_signal
    finally:
        sys.path.pop(0)


@pytest.fixture
def spawn(stage, signals):
    """spawn(PROGRAM, ARGUMENT...): an adaptor beside the service, ended at the end."""
    processes = []

    def spawn(program, *arguments, **more):
        environment = {**os.environ, "AXLE_SIGNAL_SOCKET": signals.socket}
        processes.append(subprocess.Popen([stage.program(program), *map(str, arguments)], env=environment,
                                          stderr=subprocess.PIPE, **more))
        return processes[-1]

    yield spawn
    for process in processes:
        if process.poll() is None:
            process.terminate()
        process.wait(10)
        process.stderr.close()
