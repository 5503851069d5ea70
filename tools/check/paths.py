"""No file names a place that exists on one machine only: a home directory, or where this clone lies."""
import os
import re

import tree

# Folders that every machine has: that a clone lies in one of them says nothing.
EVERYWHERE = {"/", "/tmp", "/var/tmp", "/root", "/home", "/usr/src", "/srv", "/opt", "/mnt", "/src", "/build"}
HOME = re.compile(r"/(?:home|Users)/(?!user\b|USER\b|NAME\b|app\b)[A-Za-z0-9._-]+/|(?<![\w}\])*.%])/root/(?!\.)[A-Za-z0-9._-]+/")
BINARY = (".png", ".gz", ".zst", ".tar", ".bin")


def check(root):
    here = os.path.realpath(root)
    places = {place for place in (here, os.path.dirname(here)) if place not in EVERYWHERE}
    own = re.compile("|".join(re.escape(place) + r"(?=[/\s\"'`):,]|$)" for place in places) or "(?!)")
    problems = []
    for path in tree.files(root):
        if path.endswith(BINARY):
            continue
        for number, line in enumerate(tree.read(root, path).split("\n"), 1):
            match = HOME.search(line) or own.search(line)
            if match:
                problems.append(f"{path}:{number}: names a place on one machine: {match.group()}")
    return problems
