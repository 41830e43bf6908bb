"""Counts of passed, failed and skipped checks, and the names of the bad."""

import collections


class Tally:
    """Passed, failed and skipped checks of one run.

    A tally file is how a script that is not Python reports: one line a check,
    "pass NAME", "fail NAME" or "skip NAME".
    """

    def __init__(self):
        self._passed = 0
        self._failed = collections.Counter()
        self._skipped = collections.Counter()

    def passed(self, count):
        self._passed += count

    def fail(self, name):
        self._failed[name] += 1

    def skip(self, name):
        self._skipped[name] += 1

    def add_file(self, path, name):
        """Adds a tally file; one that is missing or empty is a failure."""
        lines = path.read_text().splitlines() if path.exists() else []
        if not lines:
            self.fail(f"{name}: ended before any check")
        for line in lines:
            verdict, _, check = line.partition(" ")
            if verdict == "pass":
                self.passed(1)
            elif verdict == "skip":
                self.skip(f"{name}: {check}")
            else:
                self.fail(f"{name}: {check}")

    def counts(self):
        return (self._passed, sum(self._failed.values()),
                sum(self._skipped.values()))

    def clean(self):
        passed, failed, skipped = self.counts()
        return passed > 0 and not failed and not skipped

    def report(self):
        for word, names in (("failed", self._failed),
                            ("skipped", self._skipped)):
            for name, count in sorted(names.items()):
                print(f"{word}: {name}" + (f" ({count})" if count > 1 else ""))

    def line(self):
        return "{} passed, {} failed, {} skipped".format(*self.counts())
