"""Pulls from Debian's docker-registry and from servers that do not behave."""
import base64
import hashlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

import oci_image
import tree_facts
from oci_image import Entry


class Proxy:
    """A registry in front of a real one, that can ask for tokens, break blobs, cut connections or redirect."""

    def __init__(self, upstream, **behaviour):
        self.upstream = upstream
        self.behaviour = behaviour
        self.requests = []
        self.seen_authorization = []
        self.failures = behaviour.get("failures", 0)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                proxy.requests.append(self.path)
                proxy.seen_authorization.append((self.path, self.headers.get("Authorization")))
                proxy.answer(self)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def send(self, handler, status, body=b"", **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def answer(self, handler):
        path = handler.path
        if path.startswith("/token"):
            return self.give_token(handler)
        if self.behaviour.get("token") and handler.headers.get("Authorization") != "Bearer good":
            challenge = f'Bearer realm="http://{self.host}/token",service="test",scope="repository:x:pull"'
            return self.send(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate=challenge)
        request = urllib.request.Request(f"http://{self.upstream}{path}")
        for name in ("Accept", "Range"):
            if handler.headers.get(name):
                request.add_header(name, handler.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                body, status, headers = reply.read(), reply.status, reply.headers
        except urllib.error.HTTPError as error:
            body, status, headers = error.read(), error.code, error.headers
        keep = {name.replace("-", "_"): headers[name] for name in
                ("Content-Type", "Docker-Content-Digest", "Content-Range") if headers.get(name)}
        return self.misbehave(handler, path, status, body, keep)

    def misbehave(self, handler, path, status, body, headers):
        blob = "/blobs/" in path and len(body) > 20000
        manifest = "/manifests/" in path
        if manifest and "manifest" in self.behaviour:
            body = self.behaviour["manifest"](body)
            headers.pop("Docker_Content_Digest", None)
        if blob and self.behaviour.get("corrupt"):
            body = body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]
        if blob and self.behaviour.get("short"):
            body = body[:-1]
        if blob and self.failures and self.behaviour.get("cut"):
            self.failures -= 1
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:len(body) // 2])
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return None
        if self.failures and self.behaviour.get("unavailable") and path != "/v2/":
            self.failures -= 1
            return self.send(handler, 503, b"", Retry_After="0")
        if blob and self.behaviour.get("hang"):
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:5000])
            handler.wfile.flush()
            self.behaviour["hang"].wait(60)
            handler.close_connection = True
            return None
        if blob and "redirect" in self.behaviour:
            return self.send(handler, 307, b"", Location=self.behaviour["redirect"] + path)
        return self.send(handler, status, body, **headers)

    def give_token(self, handler):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(handler.path).query)
        wanted = self.behaviour.get("token_user")
        given = handler.headers.get("Authorization")
        if wanted and given != "Basic " + base64.b64encode(wanted.encode()).decode():
            return self.send(handler, 401)
        if query.get("service") != ["test"] or query.get("scope") != ["repository:x:pull"]:
            return self.send(handler, 400)
        return self.send(handler, 200, b'{"token":"good","expires_in":60}')


@pytest.fixture
def proxy(registry):
    made = []

    def make(**behaviour):
        made.append(Proxy(registry.address, **behaviour))
        return made[-1]
    yield make
    for one in made:
        one.close()


def image_at(server, registry, name):
    return registry.image(name).replace(registry.address, server.host)


def blobs_of(store):
    return set(os.listdir(store.path / "blobs" / "sha256"))


@pytest.mark.parametrize("name", ["busybox", "docker-schema2", "zstd", "uncompressed", "multi", "layers"])
def test_pull_gives_what_umoci_unpacks(store, registry, folder, name):
    image = registry.image(f"{name}:latest")
    identity = store("pull", image)
    assert re.fullmatch("sha256:[0-9a-f]{64}", identity)
    store("unpack", image, folder / "bundle")
    ours = tree_facts.tree(folder / "bundle" / "rootfs", times=True)
    if name == "zstd":  # umoci 0.4 does not know it
        assert ours["bin/busybox"][7] == tree_facts.digest("/bin/busybox")
        return
    subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "docker://" + image, f"oci:{folder}/peer:x"], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{folder}/peer:x", folder / "peer-bundle"], check=True,
                   capture_output=True)
    theirs = tree_facts.tree(folder / "peer-bundle" / "rootfs", times=True)
    assert ours == theirs


def test_whiteouts_opaque_folders_and_links_through_overlayfs(store, registry, overlay):
    image = registry.image("layers:latest")
    store("pull", image)
    merged = overlay(store.layers(image))
    assert sorted(os.listdir(merged / "data")) == ["changed", "hard", "kept"]
    assert (merged / "data/changed").read_text() == "new"
    assert os.listdir(merged / "opaque") == ["new"]
    assert os.listdir(merged / "again") == ["new"]
    assert (merged / "data/hard").stat().st_ino == (merged / "data/kept").stat().st_ino


