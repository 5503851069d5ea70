"""A store, driven by the image library's own test program."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
# The build folder: the stage lies in it.
BUILD = pathlib.Path(os.environ.get("AXLE_STAGE") or ROOT / os.environ.get("BUILD", "build") / "stage").absolute().parent


class Store:
    """store_tool (image/tests/store_tool.c) on a store of its own."""

    def __init__(self, stage, path):
        self.path = path
        self.worker = stage.program("aximage-worker")
        self.tool = BUILD / "image" / "store_tool"

    def command(self, *arguments):
        return [str(self.tool), "--worker", self.worker, str(self.path), *map(str, arguments)]

    def run(self, *arguments, **options):
        """The finished process, whatever its exit code."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120, check=False, **options)

    def __call__(self, *arguments, **options):
        """What was printed; fails the test where the exit code is not 0."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout.strip()

    def fails(self, *arguments, **options):
        """The last line of a command that must fail: "REASON: MESSAGE"."""
        done = self.run(*arguments, **options)
        assert done.returncode == 1, f"{arguments} gave {done.returncode}: {done.stdout} {done.stderr}"
        return done.stderr.strip().splitlines()[-1]

    def layers(self, name):
        """The directories of an image's layers, lowest first."""
        return [self.path / line for line in self("layers", name).splitlines()]

    def is_empty(self):
        """Whether nothing but the frame of a store is there: no blob, no layer, no job."""
        return not any(os.listdir(self.path / name) for name in ("blobs/sha256", "blobs/sha512", "layers", "ingest"))
