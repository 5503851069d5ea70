"""What the adaptors that ship can be told: CAN FD, raw values that mean an error, where a record begins and how often it goes round,
courses and faults of a simulation."""
import json
import os
import subprocess
import time

import pytest

from axsignald import wait_for

SPEED = "Vehicle.Speed"
BUS = """
BO_ 300 Large: 64 ECU
 SG_ Far : 480|16@1+ (0.1,0) [0|0] "km/h" GW
 SG_ Motorola : 391|16@0- (1,0) [0|0] "" GW
BO_ 301 States: 8 ECU
 SG_ Gear : 0|3@1+ (1,0) [0|0] "" GW
 SG_ Temperature : 8|8@1+ (1,-40) [0|0] "C" GW
 SG_ Charge : 16|8@1+ (0.5,0) [0|0] "%" GW
BO_ 2566844672 Extended: 8 ECU
 SG_ Heading : 0|16@1+ (0.01,0) [0|0] "" GW
VAL_ 301 Gear 0 "PARK" 6 "Error indicator" 7 "SNA" ;
"""


# names with dots stand for branches
MAPPING = {"Vehicle": {"type": "branch", "children": {path: {"type": "sensor", "dbc2vss": keys} for path, keys in {
    "Speed": {"signal": "Far", "interval_ms": 0},
    "CurrentLocation.Longitude": {"signal": "Motorola", "interval_ms": 0, "transform": {"math": "x/100"}},
    "CurrentLocation.Heading": {"signal": "Heading", "interval_ms": 0},
    "Powertrain.Transmission.CurrentGear": {"signal": "Gear", "on_change": True},
    "Powertrain.TractionBattery.StateOfCharge": {"signal": "Charge", "interval_ms": 0},
    "Cabin.HVAC.AmbientAirTemperature": {"signal": "Temperature", "interval_ms": 0, "unavailable": [255]},
}.items()}}}


@pytest.fixture
def can(spawn, folder):
    """can(OPTION...): the adaptor on a pipe; what it returns sends lines there."""
    (folder / "bus.dbc").write_text(BUS)
    (folder / "map.json").write_text(json.dumps(MAPPING))

    def start(*options):
        process = spawn("axsignal-can", "--dbc", folder / "bus.dbc", "--mapping", folder / "map.json", "--candump", "-",
                        "--cycles-missed", 0, *options, stdin=subprocess.PIPE)

        def send(*lines):
            process.stdin.write("".join(line + "\n" for line in lines).encode())
            process.stdin.flush()

        return send

    yield start


def value(signals, path):
    try:
        return signals.read(path.replace(".", "/")).rstrip("\n")
    except OSError:
        return None


def test_can_fd(signals, can):
    send = can()
    data = bytearray(64)
    data[60:62] = (885).to_bytes(2, "little")
    data[48:50] = (-1234 & 0xFFFF).to_bytes(2, "big")
    send(f"can0 12C##1{data.hex()}")
    wait_for("a signal behind the 60th byte", lambda: value(signals, SPEED) == "88.5")
    wait_for("the other byte order", lambda: value(signals, "Vehicle.CurrentLocation.Longitude") == "-12.34")
    send("can0 18FEF100#102700000000FFFF")
    wait_for("29 bits of an id", lambda: value(signals, "Vehicle.CurrentLocation.Heading") == "100")


def test_raw_values_that_mean_an_error(signals, can):
    gear, outside = "Vehicle.Powertrain.Transmission.CurrentGear", "Vehicle.Cabin.HVAC.AmbientAirTemperature"
    send = can()
    send("can0 12D#003C000000000000")
    wait_for("good values", lambda: (value(signals, gear), value(signals, outside)) == ("0", "20"))
    send("can0 12D#063C000000000000")
    wait_for("an error by its name", lambda: value(signals, gear) is None)
    assert value(signals, outside) == "20"
    send("can0 12D#00FF000000000000")
    wait_for("one that the mapping names", lambda: value(signals, outside) is None and value(signals, gear) == "0")
    send("can0 12D#073C000000000000")
    wait_for("not available", lambda: value(signals, gear) is None)


def test_j1939_knows_its_highest_values(signals, can):
    send = can("--j1939")
    charge = "Vehicle.Powertrain.TractionBattery.StateOfCharge"
    send("can0 12D#003C640000000000")
    wait_for("a good value", lambda: value(signals, charge) == "50")
    send("can0 12D#003CFE0000000000")
    wait_for("the error value of a byte", lambda: value(signals, charge) is None)


