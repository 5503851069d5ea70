"""A pseudo-terminal with a program on it: what it prints, what is typed, its size and its settings."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """@command with a pseudo-terminal as its standard input, output and error. @env: its whole environment."""

    def __init__(self, command, env, rows=24, columns=80, cwd=None):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.slave_name = os.ttyname(slave)
        self.before = termios.tcgetattr(slave)
        self.text = ""
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True, cwd=cwd,
                                        start_new_session=True, env={**env, "TERM": "xterm"},
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def _read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], max(seconds, 0))
        if ready:
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def wait_for(self, pattern, seconds=15):
        """Until the text matches, and forgets what came before the match's end."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            assert time.monotonic() < deadline, f"{pattern!r} did not come: {self.text!r}"
            self._read(deadline - time.monotonic())

    def plain(self):
        """What came so far, without escapes."""
        return ESCAPES.sub("", self.text).replace("\r", "")

    def end(self, seconds=20):
        """The exit code, once the program has ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end: {self.text!r}"
            self._read(0.02)
        while select.select([self.master], [], [], 0)[0] and self._read(0):
            pass
        return self.process.returncode

    def settings(self):
        return termios.tcgetattr(self.slave)

    def is_raw(self):
        return not self.settings()[3] & (termios.ICANON | termios.ECHO)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)