def test_a_second_pull_fetches_no_layer(store, proxy, registry):
    server = proxy()
    image = image_at(server, registry, "layers:latest")
    first = store("pull", image)
    server.requests.clear()
    done = store.run("pull", image)
    assert done.stdout.strip() == first
    assert "layer exists" in done.stderr and "downloading" not in done.stderr
    config = first
    assert [path for path in server.requests if "/blobs/" in path and config not in path] == []


def test_layers_are_shared_between_images(store, registry):
    store("pull", registry.image("busybox:latest"))
    done = store.run("pull", registry.image("layers:latest"))
    assert done.returncode == 0
    assert done.stderr.count("layer exists") == 1
    assert store.layers(registry.image("busybox:latest"))[0] == store.layers(registry.image("layers:latest"))[0]


def test_by_digest_and_names(store, registry):
    image = registry.image("multi:latest")
    identity = store("pull", image)
    listed = store("list")
    digest = re.search(r"digest (\S+)", listed)[1]
    assert f"tag {image}" in listed
    # The digest is that of the index which the tag leads to, as docker and podman show it.
    assert digest != re.search(r"manifest (\S+)", listed)[1]
    assert store("pull", digest) == identity
    for name in (image, digest, identity, identity[7:], identity[7:19]):
        assert store("layers", name)
    assert store.fails("layers", "ffffffffffff").startswith("image.not-found: ")
    assert store.fails("layers", "nosuch:1").startswith("image.not-found: ")


def test_users_of_the_registry_need_their_password(store, make_registry, image_layout, folder):
    subprocess.run(["htpasswd", "-Bbc", folder / "htpasswd", "ann", "secret"], check=True, capture_output=True)
    server = make_registry(htpasswd=folder / "htpasswd")
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", "--dest-creds", "ann:secret",
                    f"oci:{image_layout.path}:busybox", "docker://" + server.image("busybox:latest")], check=True)
    image = server.image("busybox:latest")
    assert "wants a user and password" in store.fails("pull", image)
    message = store.fails("--user", "ann", "--password", "wrong", "pull", image)
    assert message.startswith("registry.unauthorized: ")
    assert store.is_empty()
    assert store("--user", "ann", "--password", "secret", "pull", image)


def test_tokens(store, proxy, registry):
    server = proxy(token=True, token_user="ann:secret")
    image = image_at(server, registry, "busybox:latest")
    assert "wants credentials" in store.fails("pull", image)
    assert "refuses the credentials" in store.fails("-u", "ann", "-p", "no", "pull", image)
    assert store("-u", "ann", "-p", "secret", "pull", image)
    # The password is for the token server alone.
    basic = [path for path, value in server.seen_authorization if value and value.startswith("Basic")]
    assert basic and all(path.startswith("/token") for path in basic)


def test_a_redirect_gets_the_blob_but_not_the_token(store, proxy, registry):
    storage = proxy()
    server = proxy(token=True, redirect=f"http://{storage.host}")
    assert store("pull", image_at(server, registry, "busybox:latest"))
    assert storage.requests
    assert all(value is None for _, value in storage.seen_authorization)


def test_wrong_bytes_are_refused_and_nothing_is_left(store, proxy, registry):
    server = proxy(corrupt=True)
    message = store.fails("pull", image_at(server, registry, "busybox:latest"))
    assert re.match("image.digest-mismatch: .*expected sha256:[0-9a-f]{64}, got bytes with sha256:[0-9a-f]{64}", message)
    assert store.is_empty()


def test_a_manifest_with_another_digest_is_refused(store, proxy, registry):
    real = store("pull", registry.image("busybox:latest"))
    digest = re.search(r"digest \S+@(\S+)", store("list"))[1]
    store("rm", real)
    server = proxy(manifest=lambda body: body + b" ")
    name = image_at(server, registry, "busybox:latest").rsplit(":", 1)[0] + "@" + digest
    assert store.fails("pull", name).startswith("image.digest-mismatch: ")
    assert store.is_empty()


def test_a_size_that_is_not_the_descriptors(store, proxy, registry):
    message = store.fails("pull", image_at(proxy(short=True), registry, "busybox:latest"))
    assert message.startswith("image.size-mismatch: ")
    assert store.is_empty()


def test_cut_connections_are_resumed(store, proxy, registry):
    server = proxy(cut=True, failures=2)
    assert store("pull", image_at(server, registry, "busybox:latest"))
    assert server.failures == 0


