#!/usr/bin/env python3
"""Runs critest, the validation suite of CRI servers (kubernetes-sigs/cri-tools), untouched, against a node of its own.

    CRITEST=/path/critest CRITEST_IMAGES=/path/mkimages.py tests/conformance/critest.py [--focus REGEX] [--handler crun]

In a private place (tests/lib/sandbox.py): a registry with the suite's images, which mirrors the four hosts that the suite names;
a CNI configuration with Debian's plugins; axled. Prints each spec that failed or was skipped and the sums. Exits 0 where
nothing failed and nothing was skipped beyond what docs/conformance.md lists; `make conformance` runs it."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tools" / "lib")]

import local_registry  # noqa: E402
import node as node_module  # noqa: E402
import sandbox  # noqa: E402
import stage as stage_module  # noqa: E402

HOSTS = ("registry.k8s.io", "gcr.io", "k8s.gcr.io", "docker.io")
SUITE_SECONDS = 3600
CNI_LIST = {
    "cniVersion": "1.0.0", "name": "critest",
    "plugins": [
        {"type": "bridge", "bridge": "critest0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.91.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--focus", action="append", default=[], help="only the specs whose names match")
    parser.add_argument("--skip", action="append", default=[], help="not the specs whose names match")
    parser.add_argument("--handler", default="", help="the runtime handler: axrun, crun, runc")
    parser.add_argument("--list", action="store_true", help="print the outcome of each spec")
    parser.add_argument("--keep", metavar="FOLDER", help="copy the logs and the report there")
    parser.add_argument("--stage", default=os.environ.get("AXLE_STAGE") or ROOT / os.environ.get("BUILD", "build") / "stage")
    return parser.parse_args()


def needed(variable, what):
    path = os.environ.get(variable)
    if not path or not os.path.exists(path):
        sys.exit(f"critest.py: {variable} names {what}: it is {path or 'not set'}")
    return os.path.realpath(path)


def private_etc(folder):
    """/etc of our own where the suite or the plugins look: networks, devices, the clients' configuration."""
    os.makedirs(folder / "net.d")
    with open(folder / "net.d" / "10-critest.conflist", "w", encoding="utf-8") as file:
        json.dump(CNI_LIST, file)
    for path, source in (("/etc/cni/net.d", folder / "net.d"), ("/var/lib/cni", folder / "cni-state"), ("/etc/cdi", folder / "cdi")):
        os.makedirs(path, exist_ok=True)
        os.makedirs(source, exist_ok=True)
        sandbox.mount(source, path, None, sandbox.MS_BIND)
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="utf-8") as file:
        file.write("1")


def configuration(registry):
    """axled.toml: the four hosts are asked for at the registry, and networks are CNI's."""
    return "[cni]\nenabled = true\n" + "".join(f'[[registries]]\nhost = "{host}"\nendpoint = "http://{registry.address}"\n' for host in HOSTS)


def run_suite(critest, node, options, folder):
    command = [critest, "--runtime-endpoint", f"unix://{node.cri_socket}", "--image-endpoint", f"unix://{node.cri_socket}",
               "--config", str(folder / "crictl.yaml"), "--ginkgo.no-color", "--ginkgo.v", "--ginkgo.timeout", f"{SUITE_SECONDS}s",
               "--ginkgo.json-report", str(folder / "report.json")]
    command += [word for pattern in options.focus for word in ("--ginkgo.focus", pattern)]
    command += [word for pattern in options.skip for word in ("--ginkgo.skip", pattern)]
    command += ["--runtime-handler", options.handler] if options.handler else []
    (folder / "crictl.yaml").write_text("")
    with open(folder / "critest.log", "wb") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder, check=False)
    if not (folder / "report.json").exists():
        sys.exit(f"critest.py: critest wrote no report:\n{(folder / 'critest.log').read_text()[-4000:]}")
    with open(folder / "report.json", encoding="utf-8") as file:
        return json.load(file)


