"""kill -9 of the daemon, over and over, while everything it offers is in use: no call fails, nothing is lost that was not allowed to.

AXLE_SIGNAL_KILLS=1000 is what `make soak` does."""
import os
import random
import time

import pytest

import signal_load
from view_container import ALL, Container

KILLS = int(os.environ.get("AXLE_SIGNAL_KILLS", "60"))
POLICY = """
[[grant]]
namespace = "fleet"
read = ["Vehicle.**"]
publish = ["Vehicle.TraveledDistance"]
"""


@pytest.fixture
def service(make_signals):
    return make_signals(config=POLICY).start()


@pytest.fixture
def container(stage, folder, tag, service):
    one = Container([stage.program("axrun")], folder, tag, service, ALL)
    yield one.start()
    one.remove()


@pytest.fixture
def load(service):
    load = signal_load.Load(service)
    yield load
    load.abandon()


def test_a_sweep_of_kills_under_load_without_a_failed_call(service, container, load):
    service.write(signal_load.DISTANCE, "0")
    service.write(signal_load.PLACE, '{"Latitude": 0, "Longitude": 0, "Heading": 0}')
    host = service.path(signal_load.DISTANCE)
    view = container.sees(signal_load.DISTANCE)
    load.add("reader", signal_load.reads, host)
    load.add("reader in a view", signal_load.reads, view)
    load.add("writer", signal_load.writes, host)
    load.add("follower", signal_load.follows, host, os.O_NONBLOCK)
    load.add("blocked follower", signal_load.follows, host + "@all", 0)
    load.add("follower with a rate", signal_load.follows, host + "@rate=100", 0)
    load.add("follower of changes", signal_load.follows, host + "@change=10", 0, 10)
    load.add("follower in a view", signal_load.follows, view, os.O_NONBLOCK)
    load.add("multiplexed", signal_load.follows_many, str(service.files / "@stream"))
    load.add("multiplexed in a view", signal_load.follows_many, container.sees("@stream"))
    load.add("group setter", signal_load.sets_together, service.path(signal_load.PLACE))
    load.add("group reader", signal_load.sees_together, service.path(signal_load.PLACE))
    load.add("provider", signal_load.provides, service.path(signal_load.FAN))
    load.add("requester", signal_load.requests, service.path(signal_load.FAN))
    load.add("publisher on the socket", signal_load.publishes, "Vehicle.Speed")
    load.add("subscriber on the socket", signal_load.subscribes, "Vehicle.Speed")
    load.wait_until_all_work()
    begin = time.monotonic()
    for _ in range(KILLS):
        service.kill()
        service.restart()
        time.sleep(random.uniform(0, 0.02))
    took = time.monotonic() - begin
    counts = load.end()
    print(f"{KILLS} kills in {took:.0f} s, {sum(counts.values())} rounds: {counts}")
    assert all(count > KILLS / 10 for count in counts.values()), counts
