"""The files of the tree that a check looks at."""
import os
import re

SKIPPED_FOLDERS = {".git", ".cache", "__pycache__", ".pytest_cache", "node_modules", "corpus"}

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def files(root, *suffixes):
    """Paths relative to @root, sorted; build folders are left out."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS and not (folder == str(root) and f.startswith("build"))]
        for name in names:
            if name == ".git":  # of a work tree: a file
                continue
            if not suffixes or name.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def code_lines(text):
    """The lines of C without comments and with empty strings; line numbers stay true."""
    def blank(match):
        return "\n" * match.group().count("\n") if match.group()[0] == "/" else '""'
    return COMMENT_OR_STRING.sub(blank, text).split("\n")
