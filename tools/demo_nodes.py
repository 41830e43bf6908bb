"""The nodes of the demo: one with a log of its own, or several over one
ZooKeeper. Each is a process of the System they are started for.
"""

import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)

LISTENING = "listening on "
HTTP = "http on "
OFFICE_TIMEOUT_S = 60
POLL_S = 0.1
# A join that gives a VPC a new home waits for the whole lease when there are
# several nodes. The session is how long a killed coordinator keeps its office.
SHARED_FLAGS = ["--multicast-lease-ms", 2000,
                "--log-session-timeout-ms", 4000]


def start(system, name, folder, listen, *flags):
    """Starts a node; the addresses of its gRPC and HTTP."""
    process = system.start(
        name, system.bin / "kafed", "serve", "--data-dir", folder, "--listen",
        listen, "--http-listen", "127.0.0.1:0", "--free-space-floor-bytes",
        16 << 20, "--reconcile-interval-ms", 500, *flags)
    found = []
    for words in (LISTENING, HTTP):
        line = process.stdout.readline()
        if not line.startswith(words):
            raise RuntimeError(f"the node did not start:\n{system.tail(name)}")
        found.append(line[len(words):].strip())
    return found


class SharedNodes:
    """Several nodes over one log: node 1, node 2 and so on."""

    def __init__(self, system, count, log_servers):
        self._system = system
        self._log_servers = log_servers
        # Fixed ports: a node comes back on its own.
        self.addresses = [f"127.0.0.1:{child_process.free_port()}"
                          for _ in range(count)]
        self.https = [self.start(number)
                      for number in range(1, len(self.addresses) + 1)]

    @staticmethod
    def name(number):
        return f"kafed-{number}"

    def start(self, number):
        """Starts a node, also one that was killed; its HTTP address."""
        own = self.addresses[number - 1]
        peers = [each for each in self.addresses if each != own]
        _, http = start(
            self._system, self.name(number),
            self._system.folder / f"data-{number}", own, "--log-backend",
            "zookeeper", "--log-servers", self._log_servers, "--log-path",
            "/kafed", "--peers", ",".join(peers), *SHARED_FLAGS)
        return http

    def pid(self, number):
        return self._system.process(self.name(number)).pid

    def kill(self, number):
        process = self._system.process(self.name(number))
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _list(self):
        """{number: what `kafedctl node list` says of it}."""
        known = {each["address"]: each for each in self._system.ctl(
            "node", "list", want_json=True)}
        return {number: known[address]
                for number, address in enumerate(self.addresses, 1)
                if address in known}

    def runs(self, number):
        return self._system.process(self.name(number)).poll() is None

    def coordinator(self):
        """Who is in office and runs; 0: nobody just now."""
        return next((number for number, each in self._list().items()
                     if each["coordinator"] and self.runs(number)), 0)

    def is_back(self, number):
        """Whether a node runs, answers and knows all that the others do."""
        each = self._list().get(number, {})
        return self.runs(number) and bool(each.get("reachable")) and \
            int(each["lag_entries"]) == 0

    def wait_all(self):
        """Until every node answers and one of them is the coordinator."""
        self.wait(lambda: self.coordinator() and all(
            self.is_back(number)
            for number in range(1, len(self.addresses) + 1)))

    def wait(self, condition):
        for _ in self.waiting(condition):
            pass

    def waiting(self, condition):
        """Yields now and then until the condition holds."""
        deadline = time.monotonic() + OFFICE_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(
                    self._system.tail(self.name(number))
                    for number in range(1, len(self.addresses) + 1))
                raise RuntimeError(f"the nodes do not agree:\n{logs}")
            yield
            time.sleep(POLL_S)
