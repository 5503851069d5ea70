"""Fixtures of axrun's tests."""
import pytest

import axrun
from terminal import Terminal


@pytest.fixture
def make_bundle(leak_check, stage, folder, tag):
    """make_bundle(): a further bundle, with the same state root."""
    made = []

    def make():
        made.append(axrun.Bundle(stage, folder / f"b{len(made)}", folder / "state", f"{tag}b{len(made)}"))
        return made[-1]
    yield make
    for one in made:
        one.clean()


@pytest.fixture
def bundle(make_bundle):
    return make_bundle()


@pytest.fixture
def make_terminal():
    """make_terminal(command, env): the command on a pseudo-terminal."""
    terminals = []

    def make(command, env):
        terminals.append(Terminal([str(word) for word in command], env))
        return terminals[-1]
    yield make
    for terminal in terminals:
        terminal.close()
