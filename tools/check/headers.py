"""Every header compiles alone: whoever includes it needs to know nothing of what it needs."""
import concurrent.futures
import os
import shlex
import subprocess

import tree

LIBRARIES = ["jansson", "libuv", "libnghttp2", "libprotobuf-c", "libcurl", "libcrypto", "libzstd", "zlib", "libseccomp",
             "libcap", "check", "yaml-0.1"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-DAXLE_VERSION=\"0\"", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"]


def library_flags():
    flags = []
    for library in LIBRARIES:
        found = subprocess.run(["pkg-config", "--cflags", library], capture_output=True, text=True, check=False)
        flags += shlex.split(found.stdout)
    return flags


def include_folders(root):
    """The root, each part's include folder, and where the build puts generated headers."""
    folders = [root]
    for part in sorted(os.listdir(root)):
        if os.path.isdir(os.path.join(root, part, "include")):
            folders.append(os.path.join(root, part, "include"))
    build = os.path.join(root, os.environ.get("BUILD", "build"))
    for folder in ("", "proto"):
        if os.path.isdir(os.path.join(build, folder)):
            folders.append(os.path.join(build, folder))
    return folders


def check(root):
    root = os.path.abspath(root)
    flags = FLAGS + library_flags() + ["-I" + folder for folder in include_folders(root)]

    def compile_alone(path):
        # Included twice, so that a missing #pragma once is found as well.
        text = f'#include "{path}"\n#include "{path}"\n'
        run = subprocess.run([os.environ.get("CC", "cc"), *flags, "-"], input=text, cwd=root, capture_output=True,
                             text=True, check=False)
        error = next((line for line in run.stderr.split("\n") if "error:" in line), run.stderr.strip()[:200])
        return None if run.returncode == 0 else f"{path}: does not compile alone: {error}"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problem in pool.map(compile_alone, tree.files(root, ".h")) if problem]
