"""What .editorconfig asks of each line: tabs in C, no white space at an end, and a line that fits, a newline at the end.
clang-format is a tool for authors and no check: it tears hand-aligned tables apart (docs/decisions)."""
import tree

COLUMNS_MAX = 144  # 120 is the aim (.editorconfig); past this a line no longer fits beside another
TAB_COLUMNS = 8
TEXT = (".c", ".h", ".py", ".sh", ".proto", ".build", ".md", ".yaml", ".toml")
ANY_WIDTH = (".md", ".yaml", ".toml")


def check(root):
    problems = []
    for path in tree.files(root, *TEXT):
        text = tree.read(root, path)
        if text and not text.endswith("\n"):
            problems.append(f"{path}: no newline at the end")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                problems.append(f"{path}:{number}: white space at the end of the line")
            if not path.endswith(ANY_WIDTH) and len(line.expandtabs(TAB_COLUMNS)) > COLUMNS_MAX:
                problems.append(f"{path}:{number}: {len(line.expandtabs(TAB_COLUMNS))} columns: expected at most {COLUMNS_MAX}")
            if path.endswith((".c", ".h")) and line.startswith("    "):
                problems.append(f"{path}:{number}: indented by spaces: expected tabs")
    return problems
