"""Each check of tools/check/ passes on a clean tree and sees the violation it is there for."""
import importlib
import os
import stat

import pytest

PAGE = """.Dd January 1, 2026
.Dt PROG 1
.Os
.Sh NAME
.Nm prog
.Nd a program
.Sh OPTIONS
.Bl -tag -width Ds
{0}
.El
"""
FILES = {
    "core/base/low.h": "#pragma once\nint low(void);\n",
    "core/base/low.c": '#include "core/base/low.h"\nint low(void)\n{\n\treturn 0;\n}\n',
    "core/sys/mid.h": '#pragma once\n#include "core/base/low.h"\nint mid(void);\n',
    "image/include/axle/image.h": "#pragma once\nint image(void);\n",
    "image/src/store.h": "#pragma once\nint store(void);\n",
    "image/src/store.c": '#include "image/src/store.h"\n#include "core/sys/mid.h"\n',
    "manager/src/pull.c": '#include "image/include/axle/image.h"\n',
    "runtime/include/axle/runtime.h": "#pragma once\nint runtime(void);\n",
    "tests/test_real.py": "def test_it():\n    pass\n\n\nclass TestGroup:\n    def test_inside(self):\n        pass\n",
    "docs/tara/image.yaml": """
- id: IMG-01
  asset: the store
  threat: a layer writes outside
  attack_path: a link in a layer
  impact: severe
  feasibility: high
  treatment: "reduce: opened beneath"
  tests: [tests/test_real.py::test_it, "tests/test_real.py::TestGroup::test_inside"]
- id: IMG-02
  asset: the store
  threat: a full disk
  attack_path: a large image
  impact: moderate
  feasibility: low
  treatment: "retain: the operator sees it"
  tests: []
""",
    "docs/tara/cves.md": "| CVE-2020-0001 | a link | `tests/test_real.py::test_it` |\n",
    "docs/man/prog.1": PAGE.format(".It Fl Fl name Ar NAME\na\n.It Fl Fl quiet\nb\n.It Cm run\nc"),
    "docs/index.md": "# Index\n[threats](tara/image.yaml) [out](https://example.org)\n",
}
HELP = "usage: prog\n  --name NAME  a name\n  --quiet  say nothing\nCommands:\n  run  run it\n"


