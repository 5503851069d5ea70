"""The adaptors that ship, as installed: CAN by DBC, replay and record, simulation."""
import json
import socket
import struct
import subprocess
import time

import pytest

from axsignald import wait_for

BUS = """
BO_ 256 Drive: 8 ECU
 SG_ Speed : 0|16@1+ (0.01,0) [0|0] "km/h" GW
 SG_ Gear : 16|3@1+ (1,0) [0|0] "" GW
BO_ 257 Cabin: 8 ECU
 SG_ Which M : 0|8@1+ (1,0) [0|0] "" GW
 SG_ Ambient m0 : 15|16@0- (0.1,-40) [0|0] "C" GW
 SG_ FanNow m1 : 8|8@1+ (1,0) [0|100] "" GW
BO_ 512 Wish: 8 GW
 SG_ FanWish : 0|8@1+ (0.5,0) [0|100] "%" ECU
 SG_ Alive : 8|8@1+ (1,0) [0|0] "" ECU
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;
BA_DEF_ SG_ "GenSigStartValue" INT 0 255;
BA_ "GenMsgCycleTime" BO_ 256 50;
BA_ "GenSigStartValue" SG_ 512 Alive 165;
VAL_ 256 Gear 1 "PARK" 2 "REVERSE" 4 "DRIVE" 7 "SNA" ;
"""

MAPPING = {"Vehicle": {"type": "branch", "children": {
    "Speed": {"type": "sensor", "datatype": "float", "dbc2vss": {"signal": "Speed", "interval_ms": 0}},
    "Powertrain": {"type": "branch", "children": {"Transmission": {"type": "branch", "children": {
        "CurrentGear": {"type": "sensor", "datatype": "int8", "dbc2vss": {
            "signal": "Gear", "on_change": True,
            "transform": {"mapping": [{"from": "PARK", "to": 0}, {"from": "REVERSE", "to": -1}, {"from": "DRIVE", "to": 1}]}}}}}}},
    "Cabin": {"type": "branch", "children": {"HVAC": {"type": "branch", "children": {
        "AmbientAirTemperature": {"type": "sensor", "datatype": "float", "dbc2vss": {"signal": "Ambient", "interval_ms": 0}},
        "FanSpeed": {"type": "actuator", "datatype": "uint8", "dbc2vss": {"signal": "FanNow", "interval_ms": 0},
                     "vss2dbc": {"signal": "FanWish", "transform": {"math": "x/2"}}}}}}},
}}}


@pytest.fixture
def bus(folder):
    """The files of a CAN bus."""
    (folder / "bus.dbc").write_text(BUS)
    (folder / "map.json").write_text(json.dumps(MAPPING))
    return ["--dbc", folder / "bus.dbc", "--mapping", folder / "map.json"]


def value(signals, path):
    try:
        return signals.read(path).rstrip("\n")
    except OSError:
        return None


def test_frames_from_a_pipe_become_values(signals, spawn, bus):
    can = spawn("axsignal-can", *bus, "--candump", "-", "--cycles-missed", 0, stdin=subprocess.PIPE)

    def send(*lines):
        can.stdin.write("".join(line + "\n" for line in lines).encode())
        can.stdin.flush()

    send("can0 100#9222040000000000", "not a frame", "(1.5) can0 101#000267", "can0  101   [2]  01 2A")
    wait_for("speed", lambda: value(signals, "Vehicle/Speed") == "88.5")
    wait_for("gear by its name", lambda: value(signals, "Vehicle/Powertrain/Transmission/CurrentGear") == "1")
    wait_for("motorola, signed, multiplexed", lambda: value(signals, "Vehicle/Cabin/HVAC/AmbientAirTemperature") == "21.5")
    wait_for("the other multiplexed", lambda: value(signals, "Vehicle/Cabin/HVAC/FanSpeed") == "42")
    send("can0 100#9222070000000000")
    wait_for("not available", lambda: value(signals, "Vehicle/Powertrain/Transmission/CurrentGear") is None)
    assert value(signals, "Vehicle/Speed") == "88.5"
    can.stdin.close()
    wait_for("its end ends its signals", lambda: value(signals, "Vehicle/Speed") is None)
    assert can.wait(10) == 0
    assert b"1 lines could not be read" in can.stderr.read()


