"""Each program's manual page and its --help name the same options and commands. Needs the stage (tools/build.sh)."""
import os
import re
import shutil
import subprocess

import tree

OPTION = re.compile(r"(?<![\w-])--([a-z0-9][a-z0-9-]+)")
COMMANDS = re.compile(r"^[A-Z]?[\w -]*commands:?$", re.IGNORECASE)
COMMAND = re.compile(r"^\s+([a-z][a-z0-9-]*)(?:\s|$)")
DEPTH_MAX = 3


def program_path(stage, name):
    for folder in ("bin", "libexec/axle"):
        candidate = os.path.join(stage, folder, name)
        if os.access(candidate, os.X_OK):
            return candidate
    return None


def help_of(command):
    run = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=10, check=False,
                         stdin=subprocess.DEVNULL)
    return run.stdout if run.returncode == 0 else None


def commands_in(text):
    """The words at the head of the lines below a "Commands:" heading."""
    names, inside = [], False
    for line in text.split("\n"):
        if COMMANDS.match(line):
            inside = True
        elif inside and line and not line[0].isspace():
            inside = False
        elif inside and COMMAND.match(line) and len(line) - len(line.lstrip()) <= 4:
            names.append(COMMAND.match(line).group(1))
    return names


def documented(command, depth=0):
    """(options, commands) that --help of @command and of each command below it show; None where there is no --help."""
    text = help_of(command)
    if text is None:
        return None
    options, names = set(OPTION.findall(text)), set(commands_in(text))
    for name in sorted(names) if depth < DEPTH_MAX else []:
        below = documented([*command, name], depth + 1)
        if below:
            options |= below[0]
            names |= below[1]
    return options, names


def plain(path):
    """The text of a manual page as a reader sees it, on lines of any length."""
    run = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=1000", path], capture_output=True, text=True, check=False)
    return re.sub(".\b", "", run.stdout)  # bold and underlined by overstriking


def mistakes(root, path):
    """What mandoc finds wrong with a page."""
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "error", path], cwd=root, capture_output=True, text=True,
                         check=False)
    return [line.replace("mandoc: ", "", 1) for line in run.stdout.split("\n") if line]


def check(root):
    if not shutil.which("mandoc"):
        return ["mandoc is not installed: expected Debian's mandoc"]
    stage = os.environ.get("AXLE_STAGE") or os.path.join(root, os.environ.get("BUILD", "build"), "stage")
    problems, described = [], set()
    for path in tree.files(root):
        match = re.fullmatch(r"docs/man/([\w-]+)\.([18])", path)
        if not match:
            continue
        name = match.group(1)
        described.add(name)
        program = program_path(stage, name)
        if not program:
            problems.append(f"{path}: there is no program {name}")
            continue
        shown = documented([program])
        if shown is None:
            problems.append(f"{name} --help fails")
            continue
        problems += mistakes(root, path)
        text = plain(os.path.join(root, path))
        written = set(OPTION.findall(text))
        problems += [f"{path}: lacks --{option}, which {name} --help shows" for option in sorted(shown[0] - written)]
        problems += [f"{path}: has --{option}, which {name} --help does not show"
                     for option in sorted(written - shown[0] - {"help", "version"})]
        problems += [f"{path}: lacks the command {verb}" for verb in sorted(shown[1])
                     if not re.search(rf"(?<![\w-]){re.escape(verb)}(?![\w-])", text)]
    for folder in ("bin", "libexec/axle"):
        for name in sorted(os.listdir(os.path.join(stage, folder)) if os.path.isdir(os.path.join(stage, folder)) else []):
            if name not in described:
                problems.append(f"{name} has no manual page: expected docs/man/{name}.1 or .8")
    return problems
