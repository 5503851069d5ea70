#!/usr/bin/python3
"""add_seccomp.py CONFIG.JSON: adds the containers' default seccomp profile (Debian's golang-github-containers-common) as a
runtime gets it: architectures and conditions resolved for this machine and the default capabilities."""
import json
import platform
import sys

PROFILE = "/usr/share/containers/seccomp.json"
ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def applies(rule, arch, capabilities):
    """Do the profile's conditions hold for this machine?"""
    includes, excludes = rule.get("includes", {}), rule.get("excludes", {})
    if includes.get("arches") and arch not in includes["arches"]:
        return False
    if includes.get("caps") and not set(includes["caps"]) <= capabilities:
        return False
    if arch in excludes.get("arches", []) or set(excludes.get("caps", [])) & capabilities:
        return False
    return True


def main():
    with open(PROFILE, encoding="utf-8") as file:
        profile = json.load(file)
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    machine = platform.machine()
    capabilities = set(config["process"]["capabilities"]["bounding"])
    rules = []
    for rule in profile["syscalls"]:
        if not applies(rule, GO_NAMES[machine], capabilities):
            continue
        kept = {key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)}
        rules.append(kept)
    config["linux"]["seccomp"] = {
        "defaultAction": profile["defaultAction"],
        "architectures": ARCHITECTURES[machine],
        "syscalls": rules,
    }
    if profile.get("defaultErrnoRet"):
        config["linux"]["seccomp"]["defaultErrnoRet"] = profile["defaultErrnoRet"]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)


if __name__ == "__main__":
    main()
