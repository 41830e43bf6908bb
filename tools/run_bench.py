"""Runs every benchmark program of the release build, one after the other.

Arguments are passed to each program, such as --benchmark_filter=REGEX.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    programs = sorted((ROOT / "build/release/bin").glob("*_bench"))
    if not programs:
        sys.exit("bench: the release build has no program named *_bench")
    failed = []
    for program in programs:
        print(f"== {program.name}", flush=True)
        if subprocess.run([program, *sys.argv[1:]], check=False).returncode:
            failed.append(program.name)
    if failed:
        sys.exit("bench: failed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
