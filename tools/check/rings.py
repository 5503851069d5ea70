"""No part holds a ring of modules: foo.c and foo.h are one, and following includes from module to module never leads back
to where it began."""
import os
import re

import floors
import tree


def module_of(path):
    """runtime/src/create.c and runtime/src/create.h are the module runtime/src/create."""
    return re.sub(r"\.[ch]$", "", path)


def check(root):
    graph, known = {}, set(tree.files(root, ".c", ".h"))
    for path in sorted(known):
        for _, kind, name in floors.includes(root, path):
            target = floors.resolve(root, path, kind, name)
            if target is None or module_of(target) == module_of(path):
                continue
            if floors.floor_of(target) == floors.floor_of(path) and "/include/" not in target:
                graph.setdefault(module_of(path), set()).add(module_of(target))
    return [f"{os.path.dirname(ring[0])}: a ring of modules: {' -> '.join(ring)}"
            for ring in floors.rings({node: sorted(targets) for node, targets in graph.items()})]