def test_an_unavailable_registry_is_asked_again(store, proxy, registry):
    server = proxy(unavailable=True, failures=3)
    assert store("pull", image_at(server, registry, "busybox:latest"))


@pytest.mark.parametrize("change, reason", [
    (lambda m: {"schemaVersion": 1, "fsLayers": []}, "image.unsupported"),
    (lambda m: dict(m, layers=[dict(layer, mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                                    urls=["http://127.0.0.1:1/x"]) for layer in m["layers"]]), "image.unsupported"),
    (lambda m: dict(m, layers=[dict(layer, mediaType="text/plain") for layer in m["layers"]]), "image.unsupported"),
    (lambda m: dict(m, layers=m["layers"] * 130), "image.too-large"),
    (lambda m: dict(m, layers=m["layers"] * 2), "image.malformed"),
    (lambda m: dict(m, config=dict(m["config"], digest="sha256:../../x")), "image.malformed"),
    (lambda m: dict(m, config=dict(m["config"], size=1 << 40)), "image.too-large"),
    (lambda m: [], "image.malformed"),
])
def test_manifests_that_are_refused(store, proxy, registry, change, reason):
    server = proxy(manifest=lambda body: json.dumps(change(json.loads(body))).encode())
    assert store.fails("pull", image_at(server, registry, "busybox:latest")).startswith(reason + ": ")
    assert store.is_empty()


def test_a_manifest_that_is_no_json(store, proxy, registry):
    server = proxy(manifest=lambda body: body[:20])
    assert store.fails("pull", image_at(server, registry, "busybox:latest")).startswith("image.malformed: ")


def test_no_image_for_this_platform(store, registry):
    message = store.fails("pull", registry.image("foreign:latest"))
    assert message.startswith("image.no-platform: ") and message.endswith("there is linux/s390x")
    assert store("--arch", "s390x", "pull", registry.image("foreign:latest"))


def test_unreachable_and_unknown(store, registry):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        begin = time.monotonic()
        message = store.fails("pull", f"127.0.0.1:{port}/x:1")
    assert message.startswith("registry.unreachable: ") and f"127.0.0.1:{port}" in message and "refused" in message
    assert time.monotonic() - begin < 5
    message = store.fails("pull", registry.image("busybox:nosuch"))
    assert message.startswith("image.not-found: ") and "busybox:nosuch" in message
    assert store.fails("pull", "UPPER/case").startswith("reference.malformed: ")


def test_https_with_an_authority_of_its_own(store, make_registry, image_layout, folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key", "-out",
                    folder / "cert"], check=True, capture_output=True)
    server = make_registry(certificate=(folder / "cert", folder / "key"))
    image = server.image("busybox:latest")
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{image_layout.path}:busybox",
                    "docker://" + image], check=True)
    message = store.fails("pull", image)
    assert message.startswith("registry.unreachable: ") and "certificate" in message
    assert store("--ca", folder / "cert", "pull", image)


