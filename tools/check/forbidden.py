"""Functions that this code does without, and what stands in for them."""
import re

import tree

INSTEAD = {
    "strcpy": "a struct buf, or memcpy with a known size",
    "strcat": "a struct buf",
    "sprintf": "snprintf, asprintf or a struct buf",
    "vsprintf": "vsnprintf, vasprintf or a struct buf",
    "gets": "fgets or getline",
    "atoi": "core/base/parse.h",
    "atol": "core/base/parse.h",
    "atoll": "core/base/parse.h",
    "strtok": "core/base/str.h",
    "system": "posix_spawn or execve with an argument vector",
    "popen": "posix_spawn or execve with an argument vector",
    "goto": "scoped_* (core/base/scoped.h)",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(name for name in INSTEAD if name != "goto") + r")\s*\(|\b(goto)\s+\w")


def check(root):
    problems = []
    for path in tree.files(root, ".c", ".h"):
        for number, line in enumerate(tree.code_lines(tree.read(root, path)), 1):
            for match in CALL.finditer(line):
                name = match.group(1) or match.group(2)
                problems.append(f"{path}:{number}: {name}: expected {INSTEAD[name]}")
    return problems
