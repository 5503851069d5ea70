"""ps, images, inspect, logs, pull, load, rmi, rm, stop, kill, wait, events, version: output as people and scripts read it."""
import json
import os
import re
import subprocess
import time

import pytest


def lines(text):
    return text.split("\n")


def test_ps(node, image, run_detached):
    run_detached("sleep", "100", options=("--name", "web"))
    node.run("run", "--name", "over", image, "sh", "-c", "exit 3")
    heading, row = lines(node.axle("ps"))
    assert heading.split("  ")[0] == "CONTAINER ID"
    assert re.match(r"[0-9a-f]{12}   \S+busybox:latest   sleep 100   .* ago   Up .*   web$", row)
    assert heading.index("NAMES") == row.index("web")
    rows = lines(node.axle("ps", "-a"))
    assert len(rows) == 3
    assert any("Exited (3)" in row and row.endswith("over") for row in rows)
    assert lines(node.axle("ps", "-a", "--filter", "name=over", "--noheading"))[0].endswith("over")
    assert len(lines(node.axle("ps", "-aq"))) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", line) for line in lines(node.axle("ps", "-aq", "--no-trunc")))
    names = {one["name"]: one for one in node.json("ps", "-a", "--format", "json")}
    assert names["over"]["exit"]["code"] == 3
    assert names["web"]["state"] == "CONTAINER_RUNNING"
    assert names["web"]["pid"] > 0


def test_filters(node, image, run_detached):
    run_detached("sleep", "100", options=("--name", "web", "-l", "tier=front"))
    node.axle("run", "--name", "over", image, "true")

    def names(*filters):
        words = [word for one in filters for word in ("--filter", one)]
        return sorted(one["name"] for one in node.json("ps", "-a", "--format", "json", *words))
    assert names("label=tier=front") == ["web"]
    assert names("status=exited") == ["over"]
    assert names(f"ancestor={image}") == ["over", "web"]
    assert names("owner=axle", "status=running") == ["web"]
    assert node.run("ps", "--filter", "shape=round").returncode == 125


def test_owners(node, image, cri, run_detached):
    pod = cri.RunPodSandbox(config={"metadata": {"name": "p", "uid": "u", "namespace": "default"},
                                    "linux": {"security_context": {"namespace_options": {"network": "NODE"}}}})
    container = cri.CreateContainer(pod_sandbox_id=pod["pod_sandbox_id"], sandbox_config={"metadata": {"name": "p"}}, config={
        "metadata": {"name": "theirs"}, "image": {"image": image}, "command": ["sleep", "100"]})["container_id"]
    run_detached("sleep", "100", options=("--name", "ours"))
    assert [one["name"] for one in node.json("ps", "-a", "--format", "json")] == ["ours"]
    everyone = {one["name"]: one["owner"] for one in node.json("ps", "-a", "--all-owners", "--format", "json")}
    assert everyone == {"ours": "axle", "theirs": "cri"}
    assert "OWNER" in lines(node.axle("ps", "-a", "--all-owners"))[0]
    node.axle("rm", "-f", container)


def test_images(node, registry):
    reference = registry.image("busybox:latest")
    pulled = node.axle("pull", "-q", reference)
    assert re.fullmatch("sha256:[0-9a-f]{64}", pulled)
    heading, row = lines(node.axle("images"))
    assert heading.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert row.split()[:3] == [reference.rsplit(":", 1)[0], "latest", pulled[7:19]]
    assert node.axle("images", "-q") == pulled[7:19]
    assert node.json("images", "--format", "json")[0]["id"] == pulled
    assert node.axle("images", "--noheading", "nosuch") == ""
    found = node.json("inspect", reference)[0]
    assert found["config"]["command"] == ["sh"]
    assert found["architecture"]


def test_pull_without_a_terminal_prints_plain_lines(node, registry):
    done = node.run("pull", registry.image("layers:latest"))
    assert done.returncode == 0
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", done.stdout)
    assert "layers" in lines(done.stderr)[0]
    assert done.stderr.count(": done\n") == 3
    assert "\x1b" not in done.stderr
    assert node.run("pull", "-q", registry.image("layers:latest")).stderr == ""