def test_two_pulls_of_one_image_at_once(store, registry):
    image = registry.image("layers:latest")
    jobs = [subprocess.Popen(store.command("-q", "pull", image), stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {job.communicate(timeout=60)[0] for job in jobs}
    assert len(answers) == 1 and all(job.returncode == 0 for job in jobs)
    assert os.listdir(store.path / "ingest") == []


def workers_of(parent):
    children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout.split()
    return [int(child) for child in children]


def wait_for(check, what, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {what} after {seconds} s")


@pytest.fixture
def hanging(store, proxy, registry):
    """A pull that stands in the middle of a blob: (process, supervisor's pid, child's pid)."""
    released = threading.Event()
    server = proxy(hang=released)
    job = subprocess.Popen(store.command("pull", image_at(server, registry, "busybox:latest")), stderr=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    wait_for(lambda: any("/blobs/" in path for path in server.requests), "request for a blob")
    supervisor = wait_for(lambda: workers_of(job.pid), "worker")[0]
    child = wait_for(lambda: workers_of(supervisor), "unprivileged worker")[0]
    wait_for(lambda: any((store.path / "ingest").glob("*/blobs/*")), "half a blob")
    yield job, supervisor, child
    released.set()


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_the_worker_is_unprivileged(hanging):
    job, supervisor, child = hanging
    status = status_of(child)
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == ""
    assert all(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert os.listdir(f"/proc/{child}/root") == ["etc"]
    assert sorted(os.listdir(f"/proc/{child}/root/etc")) == ["hosts", "nsswitch.conf", "resolv.conf"]
    job.terminate()
    job.communicate(timeout=20)


@pytest.mark.parametrize("victim", ["supervisor", "child", "caller"])
def test_kill_leaves_only_garbage_that_goes(store, registry, hanging, victim):
    job, supervisor, child = hanging
    os.kill({"supervisor": supervisor, "child": child, "caller": job.pid}[victim], signal.SIGKILL)
    _, text = job.communicate(timeout=20)
    if victim != "caller":  # else its end of the pipe is gone, which ends the job
        assert job.returncode == 1 and "job.worker: " in text.splitlines()[-1]
    wait_for(lambda: not os.path.exists(f"/proc/{supervisor}") and not os.path.exists(f"/proc/{child}"), "end of the job")
    assert store("list") == ""  # opens the store: the dead job's directory goes
    assert store.is_empty()
    assert store("pull", registry.image("busybox:latest"))


def test_cancel(store, hanging):
    job, supervisor, _ = hanging
    os.kill(supervisor, signal.SIGTERM)
    _, text = job.communicate(timeout=20)
    assert text.splitlines()[-1].startswith("job.cancelled: ")
    assert store.is_empty()


def test_a_stalled_registry(store, proxy, registry):
    released = threading.Event()
    server = proxy(hang=released)
    job = subprocess.Popen(store.command("--stall", "1", "pull", image_at(server, registry, "busybox:latest")),
                           stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: sum("/blobs/" in path for path in server.requests) >= 3, "second try")
    finally:
        released.set()
        job.terminate()
        job.communicate(timeout=20)


@pytest.fixture
def small_disk(folder):
    path = folder / "small"
    path.mkdir()

    def mount(size):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path], check=True)
        return path
    yield mount
    subprocess.run(["umount", path], check=True)


def test_full_disk(stage, small_disk, registry):
    from image_store import Store
    store = Store(stage, small_disk("1500k"))
    message = store.fails("pull", registry.image("busybox:latest"))
    assert message.startswith("store.full: ") and "no space left" in message
    assert store.is_empty()
    assert store("list") == ""


def test_more_than_is_allowed(store, registry):
    assert store.fails("--max-bytes", "100k", "pull", registry.image("busybox:latest")).startswith("image.too-large: ")
    assert store.is_empty()


def test_a_moved_tag_leaves_the_old_image_by_digest(store, make_registry, folder):
    server = make_registry()
    ids = []
    for text in (b"one", b"two"):
        layout = oci_image.Layout(folder / text.decode())
        layout.add("image", [[Entry("file", text)]], {"Cmd": ["x"]})
        layout.push("image", server.image("moving:1"))
        ids.append(store("pull", server.image("moving:1")))
    assert ids[0] != ids[1]
    listed = store("list")
    assert listed.count("  tag ") == 1 and listed.count("  digest ") == 2
    store("rm", ids[0])
    assert ids[0] not in store("list")
    assert len(os.listdir(store.path / "layers")) == 1


def test_remove_gives_everything_back(store, registry):
    first, second = registry.image("busybox:latest"), registry.image("layers:latest")
    store("pull", first)
    one = (blobs_of(store), store("usage"))
    identity = store("pull", second)
    assert "deleted " + identity in store("rm", second)
    assert (blobs_of(store), store("usage")) == one
    store("tag", first, "localhost/other:2")
    assert store("--reference-only", "rm", first).splitlines() == ["untagged " + first]
    assert "deleted" in store("rm", "localhost/other:2")
    assert store.is_empty() and store("usage") == "bytes=0 inodes=0"


def test_pinned_images_stay(store, registry):
    image = registry.image("empty:latest")
    store("pull", image)
    store("pin", image)
    assert store.fails("rm", image).startswith("image.pinned: ")
    store("pull", image)
    assert "pinned" in store("list")


def test_a_newer_store_is_left_alone(store, registry):
    store("pull", registry.image("empty:latest"))
    version = store.path / "axle-store.json"
    version.write_text('{"version":2}')
    before = tree_facts.tree(store.path)
    assert store.fails("pull", registry.image("busybox:latest")).startswith("store.version: ")
    assert tree_facts.tree(store.path) == before


def test_skopeo_reads_the_store(store, registry):
    image = registry.image("layers:latest")
    identity = store("pull", image)
    text = subprocess.run(["skopeo", "inspect", "--config", "--raw", f"oci:{store.path}:{image}"], check=True,
                          capture_output=True).stdout
    assert "sha256:" + hashlib.sha256(text).hexdigest() == identity


@pytest.mark.parametrize("runtime", ["axrun", "runc"])
def test_the_bundle_runs(store, stage, registry, folder, tag, runtime):
    store("pull", registry.image("user:latest"))
    store("unpack", registry.image("user:latest"), folder / "bundle")
    program = stage.program("axrun") if runtime == "axrun" else "/usr/sbin/runc"
    done = subprocess.run([program, "--root", folder / "state", "run", "--bundle", folder / "bundle", tag],
                          capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "1000"), done.stderr
