"""Every relative link in the documentation leads to a file that is there."""
import os
import re

import tree

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)]*)?\)")


def check(root):
    problems = []
    for path in tree.files(root, ".md"):
        for number, line in enumerate(tree.read(root, path).split("\n"), 1):
            for target in LINK.findall(line):
                if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
                    problems.append(f"{path}:{number}: links to {target}, which is not there")
    return problems
