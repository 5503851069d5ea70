"""The guide's adaptors, one in C, one in Python, one in shell, and the libraries as a developer gets them."""
import os
import pathlib
import shlex
import subprocess

import pytest

from axsignald import wait_for

EXAMPLES = pathlib.Path(__file__).parents[2] / "signals/examples"


@pytest.fixture
def environment(stage, signals):
    """What a developer sets where Axle is not installed below /usr."""
    library = pathlib.Path(next(pathlib.Path(stage.path).rglob("libaxle-signal.so"))).parent
    return {**os.environ, "AXLE_SIGNAL_SOCKET": signals.socket, "LD_LIBRARY_PATH": str(library),
            "PKG_CONFIG_PATH": str(library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": sysroot(stage),
            "PYTHONPATH": os.path.join(stage.path, "share/axle/python"), "PYTHONDONTWRITEBYTECODE": "1"}


def sysroot(stage):
    """The stage is a DESTDIR: its pkg-config file speaks of the prefix below it."""
    file = next(pathlib.Path(stage.path).rglob("axle-signal.pc"))
    prefix = next(line.partition("=")[2] for line in file.read_text().splitlines() if line.startswith("prefix="))
    assert stage.path.endswith(prefix)
    return stage.path[:-len(prefix)]


@pytest.fixture
def run(environment):
    processes = []

    def run(*command, **more):
        processes.append(subprocess.Popen([str(word) for word in command], env=environment, **more))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def compile_with(compiler, source, program, environment, *flags):
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "axle-signal"], env=environment, capture_output=True, text=True,
                           check=True)
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", *flags, "-o", str(program), str(source), *shlex.split(found.stdout)],
                   check=True)


@pytest.mark.parametrize("name", ["fan.c", "door.py", "lights.sh"])
def test_an_example_is_short(name):
    assert len((EXAMPLES / name).read_text().splitlines()) < 60


def test_the_adaptor_in_c(environment, run, folder, signals, module):
    compile_with("cc", EXAMPLES / "fan.c", folder / "fan", environment)
    run(folder / "fan")
    with module.Signals(signals.socket) as line:
        wait_for("the fan is provided", lambda: line.get("Vehicle.Cabin.HVAC.FanSpeed") == "0")
        line.actuate("Vehicle.Cabin.HVAC.FanSpeed", 80)
        assert line.get("Vehicle.Cabin.HVAC.FanSpeed") == "80"
        with pytest.raises(module.SignalError) as caught:
            line.actuate("Vehicle.Cabin.HVAC.FanSpeed", 95)
        assert "too loud" in str(caught.value)
        warm = float(line.get("Vehicle.Cabin.HVAC.AmbientAirTemperature"))
        wait_for("it cools", lambda: float(line.get("Vehicle.Cabin.HVAC.AmbientAirTemperature")) < warm)


def test_the_adaptor_in_python(run, signals, module):
    door = run("/usr/bin/python3", EXAMPLES / "door.py", stdin=subprocess.PIPE)
    lock, is_open = "Vehicle.Cabin.Door.Row1.DriverSide.IsLocked", "Vehicle.Cabin.Door.Row1.DriverSide.IsOpen"
    with module.Signals(signals.socket) as line:
        wait_for("the door is provided", lambda: line.get(lock) == "false" and line.get(is_open) == "false")
        line.actuate(lock, True)
        assert line.get(lock) == "true"
        door.stdin.write(b"open\n")
        door.stdin.flush()
        wait_for("it is open", lambda: line.get(is_open) == "true")
        with pytest.raises(module.SignalError) as caught:
            line.actuate(lock, True)
        assert "stands open" in str(caught.value)


def test_the_adaptor_in_shell(environment, run, folder, signals, module):
    environment["BLOWN_FUSE"] = str(folder / "blown")
    beam = "Vehicle.Body.Lights.IsLowBeamOn"
    for shell in (["sh"], ["bash"], ["busybox", "sh"]):
        process = run(*shell, EXAMPLES / "lights.sh", signals.files)
        with module.Signals(signals.socket) as line:
            wait_for(f"{shell} provides the light", lambda: line.get(beam) == "false")
            line.actuate(beam, True)
            assert line.get(beam) == "true"
            (folder / "blown").touch()
            with pytest.raises(module.SignalError) as caught:
                line.actuate(beam, True)
            assert "the fuse is blown" in str(caught.value)
            (folder / "blown").unlink()
            process.kill()
            process.wait()
            wait_for("it is free again", lambda: line.get(beam) is None)


def test_the_library_serves_cpp(environment, run, folder, signals):
    (folder / "get.cpp").write_text('#include <axle/signal.h>\n#include <iostream>\nint main() {\n'
                                    'axle_signal *s = nullptr; char text[64];\n'
                                    'if (axle_signal_open(nullptr, "c++", &s) < 0) return 1;\n'
                                    'int r = axle_signal_get(s, "Vehicle.Cabin.DoorCount", text, sizeof text);\n'
                                    'std::cout << (r == 0 ? text : axle_signal_error(s)) << std::endl;\n'
                                    'axle_signal_close(s);\nreturn r < 0; }\n')
    compile_with("g++", folder / "get.cpp", folder / "get", environment)
    process = run(folder / "get", stdout=subprocess.PIPE, text=True)
    assert process.communicate(timeout=10)[0] == "4\n"


def test_the_library_shows_its_own_names_alone_each_with_a_version(stage):
    library = next(pathlib.Path(stage.path).rglob("libaxle-signal.so.1"))
    names = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[-1] for line in names.splitlines()]
    header = (pathlib.Path(stage.path) / "include/axle/signal.h").read_text()
    functions = [symbol.partition("@@") for symbol in symbols if "@@" in symbol]
    assert functions and all(version == "AXLE_SIGNAL_1" for _, _, version in functions)
    assert all(f"{name}(" in header for name, _, _ in functions)
    assert set(symbols) - {"AXLE_SIGNAL_1"} == {"@@".join((name, version)) for name, _, version in functions}
    soname = subprocess.run(["objdump", "-p", str(library)], capture_output=True, text=True, check=True).stdout
    assert "libaxle-signal.so.1" in soname
