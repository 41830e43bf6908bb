"""./dev lint: formatting, layering, file limits, clang-tidy of what changed.

clang-tidy reads the .cc files that differ from the merge base with
origin/main; without that branch (or standing on it), from the commit before.
KAFED_LINT_BASE names another base, --all checks every file. --fix formats.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import check_files
import check_includes
import source_tree

ROOT = source_tree.ROOT
FORMAT = "clang-format-14"
TIDY = "clang-tidy-14"
TIDY_AT_ONCE = 2
DEV_BUILD = ROOT / "build" / "dev"
COMMANDS = ROOT / "build" / ".setup"  # the dev build's, as clang-tidy reads


def check_format(fix):
    names = source_tree.cpp_files()
    if not names:
        return []
    if fix:
        subprocess.run([FORMAT, "-i", *names], cwd=ROOT, check=True)
        return []
    problems = []
    result = subprocess.run([FORMAT, "--dry-run", "-Werror", *names],
                            cwd=ROOT, check=False, stderr=subprocess.PIPE)
    for line in result.stderr.decode().splitlines():
        if "error:" in line:
            problems.append(line.split(" error:")[0] +
                            " not formatted; run ./dev lint --fix")
    if result.returncode and not problems:
        problems.append(result.stderr.decode().strip())
    return sorted(set(problems))


def find_base():
    """The commit that clang-tidy compares with, or None."""
    asked = os.environ.get("KAFED_LINT_BASE")
    if asked:
        base = source_tree.git("rev-parse", "--verify", asked + "^{commit}")
        if base is None:
            sys.exit(f"lint: KAFED_LINT_BASE: no commit '{asked}'")
        return base.strip()
    head = (source_tree.git("rev-parse", "HEAD") or "").strip()
    base = (source_tree.git("merge-base", "HEAD", "origin/main") or
            "").strip()
    if base and base != head:
        return base
    before = source_tree.git("rev-parse", "--verify", "-q", "HEAD~1")
    return before.strip() if before else None


def changed_files():
    base = find_base()
    if base is None:
        print("lint: one commit only, nothing to compare with; clang-tidy "
              "reads nothing (use --all)")
        return []
    print(f"lint: clang-tidy reads what differs from {base[:12]}")
    diff = source_tree.git("diff", "--name-only", "--diff-filter=d", base)
    fresh = source_tree.git("ls-files", "--others", "--exclude-standard")
    return sorted(set((diff or "").splitlines() + (fresh or "").splitlines()))


def make_headers():
    """What clang-tidy reads: the dev build's commands and generated headers."""
    log = ROOT / "build" / ".setup" / "lint-build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        for command in (["cmake", "--preset", "dev"],
                        ["cmake", "--build", "build/dev", "--target",
                         "kafed_proto", "kafed_grpc", "kafed_etcd_grpc",
                         "-j", "2"]):
            if subprocess.run(command, cwd=ROOT, check=False, stdout=out,
                              stderr=out).returncode:
                return [f"'{' '.join(command)}' failed, see {log}"]
    return []


def complaints(output):
    """clang-tidy's output cut into its single complaints."""
    output = output.replace(f"{ROOT}/", "")
    starts = [m.start() for m in
              re.finditer(r"^\S+:\d+:\d+: (error|warning):", output, re.M)]
    return [output[a:b].rstrip()
            for a, b in zip(starts, [*starts[1:], len(output)])]


class Tidy:
    """clang-tidy over some files; clean results are remembered by content."""

    def __init__(self):
        self._cache = ROOT / "build" / ".setup" / "tidy"
        self._cache.mkdir(parents=True, exist_ok=True)
        commands = json.loads(
            (DEV_BUILD / "compile_commands.json").read_text())
        # clang can't read gcc's precompiled headers, and each file is to
        # include what it uses.
        for entry in commands:
            entry["command"] = re.sub(
                r"-Winvalid-pch -include \S+", "", entry["command"])
        (COMMANDS / "compile_commands.json").write_text(json.dumps(commands))
        self.sources = {os.path.relpath(entry["file"], ROOT)
                        for entry in commands}
        self._base = hashlib.sha256(
            (ROOT / ".clang-tidy").read_bytes() +
            "".join(source_tree.read(n) or ""
                    for n in source_tree.files()
                    if n.endswith((".h", ".proto"))).encode()).hexdigest()

    def check(self, name):
        key = hashlib.sha256(
            (self._base + (source_tree.read(name) or "")).encode())
        stamp = self._cache / key.hexdigest()
        if stamp.exists():
            return []
        # Following the paths of a program takes most of the time; a test runs
        # its own.
        less = (["--checks=-clang-analyzer-*"] if name.startswith("tests/")
                else [])
        result = subprocess.run(
            [TIDY, "--quiet", *less, "-p", str(COMMANDS), name], cwd=ROOT,
            check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if result.returncode == 0:
            stamp.touch()
            return []
        return (complaints(result.stdout.decode()) or
                [f"{name}: {result.stderr.decode().strip()}"])


def check_tidy(everything):
    names = source_tree.cpp_files() if everything else changed_files()
    names = [n for n in names if n.endswith(".cc")]
    if not names:
        return []
    tidy = Tidy()
    # Fuzzers, benchmarks and examples are in other builds than this one.
    for name in names:
        if name not in tidy.sources:
            print(f"lint: {name}: not in the dev build, clang-tidy leaves it")
    names = [name for name in names if name in tidy.sources]
    print(f"lint: clang-tidy on {len(names)} files", flush=True)
    with concurrent.futures.ThreadPoolExecutor(TIDY_AT_ONCE) as pool:
        # What is wrong in a header is found by every file that includes it.
        return list(dict.fromkeys(
            p for problems in pool.map(tidy.check, names) for p in problems))


def main():
    parser = argparse.ArgumentParser(
        prog="./dev lint", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fix", action="store_true",
                        help="format instead of complaining")
    parser.add_argument("--all", action="store_true",
                        help="clang-tidy on every file")
    parser.add_argument("--tally", type=pathlib.Path,
                        help=argparse.SUPPRESS)
    # run_tests.py lets clang-tidy run beside the tests.
    parser.add_argument("--part", choices=("first", "tidy"),
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    checks = []
    if args.part != "tidy":
        checks += [("format", lambda: check_format(args.fix)),
                   ("includes", check_includes.check),
                   ("files", check_files.check),
                   ("generated headers", make_headers)]
    if args.part != "first":
        checks += [("clang-tidy", lambda: check_tidy(args.all))]
    failed, lines = False, []
    for name, check in checks:
        problems = check()
        for problem in problems:
            print(problem)
        verdict = "fail" if problems else "pass"
        failed = failed or bool(problems)
        lines.append(f"{verdict} {name}")
        print(f"lint: {name}: {verdict}", flush=True)
    if args.tally:
        args.tally.parent.mkdir(parents=True, exist_ok=True)
        args.tally.write_text("\n".join(lines) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
