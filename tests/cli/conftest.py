"""A terminal for the command line, and what its tests share."""
import time

import pytest

from terminal import Terminal


@pytest.fixture
def make_terminal(node):
    terminals = []
    node.start()

    def make(*words, env=None, **options):
        terminals.append(Terminal(node.command(*words), {**node.environ(), **(env or {})}, **options))
        return terminals[-1]
    yield make
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def image(node, registry):
    """A reference to busybox, pulled."""
    reference = registry.image("busybox:latest")
    node.axle("pull", "-q", reference)
    return reference


@pytest.fixture
def run_detached(node, image):
    """run_detached("sleep", "100", name="web"): the container's id."""
    def run(*command, options=()):
        return node.axle("run", "-d", *options, image, *command)
    return run


@pytest.fixture
def wait_until():
    def wait(condition, seconds=10):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to be"
            time.sleep(0.02)
    return wait