def test_a_value_out_of_the_catalogues_range_is_none(signals, can):
    """A raw value that the catalogue does not allow is refused by the service, and hurts nothing else."""
    send = can()
    data = bytearray(64)
    data[60:62] = (5000).to_bytes(2, "little")  # 500 km/h
    send(f"can0 12C##1{data.hex()}", "can0 12D#003C640000000000")
    wait_for("the next frame", lambda: value(signals, "Vehicle.Powertrain.TractionBattery.StateOfCharge") == "50")
    assert value(signals, SPEED) is None


# ---- replay ----

@pytest.fixture
def record(folder):
    path = folder / "drive.csv"
    path.write_text("time,path,value\n" + "".join(f"{1000 + i / 10:.1f},{SPEED},{i}\n" for i in range(10)))
    return path


def played(signals, module, spawn, *words, enough=lambda seen: False):
    """What a replay publishes, until it ends or it is enough: [(moment, value)]."""
    seen = []
    with module.Signals(signals.socket) as line:
        line.subscribe(SPEED + "@all", lambda update: seen.append((update.time_ns, update.value)), with_time=True)
        line.run(0.05)
        process = spawn("axsignal-replay", *words)
        while process.poll() is None and not enough(seen):
            line.dispatch(0.02)
        line.run(0.1)
        if process.poll() is None:
            process.terminate()
        assert process.wait(10) == 0
        line.run(0.1)
    return seen


def test_replay_seeks(signals, module, spawn, record):
    values = [text for _, text in played(signals, module, spawn, record, "--speed", "max", "--seek", "0.7")]
    assert values == ["7", "8", "9", None]


def test_replay_goes_round(signals, module, spawn, record):
    values = [text for _, text in played(signals, module, spawn, record, "--speed", 20, "--loop", enough=lambda seen: len(seen) > 25)]
    assert values[:25] == [str(i % 10) for i in range(25)]


def test_replay_keeps_the_pace_it_is_told(signals, module, spawn, record):
    def takes(speed):
        seen = played(signals, module, spawn, record, "--speed", speed)
        return seen[9][0] - seen[0][0]

    slow, fast = takes(2), takes(8)
    assert slow > 0.44e9 and slow > 2 * fast, (slow, fast)  # 0.9 s of the record


def test_replay_beside_others(signals, module, spawn, record):
    provider = os.open(signals.files / "Vehicle/Speed@provide", os.O_WRONLY)
    refused = spawn("axsignal-replay", record, "--speed", "max")
    assert refused.wait(10) == 1
    assert b"none of its signals can be provided" in refused.stderr.read()
    os.close(provider)
    values = [text for _, text in played(signals, module, spawn, record, "--speed", "max", "--shared")]
    assert values == [str(i) for i in range(10)]  # it claims nothing: the last value stays
    assert value(signals, SPEED) == "9"


def test_a_candump_log_goes_round(signals, module, spawn, folder, can):
    log = folder / "drive.log"
    log.write_text("".join(f"(1700000000.{tenth}00000) can0 12D#00{tenth + 40:02X}000000000000\n" for tenth in range(5)))
    seen = []
    with module.Signals(signals.socket) as line:
        line.subscribe("Vehicle.Cabin.HVAC.AmbientAirTemperature@all", lambda update: seen.append(update.value))
        line.run(0.05)
        (folder / "bus.dbc").write_text(BUS)
        (folder / "map.json").write_text(json.dumps(MAPPING))
        spawn("axsignal-can", "--dbc", folder / "bus.dbc", "--mapping", folder / "map.json", "--candump", log, "--speed", 20, "--loop",
              "--cycles-missed", 0)
        wait_for("it went round twice", lambda: line.dispatch(0.02) is not None and len(seen) > 12, 20)
    assert seen[:12] == [str(i % 5) for i in range(12)]


# ---- simulation ----

def simulated(signals, module, spawn, folder, text, path, count):
    """The first values of a path that a simulation gives, each with its age."""
    (folder / "sim.toml").write_text(text)
    seen = []
    with module.Signals(signals.socket) as line:
        line.subscribe(path + "@all", lambda update: seen.append((update.value, time.time_ns() - update.time_ns)), with_time=True)
        line.run(0.05)
        process = spawn("axsignal-sim", folder / "sim.toml")
        wait_for("enough values", lambda: line.dispatch(0.02) is not None and len(seen) >= count, 20)
        process.terminate()
        assert process.wait(10) == 0
    return seen[:count]


