"""A file past 800 lines holds two concepts."""
import tree

LINES_MAX = 800


def check(root):
    counts = ((path, tree.read(root, path).count("\n")) for path in tree.files(root, ".c", ".h", ".py", ".sh", ".proto"))
    return [f"{path}: {lines} lines: expected at most {LINES_MAX}; split it" for path, lines in counts if lines > LINES_MAX]
