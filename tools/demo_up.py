"""./dev up and down: a system that runs until it is told to end.

A process of its own, the holder, has all others as its children; they cannot
outlive it, so `down` ends one process. While it lives it keeps a lock on
DIR/lock (DIR: --state); DIR/state.json says what it is and, once all is ready,
how to reach it. A lock, because a process id may have become another's.

As a program, with what `up` was asked for as JSON, this is the holder.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)
from demo_federation import build_federation, kafka  # noqa: E402
from demo_screen import Screen  # noqa: E402
from demo_system import System  # noqa: E402

POLL_S = 0.1
END_TIMEOUT_S = 90
FOLDER_PREFIX = "kafed-up-"

USAGE = """kafed is up with {hosts:,} hosts on three {kafka} sub-clusters.

  export KAFED_SERVER={server}
  bin/kafedctl status
  bin/kafedctl route nca/ephost_0 vpc/vpc-0 elb/lb-0 orders/42
  echo hello | bin/kafedctl produce nca/ephost_0
  bin/kafedctl consume nca/ephost_0 -e -o beginning
  curl http://{http}/metrics
{nodes}
End it with ./dev down."""

SEVERAL = """
{count} nodes share one log. Kill the coordinator, with its process id:

  bin/kafedctl node list
  kill -9 {pid}

Some seconds later the list says `unreachable` of {address}
and another node is the coordinator; all commands above work as before.
"""


def nodes_started(count):
    if count == 1:
        return "start a node"
    return f"start {count} nodes over one ZooKeeper"


class State:
    """The lock and the state file of one --state folder."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "up.log"
        self._file = folder / "state.json"

    @contextlib.contextmanager
    def locked(self):
        """Yields whether the lock was free; it is then held in the block."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def read(self):
        """What the holder wrote; {} before it did."""
        try:
            return json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}

    def write(self, **fields):
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(fields))
        new.replace(self._file)

    def remove(self):
        """Also the folder of a holder that could not do it. Needs the lock."""
        folder = self.read().get("folder", "")
        if pathlib.Path(folder).name.startswith(FOLDER_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
        self._file.unlink(missing_ok=True)


def runs(pid):
    """False also for a zombie, which waits for its parent only."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def say_running(state):
    """Ends `up`: what runs already, and what has ended of it."""
    found = state.read()
    text = "up: it is running already"
    if "server" in found:
        text += f", at {found['server']}"
    if found.get("ended"):
        text += f", but {', '.join(found['ended'])} has ended"
    sys.exit(f"{text}; end it with ./dev down")


def up(args):
    state = State(args.state)
    with state.locked() as free:
        if not free:
            say_running(state)
        state.remove()
        log = open(state.log, "w")
    what = "a node" if args.nodes == 1 else f"{args.nodes} nodes"
    print(f"starting {what} on three {args.kafka} sub-clusters; "
          f"details in {state.log}", file=sys.stderr)
    with log, child_process.ending_on_signals():
        holder = subprocess.Popen(
            [sys.executable, __file__, json.dumps(vars(args), default=str)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True)
        try:
            return wait_until_up(args, state, holder)
        except BaseException:  # a signal, such as Ctrl-C, as well
            holder.terminate()
            holder.wait()
            raise


def wait_until_up(args, state, holder):
    while "server" not in (found := state.read()) or \
            found["pid"] != holder.pid:
        if holder.poll() is not None:
            if holder.returncode in (128 + signal.SIGTERM, -signal.SIGTERM):
                sys.exit("up: it was ended before it was ready")
            sys.exit(f"up: it did not start:\n{state.log.read_text()[-3000:]}")
        time.sleep(POLL_S)
    nodes = ""
    if args.nodes > 1:
        nodes = SEVERAL.format(count=args.nodes, **found["coordinator"])
    print(USAGE.format(hosts=args.hosts, kafka=args.kafka, nodes=nodes,
                       server=found["server"], http=found["http"]))
    return 0


def down(args):
    state = State(args.state)
    deadline = time.monotonic() + END_TIMEOUT_S
    told = None
    while True:
        with state.locked() as free:
            # It lets go of the lock as one of the last things it does.
            if free and not (told and runs(told)):
                state.remove()
                print("down: every process has ended" if told
                      else "down: nothing is up")
                return 0
            pid = told or state.read().get("pid")
        if not free and pid and not told:
            told = pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            sys.exit(f"down: process {pid} does not end")
        time.sleep(POLL_S)


def describe(system):
    """How to reach the nodes, and which one to kill if there are several."""
    found = {"server": system.server, "http": system.http}
    if system.nodes:
        number = system.nodes.coordinator()
        found["coordinator"] = {
            "pid": system.nodes.pid(number),
            "address": system.nodes.addresses[number - 1]}
    return found


def hold(args):
    """The holder: builds everything, then waits for SIGTERM."""
    state = State(args.state)
    with child_process.ending_on_signals(), state.locked() as free:
        if not free:
            say_running(state)
        folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
        found = {"pid": os.getpid(), "folder": folder}
        state.write(**found)
        try:
            with System(folder, args.preset) as system, \
                    kafka(args, system) as system.clusters:
                system.start_nodes(args.nodes)
                build_federation(args, system, Screen(sys.stderr))
                found.update(describe(system))
                state.write(**found)
                while True:
                    if system.ended() != found.get("ended", []):
                        found["ended"] = system.ended()
                        state.write(**found)
                    time.sleep(POLL_S)
        finally:
            state.remove()


if __name__ == "__main__":
    asked = argparse.Namespace(**json.loads(sys.argv[1]))
    asked.state = pathlib.Path(asked.state)
    try:
        hold(asked)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f"up: {error}")