def test_pull_of_several(node, registry):
    done = node.run("pull", "-q", registry.image("busybox:latest"), registry.image("missing:latest"),
                    registry.image("user:latest"))
    assert done.returncode == 125
    assert done.stdout.count("sha256:") == 2
    assert "missing" in done.stderr


def test_rmi(node, registry, image):
    node.axle("run", "--name", "user", image, "true")
    done = node.run("rmi", image)
    assert done.returncode == 2
    assert "in use" in done.stderr
    node.axle("rm", "user")
    assert f"Untagged: {image}" in node.axle("rmi", image)
    assert node.axle("images", "-q") == ""
    assert node.run("rmi", image).returncode == 1
    assert node.run("rmi", "-i", image).returncode == 0


@pytest.mark.parametrize("form", ["folder", "oci-archive", "docker-archive", "standard input"])
def test_load(node, image_layout, folder, form):
    source = f"oci:{image_layout.path}:busybox"
    name = "loaded/image:v1"
    target = {"folder": f"oci:{folder}/layout:{name}", "docker-archive": f"docker-archive:{folder}/a.tar:{name}"}.get(
        form, f"oci-archive:{folder}/a.tar:{name}")
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", source, target], check=True, capture_output=True)
    if form == "standard input":
        with open(folder / "a.tar", "rb") as archive:
            text = node.axle("load", "-q", input=archive.read(), text=False).decode()
    else:
        text = node.axle("load", "-q", "-i", folder / ("layout" if form == "folder" else "a.tar"))
    assert "Loaded image: " in text
    name = text.strip().split("Loaded image: ")[1]
    assert "loaded/image:v1" in name
    assert node.axle("run", "--rm", "--pull", "never", name, "echo", "loaded") == "loaded"


@pytest.mark.parametrize("content, expected",
                         [(b"", "archive"), (b"not an archive at all" * 100, "archive"), (None, "/none.tar")])
def test_load_of_what_is_no_archive(node, folder, content, expected):
    path = folder / "none.tar"
    if content is not None:
        path.write_bytes(content)
    done = node.run("load", "-q", "-i", path)
    assert done.returncode == 125
    assert done.stderr.startswith("axle: ") and done.stderr.count("\n") == 1
    assert expected in done.stderr
    assert node.axle("images", "-aq") == ""


def test_unpack(node, image, folder):
    node.axle("image", "unpack", image, folder / "bundle")
    assert (folder / "bundle/rootfs/bin/busybox").exists()
    config = json.loads((folder / "bundle/config.json").read_text(encoding="utf-8"))
    assert config["process"]["args"] == ["sh"]
    done = node.run("image", "unpack", image, folder / "bundle")
    assert done.returncode == 125
    assert "bundle" in done.stderr


def test_logs(node, image):
    node.axle("run", "--name", "writer", image, "sh", "-c",
              "for i in 1 2 3; do echo line $i; done; echo error >&2; printf unfinished")
    done = node.run("logs", "writer")
    assert done.returncode == 0
    assert done.stdout.startswith("line 1\nline 2\nline 3\n")
    assert "unfinished" in done.stdout
    assert done.stderr == "error\n"
    assert "line 1" not in node.run("logs", "--tail", "2", "writer").stdout
    assert node.run("logs", "--tail", "0", "writer").stdout == ""
    assert node.run("logs", "--tail", "1", "writer").stdout == "unfinished"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1\n", node.run("logs", "-t", "writer").stdout)
    assert node.run("logs", "--since", "1h", "writer").stdout == done.stdout
    assert node.run("logs", "--until", "2020-01-01", "writer").stdout == ""
    assert node.run("logs", "nosuch").returncode == 125
    assert node.run("logs", "--tail", "x", "writer").returncode == 125


def test_logs_follow_until_the_end(node, run_detached):
    run_detached("sh", "-c", "echo first; sleep 0.5; echo second", options=("--name", "slow"))
    began = time.monotonic()
    assert node.axle("logs", "-f", "slow") == "first\nsecond"
    assert time.monotonic() - began < 10


