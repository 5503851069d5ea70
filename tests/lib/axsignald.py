"""axsignald in the tests: started with a catalogue and a mount of its own, ended without leaving anything."""
import os
import pathlib
import signal
import subprocess
import time

VSS = pathlib.Path(__file__).parents[3] / "shared" / "vss"  # beside the project, as its issues say


def vss(name):
    """The path of an official export (for tests: it is not part of the project), or None."""
    path = pathlib.Path(os.environ.get("AXLE_VSS", VSS)) / name
    return path if path.exists() else None


def wait_for(what, condition, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.005)
    raise AssertionError(f"not within {seconds} s: {what}")


class Axsignald:
    """One service. files / "Vehicle/Speed" is a signal's file."""

    def __init__(self, stage, folder, catalogues, config=None):
        self.stage = stage
        self.folder = pathlib.Path(folder)
        self.files = self.folder / "signal"
        self.state = self.folder / "state"
        self.log = self.folder / "log"
        self.socket = str(self.folder / "sock")
        self.files.mkdir()
        self.catalogues = list(catalogues)
        self.config = self.folder / "signal.toml"
        self.config.write_text(config or "")
        self.process = None
        self.started = 0

    def command(self):
        arguments = [self.stage.program("axsignald")]
        for catalogue in self.catalogues:
            arguments += ["--catalogue", str(catalogue)]
        return arguments + ["--config", str(self.config), "--state", str(self.state), "--mount", str(self.files),
                            "--socket", self.socket]

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stderr=log, stdin=subprocess.DEVNULL)

    def start(self):
        self.spawn()
        wait_for("the service serves", self.is_ready)
        return self

    def is_ready(self):
        log = self.log.read_text()
        assert self.process.poll() is None, log
        return log.count("signal.serving") > self.started

    def restart(self):
        """A new daemon after a kill."""
        self.started = self.log.read_text().count("signal.serving")
        self.start()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def reload(self):
        before = self.log.read_text().count("reload")
        self.process.send_signal(signal.SIGHUP)
        wait_for("it was reloaded", lambda: self.log.read_text().count("reload") > before)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(10) == 0, self.log.read_text()
        wait_for("the mount is gone", lambda: not os.path.ismount(self.files) and not list(self.files.iterdir()))

    # ---- what a user does ----

    def path(self, signal_path):
        return str(self.files / signal_path.replace(".", "/", 99))

    def write(self, path, value):
        fd = os.open(self.files / path, os.O_WRONLY)
        try:
            return os.write(fd, value if isinstance(value, bytes) else value.encode())
        finally:
            os.close(fd)

    def read(self, path):
        return (self.files / path).read_text()

