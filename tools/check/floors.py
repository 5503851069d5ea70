"""Includes reach downwards only, never sideways between parts, never into another part's private headers, and never in a
ring (docs/ARCHITECTURE.md, "Floors")."""
import os
import re

import tree

# folder -> the folders that it may include, besides itself
CORE = ["core/base", "core/sys", "core/codec", "core/net"]
PARTS = ["runtime", "image", "signals", "vmm", "audio"]
REACH = {
    "core/base": [],
    "core/fuzz": CORE,
    "core/sys": ["core/base"],
    "core/codec": ["core/base", "core/sys"],
    "core/net": ["core/base", "core/sys", "core/codec"],
    "proto": CORE,
    **{part: CORE + ["proto"] for part in PARTS},
    "manager": CORE + ["proto"] + PARTS,
    "agent": CORE + ["proto"] + PARTS + ["manager"],
    "cli": CORE + ["proto"] + PARTS + ["manager"],
    # benchmarks and system tests look at every part from outside
    "bench": CORE + ["proto"] + PARTS + ["manager"],
    "tests": CORE + ["proto"] + PARTS + ["manager"],
}
ANY_FLOOR_MAY_USE = ["core/fuzz"]  # only targets do: fuzz_*.c

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]')


def floor_of(path):
    return next((folder for folder in sorted(REACH, key=len, reverse=True) if path.startswith(folder + "/")), None)


def includes(root, path):
    for number, line in enumerate(tree.read(root, path).split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def resolve(root, path, kind, target):
    """The file of the tree that an include names, or None: a header of the system or a generated one."""
    if os.path.isfile(os.path.join(root, target)):
        return target
    public = re.fullmatch(r"axle/(\w+)\.h", target)  # <part>/include/axle/<part>.h, where a part puts it on the path
    if public:
        for part in REACH:
            candidate = f"{part}/include/{target}"
            if os.path.isfile(os.path.join(root, candidate)):
                return candidate
    beside = os.path.normpath(os.path.join(os.path.dirname(path), target))
    if kind == '"' and os.path.isfile(os.path.join(root, beside)):
        return beside
    return None


def violation(path, target):
    """What is wrong with @path including @target, or None."""
    own, other = floor_of(path), floor_of(target)
    if own is None:
        return f"is on no floor: expected one of {' '.join(REACH)}"
    if other is None:
        return f"includes {target}, which is on no floor"
    if own == other or os.path.basename(path).startswith(("fuzz_", "replay")) and other in ANY_FLOOR_MAY_USE:
        return None
    joins = re.fullmatch(r"\w+/cmd/[\w-]+\.c", path) is not None
    if other not in REACH[own] and not joins:
        return f"includes {target}: {own} may include {', '.join(REACH[own]) or 'nothing'} and itself"
    if not other.startswith("core/") and other != "proto" and "/include/" not in target:
        return f"includes {target}, a private header of {other}: expected {other}/include/axle/"
    return None


def rings(graph):
    """Every ring of includes once, as the list of its files."""
    state, stack, found = {}, [], []

    def visit(node):
        state[node] = "open"
        stack.append(node)
        for target in graph.get(node, []):
            if state.get(target) == "open":
                found.append(stack[stack.index(target):] + [target])
            elif target not in state:
                visit(target)
        stack.pop()
        state[node] = "done"

    for node in sorted(graph):
        if node not in state:
            visit(node)
    return found


def check(root):
    problems, graph = [], {}
    for path in tree.files(root, ".c", ".h"):
        for number, kind, name in includes(root, path):
            target = resolve(root, path, kind, name)
            if target is None:
                continue
            if kind == '"' and name != target and not name.startswith("axle/"):
                problems.append(f'{path}:{number}: includes "{name}": expected "{target}", spelled from the root')
            graph.setdefault(path, []).append(target)
            problem = violation(path, target)
            if problem:
                problems.append(f"{path}:{number}: {problem}")
    for ring in rings(graph):
        problems.append(f"{ring[0]}: an include ring: {' -> '.join(ring)}")
    return problems
