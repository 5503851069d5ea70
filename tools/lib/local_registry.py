"""Debian's docker-registry on a free port of loopback, with storage of its own."""
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

START_SECONDS = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def config_text(folder, port, htpasswd, certificate):
    lines = [
        "version: 0.1", "log: {level: warn, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}",
        "http:", f"  addr: 127.0.0.1:{port}",
    ]
    if certificate:
        lines += [f"  tls: {{certificate: {certificate[0]}, key: {certificate[1]}}}"]
    if htpasswd:
        lines += [f"auth: {{htpasswd: {{realm: axle, path: {htpasswd}}}}}"]
    return "\n".join(lines) + "\n"


class Registry:
    """A running registry. @htpasswd: file with bcrypt lines, for basic auth. @certificate: (certificate, key), for TLS."""

    def __init__(self, folder, htpasswd=None, certificate=None):
        self.folder = str(folder)
        self.htpasswd, self.certificate = htpasswd, certificate
        self.process = None
        self.port = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def image(self, name):
        """The full reference of an image of this registry."""
        return f"{self.address}/{name}"

    def start(self):
        os.makedirs(os.path.join(self.folder, "data"), exist_ok=True)
        self.port = self.port or free_port()
        config = os.path.join(self.folder, "config.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(config_text(self.folder, self.port, self.htpasswd, self.certificate))
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        self._wait_until_it_answers()
        return self

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            text = log.read()[-2000:]
        raise RuntimeError(f"docker-registry did not start: {text}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def blob_path(self, digest):
        """Where the registry keeps the bytes of @digest ("sha256:..."), for tests that damage them."""
        return os.path.join(self.folder, "data/docker/registry/v2/blobs/sha256", digest[7:9], digest[7:], "data")

    def get(self, path, accept="application/vnd.oci.image.manifest.v1+json"):
        request = urllib.request.Request(f"http://{self.address}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
