"""Images over CRI: credentials, one id, pinned images, mirrors by hosts.toml, removal, pulls that are cut off."""
import base64
import fcntl
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from conftest import ROOT, SLEEP, wait_until
from mirrors import Mirror, server_tls

import cri as cri_module
from google.protobuf import json_format

FAR = "registry.invalid"  # RFC 6761: never anybody's


@pytest.fixture
def mirror(registry):
    made = []

    def make(upstream=registry.address, **behaviour):
        made.append(Mirror(upstream, **behaviour))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def hosts(folder):
    """hosts("registry.invalid", "toml text"): writes the file of that host."""
    def write(host, text, **files):
        path = folder / "certs.d" / host
        path.mkdir(parents=True, exist_ok=True)
        (path / "hosts.toml").write_text(text)
        return path
    return write


@pytest.fixture
def node(make_node, folder):
    return make_node(f'[images]\nhosts-dir = "{folder}/certs.d"\npinned = ["{FAR}/pinned:1", "{FAR}/user:latest"]\n')


def pull(cri, image, **fields):
    return cri.PullImage(image={"image": image}, **fields)["image_ref"]


def status(cri, image, **fields):
    return cri.ImageStatus(image={"image": image}, **fields)


def pull_call(cri, image):
    """A PullImage that the test can cancel."""
    method = cri.methods["PullImage"]
    request_type = method.input_type._concrete_class
    call = cri.channel.unary_unary("/runtime.v1.ImageService/PullImage", request_serializer=request_type.SerializeToString,
                                   response_deserializer=method.output_type._concrete_class.FromString)
    return call.future(json_format.ParseDict({"image": {"image": image}}, request_type()), timeout=120)


# --- mirrors ---


def test_mirrors_are_asked_in_turn(cri, mirror, hosts):
    """One is down, one does not have it, the third has: no credentials go to any, and each knows whose images it gives."""
    absent, good = mirror(status=404), mirror()
    hosts(FAR, f'[host."http://127.0.0.1:1"]\n[host."{absent.url}"]\n[host."{good.url}"]\n')
    image = pull(cri, f"{FAR}/busybox:latest", auth={"username": "me", "password": "secret"})
    assert status(cri, f"{FAR}/busybox:latest")["image"]["id"] == image
    assert absent.paths()[0] == good.paths()[0] == f"/v2/busybox/manifests/latest?ns={FAR}"
    assert all(path.endswith(f"?ns={FAR}") for path in good.paths())
    assert not [headers for _, headers in absent.requests + good.requests if "Authorization" in headers]


def test_wrong_content_of_a_mirror_comes_from_the_next(cri, mirror, hosts):
    wrong, good = mirror(corrupt=True), mirror()
    hosts(FAR, f'[host."{wrong.url}"]\n[host."{good.url}"]\n')
    pull(cri, f"{FAR}/busybox:latest")
    blobs = [path for path in good.paths() if "/blobs/" in path]
    assert blobs and set(blobs) <= set(wrong.paths())
    assert not [path for path in good.paths() if "/manifests/" in path]  # those of the first were right


def test_the_registry_itself_is_last(cri, mirror, hosts, registry):
    """Also when the only mirror has nothing; under the name that avoids a colon."""
    absent = mirror(status=404)
    hosts(registry.address.replace(":", "_") + "_", f'[host."{absent.url}"]\n')
    pull(cri, registry.image("busybox:latest"))
    assert absent.requests


def test_what_a_mirror_may_be_asked_for(cri, mirror, hosts):
    """"resolve" tells tags, "pull" gives content; a server may be named."""
    resolver, content, server = mirror(), mirror(), mirror()
    hosts(FAR, f'server = "{server.url}"\n[host."{content.url}"]\ncapabilities = ["pull"]\n'
               f'[host."{resolver.url}"]\ncapabilities = ["resolve"]\n')
    pull(cri, f"{FAR}/busybox:latest")
    assert [path.split("?")[0] for path in resolver.paths()] == ["/v2/busybox/manifests/latest"]
    assert content.paths() and not [path for path in content.paths() if path.split("?")[0].endswith("latest")]
    assert not server.requests
    pull(cri, f"{FAR}/busybox@" + digest_of(cri, f"{FAR}/busybox:latest"))  # by digest no tag is resolved
    assert len(resolver.requests) == 1


