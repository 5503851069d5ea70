"""What a hook says on stderr: its last line is in the runtime's one line about it, and all of it is passed on."""


def hook(script):
    return {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}


def test_the_last_line_of_a_hook_that_fails_is_in_the_error(bundle):
    bundle.args("true")
    bundle.config["hooks"] = hook("echo first >&2; echo the reason >&2; exit 3")
    failed = bundle.run(name="f")
    assert failed.returncode == 1
    assert "createRuntime hook /bin/sh: exit status 3: the reason\n" in failed.stderr and "first\n" in failed.stderr


def test_a_hook_with_much_to_say_neither_waits_nor_fails(bundle):
    bundle.args("echo", "ran")
    bundle.config["hooks"] = hook("i=0; while [ $i -lt 3000 ]; do echo a line of words >&2; i=$((i+1)); done; exit 0")
    done = bundle.run(name="m")
    assert done.returncode == 0 and done.stdout == "ran\n" and "a line of words\n" in done.stderr
    assert len(done.stderr) <= 4096
