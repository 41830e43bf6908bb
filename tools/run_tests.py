"""The test command behind `./dev test`: every part, its time, one last line.

Parts, in this order:
  lint   formatting, layering, file limits; clang-tidy of what changed, which
         runs beside the other parts and is waited for at the end
  unit   the dev build: its unit tests, and those system tests that are about
         resources, which a sanitizer would change
  tsan   the suites labelled tsan, with clang's ThreadSanitizer
  asan   unit and integration tests with address and undefined sanitizers
  fuzz   every fuzz target: its kept inputs, then a fixed number of new ones
  helm   the chart, rendered and checked against Kubernetes' own schemas

The last line is "N passed, N failed, N skipped" over all that ran. A skipped
test fails the command: here everything that a test needs is set up.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tally import Tally  # noqa: E402 (needs the path)

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = os.environ.get("KAFED_JOBS", "2")
TESTS_AT_ONCE = "2"


def run(command, **kwargs):
    print("$ " + " ".join(str(word) for word in command), flush=True)
    return subprocess.run(command, cwd=ROOT, check=False, **kwargs).returncode


def set_up(*parts):
    if run(["bash", "tools/setup.sh", *parts]):
        sys.exit("test: the set-up failed")


def build(preset, tally, *targets):
    """Configures and builds a preset; a failure counts as one failed test."""
    if run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL):
        tally.fail(f"{preset}: configure")
        return False
    if run(["cmake", "--build", f"build/{preset}", "-j", JOBS,
            *(["--target", *targets] if targets else [])]):
        tally.fail(f"{preset}: build")
        return False
    return True


def gtest_counts(path):
    """(passed, failed, skipped) of one GoogleTest report."""
    root = ElementTree.parse(path).getroot()
    cases = list(root.iter("testcase"))
    failed = sum(case.find("failure") is not None for case in cases)
    skipped = sum(
        case.find("failure") is None
        and (case.get("result") == "skipped"
             or case.find("skipped") is not None)
        for case in cases)
    ran = sum(case.get("status") != "notrun" for case in cases)
    return max(0, ran - failed - skipped), failed, skipped


def count_entry(case, reports, tally):
    """Adds one ctest entry: its GoogleTest cases where it reports them."""
    name, status = case.get("name"), case.get("status")
    report = reports / f"{name}.xml"
    if status in ("notrun", "disabled"):
        tally.skip(name)
        return
    passed, failed, skipped = 1, 0, 0
    if report.exists():
        passed, failed, skipped = gtest_counts(report)
    elif status == "fail":
        passed = 0
    tally.passed(passed)
    for _ in range(skipped):
        tally.skip(name)
    # A program can also fail outside its cases: a leak, a crash, a time-out.
    if status == "fail" and not failed:
        failed = 1
    for _ in range(failed):
        tally.fail(name)


def ctest(preset, tally, select, env=None, wrap=()):
    folder = ROOT / "build" / preset
    reports = folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    junit = reports / "ctest.junit"
    environment = {**os.environ, "GTEST_OUTPUT": f"xml:{reports}/",
                   "KAFED_ROOT": str(ROOT), **(env or {})}
    run([*wrap, "ctest", "--test-dir", f"build/{preset}", "-j", TESTS_AT_ONCE,
         "--output-on-failure", "--no-tests=error", "--output-junit",
         str(junit), *select], env=environment)
    if not junit.exists():
        tally.fail(f"{preset}: ctest did not run")
        return
    cases = list(ElementTree.parse(junit).getroot().iter("testcase"))
    if not cases:
        tally.fail(f"{preset}: no test was selected")
    for case in cases:
        count_entry(case, reports, tally)


class Tidy:
    """clang-tidy in the background: tests wait much, and it needs nothing."""

    STATE = ROOT / "build" / ".setup"
    COUNTS = STATE / "tidy.tally"
    SAID = STATE / "tidy.out"
    process = None

    @classmethod
    def start(cls):
        cls.COUNTS.unlink(missing_ok=True)
        command = ["nice", "-n", "19", sys.executable, "tools/lint.py",
                   "--part", "tidy", "--tally", str(cls.COUNTS)]
        print("$ " + " ".join(command) + " &", flush=True)
        with cls.SAID.open("wb") as said:
            cls.process = subprocess.Popen(command, cwd=ROOT, stdout=said,
                                           stderr=said, process_group=0)

    @classmethod
    def end(cls, tally):
        cls.process.wait()
        print(cls.SAID.read_text(), end="", flush=True)
        tally.add_file(cls.COUNTS, "lint")

    @classmethod
    def kill(cls):
        """Where the command itself is ended before."""
        if cls.process is not None and cls.process.poll() is None:
            os.killpg(cls.process.pid, signal.SIGKILL)
            cls.process.wait()


def part_lint(tally):
    set_up("build")
    counts = Tidy.STATE / "lint.tally"
    counts.unlink(missing_ok=True)
    run([sys.executable, "tools/lint.py", "--part", "first", "--tally",
         str(counts)])
    tally.add_file(counts, "lint")
    Tidy.start()


def part_unit(tally):
    set_up("build", "kafka", "python")
    if build("dev", tally):
        ctest("dev", tally, ["-L", "^(unit|system)$", "-LE", "^integration$"])


def fixed_addresses():
    """A prefix: clang 14's runtimes dislike some address space layouts."""
    wrap = ["setarch", "-R"]
    if subprocess.run([*wrap, "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        wrap = []
    return wrap


def part_tsan(tally):
    set_up("build")
    if not build("tsan", tally):
        return
    options = ("ignore_noninstrumented_modules=1 detect_deadlocks=0 "
               f"halt_on_error=1 suppressions={ROOT}/tools/tsan.supp")
    ctest("tsan", tally, ["-L", "^tsan$"], {"TSAN_OPTIONS": options},
          fixed_addresses())


def part_asan(tally):
    set_up("build", "kafka", "etcd", "python", "linearizability")
    if not build("asan", tally):
        return
    ctest("asan", tally, ["-L", "^(unit|integration)$"],
          {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
           "LSAN_OPTIONS": f"suppressions={ROOT}/tools/lsan.supp:"
                           "print_suppressions=0",
           "UBSAN_OPTIONS": "print_stacktrace=1"})


def part_fuzz(tally):
    set_up("build")
    if not build("fuzz", tally, "fuzz_targets"):
        return
    ctest("fuzz", tally, ["-L", "^fuzz$"],
          {"UBSAN_OPTIONS": "print_stacktrace=1"}, fixed_addresses())


def part_helm(tally):
    set_up("build", "python", "helm_tools")
    counts = ROOT / "build" / ".setup" / "helm.tally"
    counts.unlink(missing_ok=True)
    run(["bash", "tools/check_chart.sh", str(counts)])
    tally.add_file(counts, "helm")


PARTS = {"lint": part_lint, "unit": part_unit, "tsan": part_tsan,
         "asan": part_asan, "fuzz": part_fuzz, "helm": part_helm}


def main():
    parser = argparse.ArgumentParser(
        prog="./dev test", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS,
                        help="run only this part (may be repeated)")
    chosen = parser.parse_args().part or list(PARTS)
    tally, times = Tally(), []

    def timed(name, part):
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        before = tally.counts()
        part(tally)
        now = tally.counts()
        times.append((name, time.monotonic() - start,
                      [b - a for a, b in zip(before, now)]))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for name in PARTS:
            if name in chosen:
                timed(name, PARTS[name])
        if Tidy.process is not None:
            timed("tidy", Tidy.end)
    finally:
        Tidy.kill()
    print("\npart      seconds  passed  failed  skipped")
    for name, seconds, (passed, failed, skipped) in times:
        print(f"{name:<8} {seconds:8.0f} {passed:7} {failed:7} {skipped:8}")
    tally.report()
    print(tally.line(), flush=True)
    return 0 if tally.clean() else 1


if __name__ == "__main__":
    sys.exit(main())