def digest_of(cri, image):
    return status(cri, image)["image"]["repo_digests"][0].split("@")[1]


def test_the_file_is_read_with_every_pull(cri, mirror, hosts, refused):
    first, second = mirror(), mirror()
    path = hosts(FAR, f'[host."{first.url}"]\n')
    pull(cri, f"{FAR}/busybox:latest")
    hosts(FAR, f'[host."{second.url}"]\n')
    before = len(first.requests)
    pull(cri, f"{FAR}/user:latest")
    assert second.requests and len(first.requests) == before
    hosts(FAR, 'server = "https://x"\n[host."http://a"]\ncapabilities = ["dance"]\n')
    with refused("INVALID_ARGUMENT", 'hosts.toml: host."http://a".capabilities: expected "pull"'):
        pull(cri, f"{FAR}/busybox:latest")
    hosts("_default", f'[host."{second.url}"]\n')
    os.unlink(path / "hosts.toml")
    pull(cri, f"{FAR}/busybox:latest")


def test_headers_and_a_path_of_its_own(cri, mirror, hosts):
    one = mirror(prefix="/proxy/api")
    hosts(FAR, f'[host."{one.url}/proxy/api"]\noverride_path = true\n[host."{one.url}/proxy/api".header]\n'
               'X-Team = ["blue"]\nAuthorization = "Basic bWlycm9yOnB3"\n')
    pull(cri, f"{FAR}/busybox:latest")
    assert all(path.startswith("/proxy/api/busybox/") for path in one.paths())
    assert all(headers["X-Team"] == "blue" and headers["Authorization"] == "Basic bWlycm9yOnB3"
               for _, headers in one.requests)


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out",
                    folder / f"{name}.pem"], check=True, capture_output=True)
    return folder / f"{name}.pem", folder / f"{name}.key"


def test_certificates_of_both_sides(cri, mirror, hosts, folder, refused):
    """Authorities and a client's certificate beside the file; without them the mirror is not believed."""
    certificate, key = make_certificate(folder, "server")
    client, client_key = make_certificate(folder, "client")
    one = mirror(tls=server_tls(certificate, key, clients=client))
    path = hosts(FAR, f'server = "{one.url}"\n')
    with refused("UNAVAILABLE", "certificate"):
        pull(cri, f"{FAR}/busybox:latest")
    for file in (certificate, client, client_key):
        (path / file.name).write_bytes(file.read_bytes())
    hosts(FAR, f'server = "{one.url}"\nca = "server.pem"\n')
    with pytest.raises(grpc.RpcError):  # it wants to see ours
        pull(cri, f"{FAR}/busybox:latest")
    hosts(FAR, f'server = "{one.url}"\nca = ["server.pem"]\nclient = [["client.pem", "client.key"]]\n')
    pull(cri, f"{FAR}/busybox:latest")


def test_a_mirror_that_is_not_verified(cri, mirror, hosts, folder):
    one = mirror(tls=server_tls(*make_certificate(folder, "server")))
    hosts(FAR, f'[host."{one.url}"]\nskip_verify = true\n')
    pull(cri, f"{FAR}/busybox:latest")


# --- credentials ---


@pytest.fixture
def closed_registry(make_registry, image_layout, folder):
    """A registry that wants to know who asks."""
    line = subprocess.run(["htpasswd", "-Bbn", "me", "secret"], capture_output=True, text=True, check=True).stdout
    (folder / "htpasswd").write_text(line)
    server = make_registry(htpasswd=folder / "htpasswd")
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", "--dest-creds=me:secret",
                    f"oci:{image_layout.path}:busybox", "docker://" + server.image("busybox:latest")], check=True)
    return server