def test_missed_cycles_make_a_signal_unavailable(signals, spawn, bus):
    can = spawn("axsignal-can", *bus, "--candump", "-", stdin=subprocess.PIPE)
    can.stdin.write(b"can0 100#9222010000000000\ncan0 101#000267\n")
    can.stdin.flush()
    wait_for("speed", lambda: value(signals, "Vehicle/Speed") == "88.5")
    begun = time.monotonic()
    wait_for("three cycles of 50 ms without a frame", lambda: value(signals, "Vehicle/Speed") is None)
    assert time.monotonic() - begun < 2
    assert value(signals, "Vehicle/Cabin/HVAC/AmbientAirTemperature") == "21.5"  # its message has no cycle
    can.stdin.write(b"can0 100#1027010000000000\n")
    can.stdin.flush()
    wait_for("a frame brings it back", lambda: value(signals, "Vehicle/Speed") == "100")


def test_actuations_become_frames(signals, spawn, bus, module, folder):
    sent = folder / "sent.log"
    spawn("axsignal-can", *bus, "--candump", "-", "--out", sent, stdin=subprocess.PIPE)
    with module.Signals(signals.socket) as line:
        wait_for("it is provided", lambda: "axsignal-can" in line.request("who Vehicle.Cabin.HVAC.FanSpeed")[0])
        line.actuate("Vehicle.Cabin.HVAC.FanSpeed", 80)
        line.actuate("Vehicle.Cabin.HVAC.FanSpeed", 3)
    frames = [text.split()[2] for text in sent.read_text().splitlines()]
    assert frames == ["200#50A5000000000000", "200#03A5000000000000"]  # the start value of Alive beside it


def test_a_candump_log_is_replayed_at_its_pace(signals, spawn, bus, folder, module):
    log = folder / "drive.log"
    log.write_text("".join(f"(1700000000.{tenth}00000) can0 100#{(tenth * 100).to_bytes(2, 'little').hex()}01\n"
                           for tenth in range(10)))
    seen = []
    with module.Signals(signals.socket) as line:
        line.subscribe("Vehicle.Speed", lambda update: seen.append((time.monotonic(), update.value)))
        line.run(0.05)
        can = spawn("axsignal-can", *bus, "--candump", log, "--speed", 2, "--seek", 0.4, "--cycles-missed", 0,
                    "--record", folder / "again.log")
        while can.poll() is None:
            line.dispatch(0.01)
        line.run(0.1)
    assert can.returncode == 0
    assert [text for _, text in seen] == ["4", "5", "6", "7", "8", "9", None]
    assert 0.2 < seen[5][0] - seen[0][0] < 0.6  # half a second of the log at twice its speed
    assert len((folder / "again.log").read_text().splitlines()) == 6


