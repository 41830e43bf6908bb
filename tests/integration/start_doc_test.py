"""Every command of docs/start.md, in order, in one shell.

The page's `sh` blocks are what a reader types. They run with `set -e` in an
empty directory; a command that fails, fails the test and is shown.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "start.md"
BIN = pathlib.Path(os.environ.get("KAFED_BIN", ROOT / "build/dev/bin"))
TIMEOUT_S = 240
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def group_is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class StartDocTest(unittest.TestCase):
    """The page is the script: nothing is added but `set -e`."""

    def run_page(self, script, folder):
        """Runs it in a process group of its own; returns (code, output)."""
        environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}",
                       "KAFED_FREE_SPACE_FLOOR_BYTES": str(1 << 20)}
        environment.pop("KAFED_BIN", None)
        environment.pop("KAFED_SERVER", None)
        output = pathlib.Path(folder) / "output"
        with open(output, "w") as out:
            shell = subprocess.Popen(
                ["bash", "-c", script], cwd=pathlib.Path(folder) / "here",
                env=environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True)
            try:
                code = shell.wait(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                code = f"no end after {TIMEOUT_S} s"
            finally:
                # What the page left running, also after a failure: the
                # group has the shell's process id.
                if group_is_alive(shell.pid):
                    os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
        return code, output.read_text()

    def test_every_command_works_in_order(self):
        blocks = BLOCK.findall(PAGE.read_text())
        self.assertGreater(len(blocks), 5, "blocks of the page")
        script = "set -e -o pipefail\n" + "".join(
            f"echo '== block {number}'\n{block}"
            for number, block in enumerate(blocks, 1))
        with tempfile.TemporaryDirectory(prefix="kafed-start-") as folder:
            (pathlib.Path(folder) / "here").mkdir()
            code, output = self.run_page(script, folder)
            log = pathlib.Path(folder) / "here" / "node.log"
            tail = log.read_text()[-1500:] if log.exists() else ""
        self.assertEqual(code, 0, f"\n{output}\n{tail}")
        for words in ("NCA0{vm0,vm1}", "bind port 1", "security group 7"):
            self.assertIn(words, output)


if __name__ == "__main__":
    sys.exit(unittest.main())