def test_stop_kill_and_wait(node, run_detached):
    run_detached("sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.1; done", options=("--name", "polite"))
    time.sleep(0.3)
    assert node.axle("stop", "polite") == "polite"
    assert node.axle("wait", "polite") == "4"
    run_detached("sleep", "100", options=("--name", "stubborn"))
    waiting = node.popen("wait", "stubborn")
    time.sleep(0.2)
    assert node.axle("kill", "stubborn") == "stubborn"
    assert waiting.communicate(timeout=10)[0] == "137\n"
    assert node.run("kill", "stubborn").returncode == 125
    assert node.run("stop", "nosuch").returncode == 125


def test_rm(node, run_detached):
    run_detached("sleep", "100", options=("--name", "web"))
    done = node.run("rm", "web")
    assert done.returncode == 2
    assert "running" in done.stderr
    assert node.axle("rm", "-f", "web") == "web"
    assert node.run("rm", "web").returncode == 1
    assert node.run("rm", "-f", "web").returncode == 0


def test_several_targets_and_one_that_is_not_there(node, run_detached):
    run_detached("sleep", "100", options=("--name", "a"))
    run_detached("sleep", "100", options=("--name", "b"))
    done = node.run("stop", "-t", "0", "a", "nosuch", "b")
    assert (done.returncode, done.stdout) == (125, "a\nb\n")
    assert done.stderr.count("\n") == 1 and "nosuch" in done.stderr


def test_names_prefixes_and_ids(node, run_detached):
    container = run_detached("sleep", "100", options=("--name", "web"))
    for name in container, container[:12], container[:4], "web":
        assert node.json("inspect", name)[0]["summary"]["id"] == container
    assert node.run("inspect", "nosuch").returncode == 125


def test_events(node, image):
    process = node.popen("events", "--format", "json")
    time.sleep(0.3)
    node.axle("run", "--rm", "--name", "brief", image, "true")
    seen = []
    while not seen or seen[-1]["action"] != "removed":
        seen.append(json.loads(process.stdout.readline()))
        if seen[-1]["type"] != "container":
            seen.pop()
    process.terminate()
    process.communicate()
    actions = [event["action"] for event in seen]
    assert actions[0] == "created" and "started" in actions and "exited" in actions
    assert all(event["name"] == "brief" for event in seen)


def test_version_and_info(node):
    text = node.axle("version")
    assert "Client:" in text and "Server:" in text
    assert node.json("version", "--format", "json")["server"]["node"] == node.name
    info = node.json("info", "--format", "json")
    assert info["node"] == node.name and info["root"] == node.root
    assert f"Node:         {node.name}" in node.axle("info")


def test_client_version_needs_no_daemon(node):
    assert "Server" not in node.axle("version", "--client", start=False)
    done = node.run("version", start=False)
    assert done.returncode == 125 and "Client:" in done.stdout


def test_helps_need_no_daemon(node):
    text = node.axle("--help", start=False)
    verbs = re.findall(r"^  ([a-z]+) ", text.split("Commands:")[1].split("Options:")[0], re.MULTILINE)
    assert len(verbs) > 15
    for verb in verbs:
        assert f"Usage: axle {verb}" in node.axle(verb, "--help", start=False)


def test_completion_script_is_a_script(node):
    script = node.axle("completion", "bash", start=False)
    reply = subprocess.run(["bash", "-c", script + '\nCOMP_WORDS=(axle run --entr) COMP_CWORD=2\n_axle\necho "${COMPREPLY[@]}"'],
                           capture_output=True, text=True, check=True)
    assert reply.stdout == "--entrypoint\n"


@pytest.mark.parametrize("words", [("frob",), ("run",), ("ps", "extra"), ("ps", "--shiny"), ("ps", "--format", "yaml"),
                                   ("image", "frob"), ("stop",), ("pull",), ("logs", "a", "b")])
def test_wrong_words_are_one_line(node, words):
    done = node.run(*words, start=False, env={"AXLE_SOCKET": "/nonexistent"})
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("axle: ") and done.stderr.count("\n") == 1
