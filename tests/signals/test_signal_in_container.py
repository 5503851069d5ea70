"""Libraries and the command line inside a container find its own socket, /dev/signal.sock, without being told; and shells, dd
and Python need none of them."""
import json
import pathlib
import shlex
import subprocess

import pytest

from axsignald import wait_for
from view_container import ALL, SPEED

C_PROGRAM = r"""
#include <axle/signal.h>
#include <stdio.h>

static void print(void *user, const struct axle_signal_update *update)
{
	(void)user;
	printf("%s\n", update->value ? update->value : "none");
	fflush(stdout);
}

int main(void)
{
	struct axle_signal *signals = NULL;
	struct axle_signal_sub *sub = NULL;
	if (axle_signal_open(NULL, "app", &signals) < 0 || axle_signal_subscribe(signals, "Vehicle.Speed", 0, print, NULL, &sub) < 0)
		return 1;
	for (;;)
		axle_signal_wait(signals, -1);
}
"""
PYTHON_PROGRAM = """
import axle_signal
for update in axle_signal.Signals().watch("Vehicle.Speed"):
    print(update.value if update.value is not None else "none", flush=True)
"""


@pytest.fixture
def apps(guarded, containers, stage, folder):
    """A container with the host's libraries and the stage. run(COMMAND...) starts one in it."""
    shared = folder / "shared"
    shared.mkdir()
    container = containers(guarded, ALL, binds={"/usr": "/usr", stage.path: "/stage", str(shared): "/shared"},
                           links={"lib": "usr/lib", "lib64": "usr/lib64"})
    library = next(pathlib.Path(stage.path).rglob("libaxle-signal.so")).parent.relative_to(stage.path)
    environment = ["-e", f"LD_LIBRARY_PATH=/stage/{library}", "-e", "PYTHONPATH=/stage/share/axle/python",
                   "-e", "PYTHONDONTWRITEBYTECODE=1", "-e", "PATH=/bin:/usr/bin"]
    started = []

    def run(*words):
        started.append(subprocess.Popen([*container.runtime, "--root", str(container.state), "exec", *environment, container.name,
                                         *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]
    run.container, run.shared = container, shared
    yield run
    container.call("kill", container.name, "KILL")  # what runs in it ends with it
    for process in started:
        process.communicate(timeout=20)


@pytest.fixture
def compiled(apps, stage):
    source = apps.shared / "app.c"
    source.write_text(C_PROGRAM)
    found = next(pathlib.Path(stage.path).rglob("libaxle-signal.so")).parent
    include = next(pathlib.Path(stage.path).rglob("axle/signal.h")).parents[1]
    subprocess.run(["cc", "-Wall", "-Werror", "-o", apps.shared / "app", source, f"-I{include}", f"-L{found}", "-laxle-signal"],
                   check=True)
    return "/shared/app"


def test_the_c_library_finds_the_containers_socket_and_outlives_the_service(guarded, apps, compiled):
    app = apps(compiled)
    assert app.stdout.readline() == "88.5\n"
    restart_and_watch(guarded, app)


def test_the_python_module_finds_it_too(guarded, apps):
    (apps.shared / "app.py").write_text(PYTHON_PROGRAM)
    app = apps("/usr/bin/python3", "/shared/app.py")
    assert app.stdout.readline() == "88.5\n", app.stderr.read()
    restart_and_watch(guarded, app)


def restart_and_watch(guarded, app):
    """Over an orderly stop, where the view's mount and socket are made anew."""
    guarded.process.terminate()
    assert guarded.process.wait(10) == 0
    guarded.restart()
    guarded.write(SPEED, "17")
    line = app.stdout.readline()
    while line in ("none\n", "88.5\n"):
        line = app.stdout.readline()
    assert line == "17\n"


def test_the_command_line_finds_it_too(guarded, apps):
    got = apps("/stage/bin/axle", "signal", "get", "Vehicle.Speed")
    assert got.communicate(timeout=20) == ("88.5\n", "")
    told = apps("/stage/bin/axle", "signal", "grants").communicate(timeout=20)[0]
    assert json.loads(told)["view"] is True
    denied = apps("/stage/bin/axle", "signal", "set", "Vehicle.Speed", "1").communicate(timeout=20)
    assert denied[0] == "" and "not permitted" in denied[1]


def test_what_needs_no_library(guarded, apps):
    python = "import select; f = open('/dev/signal/Vehicle/Speed'); p = select.poll(); p.register(f, select.POLLPRI); " \
             "print(f.read().strip(), flush=True); p.poll(); f.seek(0); print(f.read().strip())"
    for command, wanted in (("dd if=/dev/signal/Vehicle/Speed bs=1 status=none", "88.5"),
                            ("IFS= read -r v < /dev/signal/Vehicle/Speed; echo $v", "88.5"),
                            ("grep -r 88 /dev/signal/Vehicle/Speed", "88.5")):
        assert apps("sh", "-c", command).communicate(timeout=20) == (wanted + "\n", ""), command
    app = apps("/usr/bin/python3", "-c", python)
    assert app.stdout.readline() == "88.5\n"
    guarded.write(SPEED, "90")
    assert app.stdout.readline() == "90\n"


# ---- the short name of the CAN adaptor ----

def test_can_by_its_short_name(signals, stage, folder):
    mapped = {"type": "sensor", "datatype": "float", "dbc2vss": {"signal": "Speed", "interval_ms": 0}}
    (folder / "bus.dbc").write_text('BO_ 256 Drive: 8 ECU\n SG_ Speed : 0|16@1+ (0.01,0) [0|0] "km/h" GW\n')
    (folder / "mapping.json").write_text(json.dumps({"Vehicle": {"type": "branch", "children": {"Speed": mapped}}}))
    (folder / "log").write_text("(1.0) can0 100#9222040000000000\n")
    words = f"signal can --dbc {folder}/bus.dbc --mapping {folder}/mapping.json --socket {signals.socket} --candump {folder}/log --stay"
    can = subprocess.Popen([stage.program("axle"), *shlex.split(words)], stderr=subprocess.PIPE)
    try:
        wait_for("the speed", lambda: "88.5" in (signals.files / (SPEED + "@state")).read_text(), 20)
    finally:
        can.terminate()
        assert can.wait(20) == 0, can.stderr.read()
        can.stderr.close()
    missing = subprocess.run([stage.program("axle"), "signal", "can"], capture_output=True, text=True, check=False)
    assert missing.returncode != 0 and "an argument is missing" in missing.stderr
    told = subprocess.run([stage.program("axle"), "signal", "can", "--help"], capture_output=True, text=True, check=True).stdout
    assert "axsignal-can" in told