def test_credentials_of_a_call(cri, closed_registry, refused):
    image = closed_registry.image("busybox:latest")
    encoded = base64.b64encode(b"me:secret").decode()
    with refused("PERMISSION_DENIED", "user and password"):
        pull(cri, image)
    with refused("PERMISSION_DENIED", "needs other credentials"):
        pull(cri, image, auth={"username": "me", "password": "guess"})
    with refused("INVALID_ARGUMENT", "base64"):
        pull(cri, image, auth={"auth": "!!!"})
    with refused("PERMISSION_DENIED"):  # they are for somebody else
        pull(cri, image, auth={"username": "me", "password": "secret", "server_address": "https://index.docker.io/v1/"})
    for auth in ({"username": "me", "password": "secret"}, {"auth": encoded},
                 {"auth": encoded, "server_address": closed_registry.address},
                 {"username": "me", "password": "secret", "server_address": f"http://{closed_registry.address}/v2/"}):
        pull(cri, image, auth=auth)
    with refused("PERMISSION_DENIED"):  # nothing is remembered
        pull(cri, image)


def test_a_token_of_a_call(cri, mirror, hosts):
    """It is shown to a registry that asks, and to no mirror."""
    class Asking(Mirror):
        def answer(self, handler):
            if handler.headers.get("Authorization") != "Bearer sesame":
                handler.send_response(401)
                handler.send_header("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:1/token",service="x"')
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return None
            return super().answer(handler)
    source = mirror()
    asking = Asking(source.address)
    silent = mirror(status=404)
    try:
        hosts(FAR, f'server = "{asking.url}"\n[host."{silent.url}"]\n')
        pull(cri, f"{FAR}/busybox:latest", auth={"registry_token": "sesame"})
        assert silent.requests and not [1 for _, headers in silent.requests if "Authorization" in headers]
    finally:
        asking.close()


# --- what is told of images ---


def test_one_id_everywhere(kubelet):
    reference = pull(kubelet, kubelet.image)
    image = status(kubelet, kubelet.image)["image"]
    assert image["id"] == reference and reference.startswith("sha256:")
    assert [one["id"] for one in kubelet.ListImages()["images"]] == [reference]
    container = kubelet.create(kubelet.run_pod(), SLEEP)
    listed = kubelet.ListContainers()["containers"][0]
    told = kubelet.status(container)
    assert listed["image_id"] == listed["image_ref"] == told["image_id"] == told["image_ref"] == reference
    for name in (reference, reference.removeprefix("sha256:"), reference[7:20], image["repo_digests"][0]):
        assert status(kubelet, name)["image"]["id"] == reference, name


def test_size_user_and_details(cri, registry):
    pull(cri, registry.image("busybox:latest"))
    pull(cri, registry.image("user:latest"))
    plain = status(cri, registry.image("busybox:latest"), verbose=True)
    assert int(plain["image"]["size"]) > 100_000
    assert plain["image"]["uid"].get("value", "0") == "0" and "username" not in plain["image"]
    assert '"architecture"' in plain["info"][0]["value"]
    named = status(cri, registry.image("user:latest"))["image"]
    assert named.get("username") or named["uid"]["value"] != "0"
    assert "image" not in status(cri, registry.image("absent:latest"))


def test_pinned_by_the_configuration_and_by_the_others_use(cri, node, mirror, hosts):
    hosts(FAR, f'[host."{mirror().url}"]\n')
    for name in ("busybox", "user"):
        pull(cri, f"{FAR}/{name}:latest")
    assert status(cri, f"{FAR}/user:latest")["image"]["pinned"] is True
    assert "pinned" not in status(cri, f"{FAR}/busybox:latest")["image"]
    node.axle("run", "-d", "--name", "other", f"{FAR}/busybox:latest", "sleep", "1000")
    assert status(cri, f"{FAR}/busybox:latest")["image"]["pinned"] is True
    node.axle("rm", "-f", "other")
    assert "pinned" not in status(cri, f"{FAR}/busybox:latest")["image"]


# --- removal ---


def test_axled_answers_while_an_image_goes(cri, node, registry, refused):
    """The removal waits for the store's lock, in a process of its own: the node does not, and the image is nobody's."""
    image = registry.image("busybox:latest")
    pull(cri, image)
    with open(os.path.join(node.root, "images", "lock"), "rb") as lock, ThreadPoolExecutor(3) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        removals = [pool.submit(lambda: cri.RemoveImage(image={"image": image})) for _ in range(3)]
        wait_until(lambda: workers(node), "the job that removes", 30)
        assert cri.Version()["runtime_name"] == "axle"
        assert cri.ListImages()["images"]
        assert not any(removal.done() for removal in removals)
        config = {"metadata": {"name": "p", "uid": "u", "namespace": "n"}}
        pod = cri.RunPodSandbox(config=config)["pod_sandbox_id"]
        with refused("NOT_FOUND", "being removed"):
            cri.CreateContainer(pod_sandbox_id=pod, config={"metadata": {"name": "c"}, "image": {"image": image}})
        cri.RemovePodSandbox(pod_sandbox_id=pod)
        fcntl.flock(lock, fcntl.LOCK_UN)
        for removal in removals:  # the same image, three at a time
            removal.result(60)
    assert "images" not in cri.ListImages()
    cri.RemoveImage(image={"image": image})
    assert not os.listdir(os.path.join(node.root, "images", "layers"))
    pull(cri, image)  # and it can come back


def test_an_image_in_use_stays(kubelet, refused):
    container = kubelet.create(kubelet.run_pod(), SLEEP)
    with refused("FAILED_PRECONDITION", "in use"):
        kubelet.RemoveImage(image={"image": kubelet.image})
    kubelet.RemoveContainer(container_id=container)
    kubelet.RemoveImage(image={"image": kubelet.image})
    assert "images" not in kubelet.ListImages()


def test_the_command_line_removes_by_name_and_whole(node, registry):
    image = registry.image("busybox:latest")
    node.axle("pull", image)
    node.axle("rmi", image)
    assert image not in node.axle("images")


# --- pulls that are cut off, and shared ones ---


@pytest.fixture
def hanging(mirror, hosts):
    one = mirror(hang=threading.Event())
    hosts(FAR, f'server = "{one.url}"\n')
    return one


def workers(node):
    """The image jobs that axled runs now."""
    found = []
    for thread in os.listdir(f"/proc/{node.process.pid}/task"):
        with open(f"/proc/{node.process.pid}/task/{thread}/children", encoding="utf-8") as file:
            for pid in file.read().split():
                try:
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                        found += [pid] if comm.read().strip() == "aximage-worker" else []
                except OSError:
                    pass
    return found


def await_worker(node, hanging):
    wait_until(lambda: [path for path in hanging.paths() if "/blobs/" in path] and workers(node), "a pull under way", 60)


def test_a_client_that_leaves_ends_its_pull(cri, node, hanging):
    call = pull_call(cri, f"{FAR}/busybox:latest")
    await_worker(node, hanging)
    call.cancel()
    wait_until(lambda: not workers(node), "the end of the worker", 60)
    assert "images" not in cri.ListImages()
    assert not os.listdir(os.path.join(node.root, "images", "ingest"))


def test_a_pull_has_a_deadline(cri, node, hanging, refused):
    started = time.monotonic()
    with refused("DEADLINE_EXCEEDED"):
        cri.PullImage(image={"image": f"{FAR}/busybox:latest"}, call_seconds=3)
    assert time.monotonic() - started < 60
    wait_until(lambda: not workers(node), "the end of the worker", 60)


def test_pulls_of_one_image_share_one_job(cri, node, hanging):
    """Each blob is asked for once; who leaves does not end it for the others."""
    clients = [cri_module.connect(str(ROOT), node.cri_socket) for _ in range(4)]
    try:
        calls = [pull_call(client, f"{FAR}/busybox:latest") for client in clients]
        await_worker(node, hanging)
        calls[0].cancel()
        hanging.hang.set()  # what it has sent so far is too short: it is asked for again, and comes
        hanging.hang = None
        references = {call.result(60).image_ref for call in calls[1:]}
        assert len(references) == 1
        assert [path for path in hanging.paths() if path.endswith("/manifests/latest")] == ["/v2/busybox/manifests/latest"]
        assert not [one for one in calls[1:] if one.code() != grpc.StatusCode.OK]
    finally:
        for client in clients:
            client.close()