def course(kind):
    return f'interval = 0.005\n[[signal]]\npath = "{SPEED}"\n{kind}\n'


def numbers(seen):
    return [float(text) for text, _ in seen if text is not None]


def test_simulated_courses(signals, module, spawn, folder):
    sine = numbers(simulated(signals, module, spawn, folder, course('kind = "sine"\nfrom = 10\nto = 50\nperiod = 0.2'), SPEED, 60))
    assert min(sine) < 12 and max(sine) > 48 and all(10 <= x <= 50 for x in sine)
    steps = numbers(simulated(signals, module, spawn, folder, course('kind = "steps"\nvalues = [5, 7, 6]\nperiod = 0.05'), SPEED, 80))
    turns = [(x, y) for x, y in zip(steps, steps[1:]) if x != y]  # on a machine that is slow now and then one is passed over
    assert set(steps) == {5, 7, 6} and sum(turn in ((5, 7), (7, 6), (6, 5)) for turn in turns) > len(turns) / 2, steps
    back = numbers(simulated(signals, module, spawn, folder, course('kind = "ramp"\nto = 20\nperiod = 0.3\nbounce = true'), SPEED, 130))
    assert any(a > b > c > d for a, b, c, d in zip(back, back[1:], back[2:], back[3:])), back  # step by step, not at once


def test_a_random_walk_is_the_same_each_time(signals, module, spawn, folder):
    text = course('kind = "walk"\nfrom = 0\nto = 100\nstart = 50\nstep = 2\nseed = 7')
    first = numbers(simulated(signals, module, spawn, folder, text, SPEED, 40))
    again = numbers(simulated(signals, module, spawn, folder, text, SPEED, 40))
    assert all(abs(later - earlier) <= 2.0001 for earlier, later in zip(first, first[1:])) and len(set(first)) > 20
    assert first[:20] == again[:20]
    other = numbers(simulated(signals, module, spawn, folder, text.replace("seed = 7", "seed = 8"), SPEED, 40))
    assert other[:20] != first[:20]


def test_simulated_faults(signals, module, spawn, folder):
    ramp = 'kind = "ramp"\nto = 100\nperiod = 10\n'
    stuck = numbers(simulated(signals, module, spawn, folder, course(ramp + "stuck = { every = 0.15, for = 0.075 }"), SPEED, 90))
    longest = run = 0
    for earlier, later in zip(stuck, stuck[1:]):
        run = run + 1 if earlier == later else 0
        longest = max(longest, run)
    assert 3 <= longest <= 25 and len(set(stuck)) > 10
    gone = simulated(signals, module, spawn, folder, course(ramp + "dropout = { every = 0.15, for = 0.075 }"), SPEED, 60)
    assert None in [text for text, _ in gone] and len(numbers(gone)) > 10
    late = simulated(signals, module, spawn, folder, course(ramp + "delay = 0.2"), SPEED, 10)
    assert all(age > 0.15e9 for text, age in late if text), late


def test_scripted_answers(signals, module, spawn, folder):
    fan, volume, beam = "Vehicle.Cabin.HVAC.FanSpeed", "Vehicle.Cabin.Infotainment.Media.Volume", "Vehicle.Body.Lights.IsLowBeamOn"
    (folder / "answers.toml").write_text(
        f'[[actuator]]\npath = "{fan}"\nanswer = "none"\n[[actuator]]\npath = "{volume}"\nrefuse_every = 2\ntext = "not now"\n'
        f'[[actuator]]\npath = "{beam}"\nafter = 0.2\n')
    signals.config.write_text('[[rule]]\npath = "Vehicle.**"\ndeadline_ms = 600\n')
    signals.reload()
    spawn("axsignal-sim", folder / "answers.toml")
    with module.Signals(signals.socket) as line:
        wait_for("all are provided", lambda: all("axsignal-sim" in line.request(f"who {path}")[0] for path in (fan, volume, beam)))
        with pytest.raises(module.SignalError) as caught:
            line.actuate(fan, 5)
        assert caught.value.code == "timeout"
        line.actuate(volume, 5)
        with pytest.raises(module.SignalError) as caught:
            line.actuate(volume, 6)
        assert "not now" in str(caught.value)
        line.actuate(volume, 7)
        assert line.get(volume) == "7"
        number = line.request(f"set {beam} true")[0]
        assert number not in line.outcomes
        wait_for("its outcome comes later", lambda: line.dispatch(0.02) is not None and number in line.outcomes)
        assert line.outcomes[number][0] == "ok" and line.get(beam) == "true"
