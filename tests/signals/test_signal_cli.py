"""axle signal: the installed command line against the installed service."""
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

from axsignald import wait_for

SPEED = "Vehicle.Speed"
FAN = "Vehicle.Cabin.HVAC.FanSpeed"


@pytest.fixture
def axle(stage, signals):
    """axle(WORD...): the completed `axle signal WORD...`."""
    environment = {**os.environ, "AXLE_SIGNAL_SOCKET": signals.socket}

    def axle(*words, code=0, **more):
        done = subprocess.run([stage.program("axle"), "signal", *map(str, words)], env=environment, capture_output=True, text=True,
                              timeout=30, check=False, **more)
        assert done.returncode == code, done.stdout + done.stderr
        if code not in (0, 1):
            assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stdout + done.stderr
        return done

    axle.environment = environment
    return axle


@pytest.fixture
def sim(stage, axle, folder):
    (folder / "fan.toml").write_text(f'[[actuator]]\npath = "{FAN}"\ninitial = 0\nrefuse_every = 2\ntext = "too loud"\n')
    process = subprocess.Popen([stage.program("axle"), "signal", "sim", str(folder / "fan.toml")], env=axle.environment)
    wait_for("the fan is provided", lambda: "axsignal-sim" in axle("who", FAN).stdout)
    yield process
    process.terminate()
    assert process.wait(10) == 0


def test_ls_lists_by_pattern_with_dots_or_slashes(axle):
    rows = [line.split() for line in axle("ls", "Vehicle/Cabin/HVAC/*").stdout.splitlines()]
    assert rows[0] == ["PATH", "KIND", "TYPE", "UNIT"]
    assert [FAN, "actuator", "uint8", "percent"] in rows
    everything = json.loads(axle("ls", "--json").stdout)
    assert {"path": SPEED, "kind": "sensor", "datatype": "float", "unit": "km/h"} in everything and len(everything) == 33
    assert "names no signal" in axle("ls", "Nothing.*", code=125).stderr


def test_set_and_get(axle, signals):
    axle("set", "Vehicle/Speed", "88.5")
    assert axle("get", SPEED).stdout == "88.5\n"
    assert signals.read("Vehicle/Speed") == "88.5\n"
    assert json.loads(axle("get", "--json", "Vehicle.*", "Vehicle.VehicleIdentification.*").stdout)[SPEED] == 88.5
    assert f"{SPEED} 88.5" in axle("get", "Vehicle.*").stdout.splitlines()
    assert "no value" in axle("get", "Vehicle.IsMoving", code=125).stderr
    assert "Vehicle.Nothing" in axle("get", "Vehicle.Nothing", code=125).stderr
    axle("set", SPEED, "fast", code=125)
    assert "nobody provides" in axle("set", FAN, 5, code=125).stderr


def test_set_of_an_actuator_waits_for_its_provider(axle, sim):
    axle("set", FAN, 40)
    wait_for("it turned", lambda: axle("get", FAN).stdout == "40\n")
    assert "too loud" in axle("set", FAN, 50, code=125).stderr
    assert axle("get", FAN).stdout == "40\n"


def test_watch_shows_each_update(axle, stage, signals):
    watch = subprocess.Popen([stage.program("axle"), "signal", "watch", SPEED + "@all", "-n", "3", "--json"], env=axle.environment,
                             stdout=subprocess.PIPE, text=True)
    wait_for("it watches", lambda: json.loads(axle("who", SPEED).stdout)["watchers"] == 1)
    for value in ("1", "2", "2"):
        signals.write("Vehicle/Speed", value)
    updates = [json.loads(line) for line in watch.communicate(timeout=10)[0].splitlines()]
    assert [update["value"] for update in updates] == ["1", "2", "2"]
    assert all(update["path"] == SPEED and update["time"] > 1e9 for update in updates)
    assert watch.returncode == 0
    assert axle("watch", SPEED, "Vehicle.Cabin.DoorCount", "--for", "100ms").stdout == f"{SPEED} 2\nVehicle.Cabin.DoorCount 4\n"
    axle("watch", "Vehicle.Nothing", code=125)


def test_watch_is_a_live_table_on_a_terminal(axle, stage, signals):
    signals.write("Vehicle/Speed", "77")
    done = subprocess.run(["script", "-qec", f"{stage.program('axle')} signal watch {SPEED} --for 0.3s", "/dev/null"],
                          env=axle.environment, capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL)
    assert "PATH" in done.stdout and "UPDATES" in done.stdout and "77" in done.stdout
    assert done.stdout.count("\x1b[2A") >= 1  # drawn again over itself


