"""No part holds a ring of modules: foo.c and foo.h are one, and following includes from module to module never leads back
to where it began. A module may lie in several files: foo_internal.h belongs to foo, and so does each .c that includes it."""
import os
import re

import floors
import tree


def module_of(path):
    """runtime/src/create.c and runtime/src/create.h are the module runtime/src/create."""
    return re.sub(r"(_internal)?\.[ch]$", "", path)


def home_of(path, targets):
    """The module that a file belongs to: of a .c, the one whose internal header it includes."""
    internal = [target for target in targets
                if target.endswith("_internal.h") and os.path.dirname(target) == os.path.dirname(path)]
    is_own_file = path.endswith(".c") and not os.path.basename(path).startswith(("test_", "fuzz_"))
    return module_of(internal[0]) if is_own_file and internal else module_of(path)


def check(root):
    graph, known = {}, set(tree.files(root, ".c", ".h"))
    for path in sorted(known):
        targets = [floors.resolve(root, path, kind, name) for _, kind, name in floors.includes(root, path)]
        own = home_of(path, [target for target in targets if target])
        for target in filter(None, targets):
            if module_of(target) != own and floors.floor_of(target) == floors.floor_of(path) and "/include/" not in target:
                graph.setdefault(own, set()).add(module_of(target))
    return [f"{os.path.dirname(ring[0])}: a ring of modules: {' -> '.join(ring)}"
            for ring in floors.rings({node: sorted(targets) for node, targets in graph.items()})]
