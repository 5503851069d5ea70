"""The vehicle of `make run`: axsignald with the demonstration catalogue, a simulated drive, and a policy."""
import os
import subprocess
import time

POLICY = """
[[grant]]
manager = "axled"
pod = "dash"
read = ["Vehicle.Speed"]
"""
DRIVE = """
interval = 0.1

[[signal]]
path = "Vehicle.Speed"
kind = "sine"
from = 20
to = 110
period = 8
decimals = 1
"""
SECONDS = 10


class Vehicle:
    """Everything of it lies in @folder. @program finds our programs; @share is the folder of what is installed with them."""

    def __init__(self, folder, program, share):
        self.folder, self.program = folder, program
        self.files, self.state = os.path.join(folder, "signal"), os.path.join(folder, "state")
        self.socket = os.path.join(folder, "signal.sock")
        self.catalogue = os.path.join(share, "axle/signals/demo.json")
        self.policy, self.drive = os.path.join(folder, "signal.toml"), os.path.join(folder, "drive.toml")
        self.speed = os.path.join(self.files, "Vehicle/Speed")
        self.processes = []
        os.makedirs(self.files)
        for path, text in ((self.policy, POLICY), (self.drive, DRIVE)):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def axled_config(self):
        return f'[signals]\nsocket = "{self.state}/control.sock"\n'

    def start(self):
        """Returns when a speed can be read. Raises RuntimeError."""
        self._spawn(self.program("axsignald"), "--catalogue", self.catalogue, "--config", self.policy, "--mount", self.files,
                    "--state", self.state, "--socket", self.socket)
        self._wait(lambda: os.path.exists(self.socket) and os.path.exists(self.speed))
        self._spawn(self.program("axle"), "signal", "sim", self.drive, "--socket", self.socket)
        self._wait(self.read)

    def read(self):
        """The speed, as text; None while there is none."""
        try:
            with open(self.speed, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return None

    def stop(self):
        """Returns what went wrong."""
        problems = []
        for process in reversed(self.processes):
            process.terminate()
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            if code != 0:
                problems.append(f"{process.args[0]} ended with {code}:\n{self._log()}")
        self.processes = []
        return problems

    def _spawn(self, *words):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   start_new_session=True))

    def _wait(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            if self.processes[-1].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.processes[-1].args[0]} did not start:\n{self._log()}")
            time.sleep(0.005)

    def _log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]