def specs_of(report):
    """(name, state, why) of all specs that were to run."""
    for suite in report:
        for spec in suite["SpecReports"] or []:
            if spec["LeafNodeType"] != "It":
                if spec["State"] == "failed":
                    yield spec["LeafNodeType"], "failed", spec["Failure"]["Message"]
                continue
            name = " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])
            why = (spec.get("Failure") or {}).get("Message", "")
            yield name, spec["State"], " ".join(why.split())


def expected_exceptions():
    """The table of docs/conformance.md: (pattern, number of specs, "skipped" or "failed", reason) of each row."""
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) \| (skipped|failed) \| (.+) \|$", text, re.M)
    return [(re.compile(pattern), int(count), state, reason) for pattern, count, state, reason in rows]


def judge(specs, exceptions, is_part):
    """Prints what did not pass; returns how many did so without being listed. @is_part: specs that were left out on purpose have
    no reason and do not count, and a row of the table may match fewer than it says."""
    surprises, seen = 0, {}
    for name, state, why in specs:
        if state == "passed" or (is_part and state == "skipped" and not why):
            continue
        state = "skipped" if state in ("skipped", "pending") else "failed"
        row = next((row for row in exceptions if row[2] == state and row[0].search(name)), None)
        if row:
            seen[row] = seen.get(row, 0) + 1
        else:
            surprises += 1
            print(f"{state}, not listed: {name}\n    {why[:600]}")
    for row in exceptions:
        if seen.get(row):
            print(f"{row[2]}, as listed: {seen[row]} of {row[0].pattern}: {row[3]}")
        if not is_part and seen.get(row, 0) != row[1]:
            surprises += 1
            print(f"docs/conformance.md says {row[1]} {row[2]} of {row[0].pattern}: {seen.get(row, 0)}")
    return surprises


def run_in_place(options, critest, images, folder):
    """A node and a registry in the place that this process is in already; returns the report and what went wrong with the node."""
    stage = stage_module.Stage(options.stage)
    registry = local_registry.Registry(folder / "registry").start()
    private_etc(folder / "etc")
    subprocess.run(["/usr/bin/python3", images, f"http://{registry.address}"], check=True, stdout=subprocess.DEVNULL)
    node = node_module.Node(stage, folder / "node", f"axcritest{os.getpid()}", configuration(registry)).start()
    try:
        return run_suite(critest, node, options, folder), node.clean()
    finally:
        node.kill()
        registry.stop()


def keep_logs(folder, target):
    os.makedirs(target, exist_ok=True)
    for path in (folder / "report.json", folder / "critest.log", folder / "node" / "axled.log"):
        if path.exists():
            shutil.copy(path, target)


def summary(specs, options):
    """Prints the outcome; returns the exit code."""
    for name, state, _ in specs if options.list else []:
        print(f"{state:8} {name}")
    surprises = judge(specs, expected_exceptions(), bool(options.focus or options.skip))
    sums = {state: sum(1 for spec in specs if spec[1] == state) for state in sorted({spec[1] for spec in specs})}
    print(f"{len(specs)} specs: " + ", ".join(f"{count} {state}" for state, count in sums.items()))
    return 1 if surprises else 0


def main():
    options = arguments()
    critest, images = needed("CRITEST", "the suite's program"), needed("CRITEST_IMAGES", "mkimages.py of the suite's images")
    sandbox.enter()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="axcritest", dir="/var/tmp"))
    try:
        report, problems = run_in_place(options, critest, images, folder)
        code = summary(list(specs_of(report)), options)
        for problem in problems:
            print(f"afterwards: {problem}")
    finally:
        if options.keep:
            keep_logs(folder, options.keep)
        if not sandbox.mount_points(str(folder)):
            subprocess.run(["rm", "-rf", "--one-file-system", folder], check=False)
    sys.exit(1 if problems else code)


if __name__ == "__main__":
    main()
