"""The installed tree that the tests drive: build/stage, or AXLE_STAGE."""
import os


class Stage:
    def __init__(self, path):
        self.path = os.path.realpath(path)
        self.build = os.path.dirname(os.path.abspath(path))  # where programs are that are never installed

    def program(self, name):
        """The absolute path of an installed program."""
        for folder in ("bin", "libexec/axle"):
            candidate = os.path.join(self.path, folder, name)
            if os.access(candidate, os.X_OK):
                return candidate
        raise FileNotFoundError(f"{self.path} has no program {name}: run tools/build.sh")

    def programs(self):
        """The paths of all installed programs."""
        folders = [os.path.join(self.path, folder) for folder in ("bin", "libexec/axle")]
        return [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in sorted(os.listdir(folder))]

    def has(self, name):
        return any(os.access(os.path.join(self.path, folder, name), os.X_OK) for folder in ("bin", "libexec/axle"))
