"""The files of the repository, as the checks see them."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPP = (".h", ".cc")
LAYERS = ("common", "proto", "metastore", "federation", "controller",
          "client", "cli")


def git(*arguments):
    """What a git command prints, or None if it fails."""
    # A checkout may belong to another user than the one who tests it.
    result = subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments], cwd=ROOT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return result.stdout.decode() if result.returncode == 0 else None


def files():
    """Tracked and new files that git does not ignore, as relative paths."""
    out = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if out is None:
        raise OSError(f"{ROOT}: git cannot list the files; is it a clone?")
    names = {name for name in out.split("\0") if name}
    return sorted(name for name in names if (ROOT / name).is_file())


def cpp_files():
    return [name for name in files() if name.endswith(CPP)]


def read(name):
    """The text of a file, or None for a binary one."""
    data = (ROOT / name).read_bytes()
    if b"\0" in data:
        return None
    return data.decode("utf-8", "replace")


def in_folder(name, folder):
    return name == folder or name.startswith(folder + "/")