def test_wait_ends_when_the_value_is_as_it_says(axle, signals):
    signals.write("Vehicle/Speed", "10")
    assert axle("wait", SPEED, "> 5").stdout == "10\n"
    begun = time.monotonic()
    assert "in time" in axle("wait", SPEED, "x > 100", "--timeout", "300ms", code=1).stderr
    assert 0.25 < time.monotonic() - begun < 5
    timer = threading.Timer(0.3, signals.write, ("Vehicle/Speed", "120"))
    timer.start()
    assert axle("wait", SPEED, "x > 100 and x < 130", "--timeout", "10s").stdout == "120\n"
    timer.join()
    signals.write("Vehicle/Cabin/Infotainment/Media/Title", "a song")
    assert axle("wait", "Vehicle.Cabin.Infotainment.Media.Title", "== 'a song'").stdout == "a song\n"
    axle("wait", SPEED, "> (", code=125)
    axle("wait", "Vehicle.Nothing", "> 1", code=125)


def test_force_beats_the_publisher_for_a_while(axle, signals):
    signals.write("Vehicle/Speed", "50")
    axle("force", SPEED, 7, "--for", "1s")
    signals.write("Vehicle/Speed", "51")
    assert axle("get", SPEED).stdout == "7\n"
    assert json.loads(axle("state", SPEED).stdout)["quality"] == "forced"
    wait_for("it is over", lambda: axle("get", SPEED).stdout == "51\n")
    axle("force", SPEED, 8, "--for", "0")
    assert axle("get", SPEED).stdout == "8\n"
    axle("unforce", SPEED)
    assert axle("get", SPEED).stdout == "51\n"
    axle("unforce", SPEED, code=125)


def test_meta_who_and_grants_are_json(axle, sim):
    assert json.loads(axle("meta", SPEED).stdout)["unit"] == "km/h"
    assert "axsignal-sim" in json.loads(axle("who", "--json", FAN).stdout)["provider"]
    assert json.loads(axle("grants").stdout)["uid"] == 0


def test_record_and_replay_by_their_short_names(axle, signals, folder):
    signals.write("Vehicle/Speed", "33")
    axle("record", SPEED, "--out", folder / "r.csv", "--for", "0.3")
    assert (folder / "r.csv").read_text().splitlines()[1].endswith(f",{SPEED},33")
    axle("replay", folder / "r.csv", "--speed", "max")


def test_catalogue_install_checks_first(axle, folder, demo):
    axle("catalogue", "check", demo)
    done = axle("catalogue", "install", demo, "--to", folder / "signals")
    assert (folder / "signals/demo.json").read_bytes() == pathlib.Path(demo).read_bytes()
    assert f"axsignald --catalogue {folder}/signals/demo.json" in done.stdout
    (folder / "bad.json").write_text('{"Vehicle": {"type": "branch", "children": {"A": {"type": "sensor"}}}}')
    done = subprocess.run([demo.parents[3] / "bin/axle", "signal", "catalogue", "install", folder / "bad.json", "--to",
                           folder / "signals"], capture_output=True, text=True, check=False)
    assert done.returncode == 125 and "bad.json" in done.stderr and "datatype" in done.stderr
    assert not (folder / "signals/bad.json").exists()


def test_adaptor_new_writes_one_that_builds_and_runs(axle, stage, signals, folder):
    axle("adaptor", "new", "my-gps", cwd=folder)
    library = pathlib.Path(next(pathlib.Path(stage.path).rglob("libaxle-signal.so"))).parent
    file = (library / "pkgconfig/axle-signal.pc").read_text()
    prefix = next(line.partition("=")[2] for line in file.splitlines() if line.startswith("prefix="))
    environment = {**axle.environment, "LD_LIBRARY_PATH": str(library), "PKG_CONFIG_PATH": str(library / "pkgconfig"),
                   "PKG_CONFIG_SYSROOT_DIR": stage.path[:-len(prefix)], "CFLAGS": "-Werror"}
    subprocess.run(["make", "-s", "-C", folder / "my-gps"], env=environment, check=True)
    process = subprocess.Popen([folder / "my-gps/my-gps"], env=environment)
    try:
        wait_for("it provides", lambda: "my-gps" in axle("who", SPEED).stdout)
        axle("wait", SPEED, "> 1", "--timeout", "10s")
        axle("set", FAN, 30)
        assert axle("get", FAN).stdout == "30\n"
    finally:
        process.kill()
        process.wait()
    axle("adaptor", "new", "my-gps", code=125, cwd=folder)
    axle("adaptor", "new", "../evil", code=125, cwd=folder)


def test_without_a_service_it_says_so(axle):
    assert "is axsignald running" in axle("get", SPEED, "--socket", "/nonexistent/s", code=125).stderr


def test_paths_complete(axle, stage):
    script = subprocess.run([stage.program("axle"), "completion", "bash"], capture_output=True, text=True, check=True).stdout
    environment = {**axle.environment, "PATH": os.path.dirname(stage.program("axle")) + ":" + os.environ["PATH"]}

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(["bash", "-c", f'{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _axle; '
                               'printf "%s\\n" "${COMPREPLY[@]}"'], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert complete("axle", "signal", "get", "Vehicle.Cabin.HVAC.F") == [FAN]
    assert complete("axle", "signal", "wa") == ["watch", "wait"]
