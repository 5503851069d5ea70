"""Catalogues: checked with file, line and key, laid over each other, read again while files are open."""
import errno
import json
import os
import re
import select
import subprocess
import time

import pytest

from axsignald import vss, wait_for

SPEED = "Vehicle/Speed"


def run_check(stage, *arguments):
    command = [stage.program("axsignald"), *map(str, arguments), "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


EXPORTS = [("vss_release_4.0.json", 910), ("vss_release_5.1.json", 1321), ("vss_release_6.0.json", 1263)]


@pytest.mark.parametrize("name, count", EXPORTS)
def test_official_exports(stage, name, count):
    path = vss(name)
    if not path:
        pytest.skip("the official VSS exports are not here ($AXLE_VSS)")
    result = run_check(stage, "--catalogue", path)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{count} signals, 0 rules: no errors\n", "")


def test_the_demonstration_says_what_it_is(stage, demo):
    result = run_check(stage, "--catalogue", demo)
    assert result.returncode == 0 and int(result.stdout.split()[0]) >= 30
    tree = json.loads(demo.read_text())["Vehicle"]
    assert "demonstration" in tree["description"]
    for path in ("Speed", "ADAS.ABS.IsEnabled", "Cabin.HVAC.AmbientAirTemperature"):
        node = tree
        for name in path.split("."):
            node = node["children"][name]
        assert node["datatype"]


@pytest.mark.parametrize("text, message", [
    ('{"V": {\n"type": "branch",\n"children": {"S": {"type": "sensor", "datatype": "uint9"}}}}',
     r"bad.json: line 3: V\.S\.datatype: expected a datatype of VSS .*, found \"uint9\""),
    ('{"V": {\n"type" "branch"}}', r"bad.json: line 2, column 8: expected \":\""),
])
def test_a_broken_catalogue_is_named(stage, folder, text, message):
    bad = folder / "bad.json"
    bad.write_text(text)
    result = run_check(stage, "--catalogue", bad)
    assert result.returncode == 1 and re.search(message, result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("config, message", [
    ('[[rule]]\nmode = "0640"', r"rule\[0\]\.path|path"),
    ('[[rule]]\npath = "A..B"', r"rule\[0\]\.path: expected a path or a pattern"),
    ('[[rule]]\npath = "A"\nmode = "0755"', r"rule\[0\]\.mode: expected an octal mode without x"),
    ('[[rule]]\npath = "A"\nowner = "nobody-of-that-name"', r"rule\[0\]\.owner: expected a user of this system"),
    ('[[rule]]\npath = "A"\nacl = ["user:root:x"]', r"rule\[0\]\.acl: expected user:NAME:rw"),
    ('[[rule]]\npath = "A"\ncolour = "red"', r"colour"),
    ("[[rule", r"line 1"),
])
def test_a_broken_policy_is_named(stage, demo, folder, config, message):
    path = folder / "signal.toml"
    path.write_text(config)
    result = run_check(stage, "--catalogue", demo, "--config", path)
    assert result.returncode == 1 and "signal.toml" in result.stderr and re.search(message, result.stderr), result.stderr


def test_missing_files_are_named(stage, demo, folder):
    result = run_check(stage, "--catalogue", folder / "none.json")
    assert result.returncode == 1 and "none.json" in result.stderr
    assert run_check(stage, "--catalogue", demo, "--config", folder / "none.toml").returncode == 1
    command = [stage.program("axsignald"), "--catalogue", demo, "--mount", folder / "none", "--state", folder / "state"]
    assert subprocess.run(command, capture_output=True, timeout=10).returncode == 1


OVERLAY = {"Vehicle": {"type": "branch", "children": {
    "Speed": {"max": 100},
    "Body": {"delete": True},
    "Test": {"type": "branch", "description": "of an overlay", "children": {
        "Signal": {"type": "sensor", "datatype": "Types.Point", "description": "a struct"}}}}},
    "ComplexDataTypes": {"Types": {"type": "branch", "children": {"Point": {"type": "struct", "children": {
        "X": {"type": "property", "datatype": "int16"}, "Y": {"type": "property", "datatype": "int16", "max": 5}}}}}}}


def test_overlays_add_change_and_delete(make_signals, demo, folder):
    (folder / "overlay.json").write_text(json.dumps(OVERLAY))
    signals = make_signals([demo, folder / "overlay.json"]).start()
    with pytest.raises(OSError) as caught:
        signals.write(SPEED, "101")
    assert caught.value.errno == errno.ERANGE
    assert "Body" not in os.listdir(signals.files / "Vehicle")
    signals.write("Vehicle/Test/Signal", '{"Y": 1, "X": -2}')
    assert signals.read("Vehicle/Test/Signal") == '{"X":-2,"Y":1}\n'
    with pytest.raises(OSError) as caught:
        signals.write("Vehicle/Test/Signal", '{"Y": 6, "X": -2}')
    assert caught.value.errno == errno.ERANGE


def test_reload_keeps_values_and_open_files(make_signals, demo, folder):
    layer = folder / "layer.json"
    layer.write_text('{"Vehicle": {"children": {}}}')
    signals = make_signals([demo, layer]).start()
    signals.write(SPEED, "50")
    signals.write("Vehicle/IsMoving", "true")
    stream = os.open(signals.files / SPEED, os.O_RDONLY | os.O_NONBLOCK)
    leaving = os.open(signals.files / "Vehicle/IsMoving", os.O_RDONLY | os.O_NONBLOCK)
    assert (os.read(stream, 10), os.read(leaving, 10)) == (b"50\n", b"true\n")
    os.stat(signals.files / "Vehicle/IsMoving")
    layer.write_text(json.dumps({"Vehicle": {"children": {
        "IsMoving": {"delete": True}, "Fresh": {"type": "sensor", "datatype": "uint8", "description": "new"}}}}))
    signals.reload()
    assert signals.read(SPEED) == "50\n"
    signals.write(SPEED, "51")
    assert os.read(stream, 10) == b"51\n"
    assert select.select([leaving], [], [], 1)[0] and os.read(leaving, 10) == b"\n"
    signals.write("Vehicle/Fresh", "7")
    assert signals.read("Vehicle/Fresh") == "7\n"
    wait_for("the old name is gone", lambda: not os.path.exists(signals.files / "Vehicle/IsMoving"))
    assert "IsMoving" not in os.listdir(signals.files / "Vehicle")
    os.close(stream)
    os.close(leaving)


def test_a_broken_reload_leaves_the_old_in_force(make_signals, demo, folder):
    layer = folder / "layer.json"
    layer.write_text('{"Vehicle": {"children": {}}}')
    signals = make_signals([demo, layer]).start()
    signals.write(SPEED, "50")
    layer.write_text('{"Vehicle": {"children": {\n"Speed": {"max": "fast"}}}}')
    signals.reload()
    assert "layer.json: line 2: Vehicle.Speed.max: expected a number" in signals.log.read_text()
    signals.write(SPEED, "60")
    assert signals.read(SPEED) == "60\n"
    layer.write_text('{"Vehicle": {"children": {}}}')
    signals.config.write_text("[[rule]]\npath = 1\n")
    signals.reload()
    assert signals.read(SPEED) == "60\n"


def test_cost_of_the_whole_catalogue(make_signals, official):
    signals = make_signals([official]).start()
    stat = open(f"/proc/{signals.process.pid}/stat").read().rpartition(")")[2].split()
    ticks = int(stat[11]) + int(stat[12])
    assert ticks * 1000 / os.sysconf("SC_CLK_TCK") < 50
    rollup = open(f"/proc/{signals.process.pid}/smaps_rollup").read()
    if "libasan" not in open(f"/proc/{signals.process.pid}/maps").read():
        assert int(re.search(r"^Pss:\s+(\d+)", rollup, re.M).group(1)) <= 6144
    files = sum(len(names) for _, _, names in os.walk(signals.files))
    assert files == 1263


def test_no_wakeups_at_rest(signals):
    signals.write(SPEED, "1")
    fd = os.open(signals.files / (SPEED + "@rate=10"), os.O_RDONLY)
    time.sleep(2.5)  # names that were looked up and not opened are forgotten after a second

    def switches():
        status = open(f"/proc/{signals.process.pid}/status").read()
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M).group(1))

    before = switches()
    time.sleep(1)
    assert switches() == before
    os.close(fd)