def test_a_broken_file_names_its_line(stage, bus, folder):
    (folder / "bus.dbc").write_text(BUS.replace("0|16@1+", "0|99@1+"))
    done = subprocess.run([stage.program("axsignal-can"), *map(str, bus), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bus.dbc: line 3: expected a whole number within range, found \"99\"" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_can_in_the_kernel_the_interface_is_named(stage, bus):
    done = subprocess.run([stage.program("axsignal-can"), *map(str, bus), "--can", "nocan0"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert "CAN interface nocan0: " in done.stderr


def test_what_was_recorded_is_replayed(signals, spawn, folder):
    record = folder / "drive.csv"
    recorder = spawn("axsignal-record", "Vehicle.Speed@all", "Vehicle.Infotainment.**", "--out", record)
    assert recorder.wait(10) == 1  # a pattern that names nothing is told, not waited for
    assert b"Vehicle.Infotainment.**" in recorder.stderr.read()
    recorder = spawn("axsignal-record", "Vehicle.Speed@all", "Vehicle.Cabin.Infotainment.Media.Title", "--out", record)
    wait_for("it records", lambda: record.exists() and record.read_text().startswith("time,path,value\n"))
    time.sleep(0.1)
    for number in range(5):
        signals.write("Vehicle/Speed", str(number))
    signals.write("Vehicle/Cabin/Infotainment/Media/Title", 'Say "a, b"')
    wait_for("all is recorded", lambda: len(record.read_text().splitlines()) == 7)
    recorder.terminate()
    assert recorder.wait(10) == 0
    lines = record.read_text().splitlines()
    assert lines[6].endswith(',Vehicle.Cabin.Infotainment.Media.Title,"Say ""a, b"""')

    signals.write("Vehicle/Speed", "99")
    replay = spawn("axsignal-replay", record, "--speed", "max", "--stay")
    wait_for("the last values are back", lambda: value(signals, "Vehicle/Speed") == "4")
    wait_for("texts, too", lambda: value(signals, "Vehicle/Cabin/Infotainment/Media/Title") == 'Say "a, b"')
    replay.terminate()
    assert replay.wait(10) == 0
    wait_for("its signals end with it", lambda: value(signals, "Vehicle/Speed") is None)
    (folder / "bad.csv").write_text("time,path,value\n1,Vehicle.Speed,5\nx,Vehicle.Speed,6\n")
    bad = spawn("axsignal-replay", folder / "bad.csv")
    assert bad.wait(10) == 1
    assert b"bad.csv: line 3: \"x\": expected seconds" in bad.stderr.read()


SIMULATION = """
interval = 0.02
[[signal]]
path = "Vehicle.Speed"
kind = "ramp"
to = 100
period = 1
decimals = 0
[[signal]]
path = "Vehicle.IsMoving"
kind = "constant"
value = true
dropout = { every = 0.5, for = 0.25 }
[[actuator]]
path = "Vehicle.Cabin.HVAC.FanSpeed"
initial = 0
rate = 200
decimals = 0
[[actuator]]
path = "Vehicle.Body.Windshield.WiperMode"
answer = "error"
text = "the wiper is frozen"
after = 0.1
"""


def test_a_simulation_drives_signals_and_answers_actuations(signals, spawn, module, folder):
    (folder / "town.toml").write_text(SIMULATION)
    seen = {}
    with module.Signals(signals.socket) as line:
        line.subscribe("Vehicle.**", lambda update: seen.setdefault(update.path, []).append(update.value))
        line.run(0.05)
        sim = spawn("axsignal-sim", folder / "town.toml")
        wait_for("the fan is provided", lambda: line.get("Vehicle.Cabin.HVAC.FanSpeed") == "0")
        line.actuate("Vehicle.Cabin.HVAC.FanSpeed", 40)
        with pytest.raises(module.SignalError) as caught:
            line.actuate("Vehicle.Body.Windshield.WiperMode", line.meta("Vehicle.Body.Windshield.WiperMode")["allowed"][0])
        assert str(caught.value) == "the wiper is frozen (failed)"
        line.run(1.0)
    fan = [int(text) for text in seen["Vehicle.Cabin.HVAC.FanSpeed"]]
    assert fan[0] == 0 and fan[-1] == 40 and fan == sorted(fan) and len(fan) > 5  # on its way, step by step
    speed = [int(text) for text in seen["Vehicle.Speed"]]
    assert len(speed) > 20 and max(speed) > 80 and min(speed) < 20
    moving = seen["Vehicle.IsMoving"]
    assert None in moving and "true" in moving[moving.index(None):]  # it drops out and comes back
    assert sim.poll() is None


def test_an_adaptor_that_dies_hurts_nobody(signals, spawn, folder):
    (folder / "town.toml").write_text(SIMULATION)
    sim = spawn("axsignal-sim", folder / "town.toml")
    wait_for("it drives", lambda: value(signals, "Vehicle/Speed"))
    sim.kill()
    wait_for("its signals are unavailable", lambda: value(signals, "Vehicle/Speed") is None)
    spawn("axsignal-sim", folder / "town.toml")
    wait_for("the next takes over", lambda: value(signals, "Vehicle/Speed"))


@pytest.mark.machine_only
def test_socketcan(signals, spawn, bus, module):
    """A CAN interface, both ways: a frame becomes a value, an actuation becomes a frame."""
    subprocess.run("ip link add axcan type vcan && ip link set axcan up", shell=True, check=True)
    try:
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as peer, module.Signals(signals.socket) as line:
            peer.bind(("axcan",))
            peer.settimeout(30)
            spawn("axsignal-can", *bus, "--can", "axcan", "--cycles-missed", 0)

            def received():
                peer.send(struct.pack("=IB3x8s", 256, 8, (5000).to_bytes(2, "little")))
                return value(signals, "Vehicle/Speed") == "50"
            wait_for("a frame is a value", received, 30)
            wait_for("it is provided", lambda: "axsignal-can" in line.request("who Vehicle.Cabin.HVAC.FanSpeed")[0], 30)
            line.actuate("Vehicle.Cabin.HVAC.FanSpeed", 80)
            identity, length, data = struct.unpack("=IB3x8s", peer.recv(16))
            assert (identity, length, data.hex()) == (512, 8, "50a5000000000000")
    finally:
        subprocess.run(["ip", "link", "del", "axcan"], check=False)