def write(root, path, text):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def install(root, name, text):
    """A program that answers --help with @text."""
    program = write(root, f"build/stage/bin/{name}", f"#!/bin/sh\n[ $# -eq 1 ] || exit 1\ncat <<'END'\n{text}END\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small clean tree."""
    monkeypatch.delenv("AXLE_STAGE", raising=False)
    monkeypatch.setenv("BUILD", "build")
    for path, text in FILES.items():
        write(tmp_path, path, text)
    install(tmp_path, "prog", HELP)
    return tmp_path


def problems(check, root):
    return importlib.import_module(check).check(str(root))


@pytest.mark.parametrize("check", ["floors", "rings", "headers", "forbidden", "sizes", "paths", "tara", "man", "layout",
                                   "links"])
def test_clean_tree_passes(tree, check):
    assert problems(check, tree) == []


# What is added to the clean tree, which check sees it, and what it says.
SEEDS = [
    ("floors", "core/base/up.c", '#include "core/sys/mid.h"\n', "core/base may include nothing"),
    ("floors", "image/src/side.c", '#include "runtime/include/axle/runtime.h"\n', "image may include"),
    ("floors", "manager/src/private.c", '#include "image/src/store.h"\n', "a private header of image"),
    ("floors", "image/src/near.c", '#include "store.h"\n', "spelled from the root"),
    ("floors", "strange/new.c", '#include "core/base/low.h"\n', "is on no floor"),
    ("headers", "image/src/needy.h", "#pragma once\nsize_t needy(void);\n", "does not compile alone"),
    ("headers", "image/src/twice.h", "struct twice { int a; };\n", "does not compile alone"),
    ("forbidden", "image/src/copy.c", 'void f(char *a)\n{\n\tstrcpy(a, "b");\n}\n', "strcpy"),
    ("forbidden", "image/src/jump.c", "int f(void)\n{\n\tgoto out;\nout:\n\treturn 0;\n}\n", "goto"),
    ("sizes", "image/src/long.c", "\n" * 801, "801 lines"),
    ("paths", "docs/place.md", "see /home" + "/somebody/src/x\n", "/somebody/"),
    ("layout", "image/src/wide.c", "/* " + "x" * 150 + " */\n", "columns"),
    ("layout", "image/src/space.c", "int a; \n", "white space"),
    ("layout", "image/src/indent.c", "int f(void)\n{\n    return 0;\n}\n", "expected tabs"),
    ("layout", "image/src/end.c", "int a;", "no newline"),
    ("links", "docs/bad.md", "[gone](nowhere.md)\n", "nowhere.md"),
    ("man", "docs/man/prog.1", PAGE.format(".It Fl Fl name\na\n.It Cm run\nb"), "lacks --quiet"),
    ("man", "docs/man/prog.1", PAGE.format(".It Fl Fl name\n.It Fl Fl quiet\n.It Fl Fl loud\n.It Cm run"), "has --loud"),
    ("man", "docs/man/prog.1", PAGE.format(".It Fl Fl name\n.It Fl Fl quiet"), "lacks the command run"),
    ("man", "docs/man/prog.1", PAGE.format(".It Fl Fl name\n.It Fl Fl quiet\n.It Cm run\n.El\n.Xx"), "ERROR"),
    ("man", "docs/man/ghost.1", ".Dd today\n", "there is no program ghost"),
]


@pytest.mark.parametrize("check,path,text,said", SEEDS)
def test_violation_is_seen(tree, check, path, text, said):
    write(tree, path, text)
    found = problems(check, tree)
    assert found and any(said in problem for problem in found), found


def test_program_without_manual_page_is_seen(tree):
    install(tree, "bare", "usage: bare\n")
    assert problems("man", tree) == ["bare has no manual page: expected docs/man/bare.1 or .8"]


def test_include_ring_is_seen(tree):
    write(tree, "image/src/a.h", '#pragma once\n#include "image/src/b.h"\n')
    write(tree, "image/src/b.h", '#pragma once\n#include "image/src/a.h"\n')
    assert any("an include ring" in problem for problem in problems("floors", tree))


def test_module_ring_is_seen(tree):
    """No file includes itself by way of others, and yet neither module can do without the other."""
    write(tree, "image/src/a.h", "#pragma once\n")
    write(tree, "image/src/b.h", "#pragma once\n")
    write(tree, "image/src/a.c", '#include "image/src/a.h"\n#include "image/src/b.h"\n')
    write(tree, "image/src/b.c", '#include "image/src/b.h"\n#include "image/src/a.h"\n')
    assert problems("floors", tree) == []
    assert any("a ring of modules" in problem for problem in problems("rings", tree))


def test_module_in_several_files_is_no_ring(tree):
    write(tree, "image/src/a.h", "#pragma once\n")
    write(tree, "image/src/a_internal.h", '#pragma once\n#include "image/src/a.h"\n')
    write(tree, "image/src/a_read.h", "#pragma once\n")
    write(tree, "image/src/a.c", '#include "image/src/a_internal.h"\n#include "image/src/a_read.h"\n')
    write(tree, "image/src/a_read.c", '#include "image/src/a_read.h"\n#include "image/src/a_internal.h"\n')
    assert problems("rings", tree) == []


def test_main_may_join_parts(tree):
    write(tree, "image/cmd/join.c", '#include "runtime/include/axle/runtime.h"\n')
    assert problems("floors", tree) == []


def test_place_of_the_clone_is_seen(tree):
    write(tree, "docs/here.md", f"built in {os.path.realpath(tree)}/build\n")
    assert any("docs/here.md:1" in problem for problem in problems("paths", tree))


def test_forbidden_word_in_comment_or_string_is_none(tree):
    write(tree, "image/src/words.c", '/* strcpy(a, b) */\nconst char *a = "system(1)"; // goto x\nint do_system(void);\n')
    assert problems("forbidden", tree) == []


ROW = """
- id: {id}
  asset: a
  threat: b
  attack_path: c
  impact: {impact}
  feasibility: low
  treatment: "{treatment}"
  tests: [{tests}]
"""
GOOD = {"id": "NEW-01", "impact": "major", "treatment": "reduce: d", "tests": "tests/test_real.py::test_it"}


@pytest.mark.parametrize("change,said", [
    ({"tests": "tests/test_real.py::test_gone"}, "has no test_gone"),
    ({"tests": "tests/gone.py::test_it"}, "there is no tests/gone.py"),
    ({"tests": "meson:gone"}, "meson has no test gone"),
    ({"tests": ""}, "names no test"),
    ({"impact": "terrible"}, "impact"),
    ({"treatment": "hope"}, "treatment"),
    ({"id": "IMG-01"}, "is also in"),
    ({"id": "one"}, "expected AREA-01"),
])
def test_bad_threat_is_seen(tree, change, said):
    write(tree, "docs/tara/new.yaml", ROW.format(**{**GOOD, **change}))
    assert any(said in problem for problem in problems("tara", tree))


def test_cve_whose_test_is_gone_is_seen(tree):
    write(tree, "docs/tara/cves.md", "| CVE-2020-0001 | a link | `tests/test_real.py::test_gone` |\n")
    assert any("has no test_gone" in problem for problem in problems("tara", tree))


def test_good_threat_passes(tree):
    write(tree, "docs/tara/new.yaml", ROW.format(**GOOD))
    assert problems("tara", tree) == []
