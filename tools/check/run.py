#!/usr/bin/python3
"""run.py [CHECK...]: runs the checks of this folder on the tree (all of them, or those named) and prints "ok NAME" or the
violations and "FAILED NAME". Each check is a module with check(root), which returns one line for each violation; each is
proven by a seeded violation in tests/tools/."""
import importlib
import os
import sys

CHECKS = ["floors", "rings", "headers", "forbidden", "sizes", "paths", "tara", "man", "layout", "links"]
SHOWN_MAX = 40


def main():
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    root = os.path.dirname(os.path.dirname(here))
    failed = False
    for name in sys.argv[1:] or CHECKS:
        problems = importlib.import_module(name).check(root)
        for problem in problems[:SHOWN_MAX]:
            print(f"  {problem}")
        if len(problems) > SHOWN_MAX:
            print(f"  ... and {len(problems) - SHOWN_MAX} more")
        print(f"{'FAILED' if problems else 'ok'} {name}", flush=True)
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
