"""The processes of the demo, and the questions asked of them.

Everything runs below one folder, listens on loopback only and ends with the
System, by process id.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import child_process  # noqa: E402 (needs the path)
import demo_nodes  # noqa: E402
from zookeeper_ensemble import ZooKeeperEnsemble  # noqa: E402

SAMPLE = ROOT / "samples" / "alcor-machine-200.json"
SAMPLE_HOSTS = 200
# Joins at once when there are several nodes, where each waits for a lease.
JOINS_AT_ONCE = 10


class System:
    """Nodes with what belongs to them; ends all on exit."""

    def __init__(self, folder, preset="dev"):
        self.folder = pathlib.Path(folder)
        self.bin = ROOT / "build" / preset / "bin"
        self.clusters = []  # (name, zone, bootstrap, admin)
        self.server = ""  # HOST:PORT of the nodes, separated by commas
        self.http = ""  # of the first node
        self.nodes = None  # SharedNodes, if there are several
        self.failover_ms = 0  # how long nobody was in office
        self._quorum = contextlib.ExitStack()
        self._processes = {}
        self._members = {}
        self.run = self.folder / "run"
        self.run.mkdir(parents=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        with self._quorum:  # which ends after the nodes
            self._end_processes()

    def _end_processes(self):
        for process in reversed(list(self._processes.values())):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in reversed(list(self._processes.values())):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name, *command):
        parent = os.getpid()
        with open(self.folder / f"{name}.log", "a") as log:
            process = subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.PIPE,
                stderr=log, text=True, start_new_session=True,
                preexec_fn=lambda: child_process.die_with_parent(parent))
        self._processes[name] = process
        return process

    def process(self, name):
        return self._processes[name]

    def ended(self):
        """Names of the processes that run no more."""
        return [name for name, process in self._processes.items()
                if process.poll() is not None]

    def tail(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text()[-2000:] if path.exists() else ""

    def tail_of_nodes(self):
        return "\n".join(self.tail(name) for name in self._processes
                         if name.startswith("kafed"))

    def start_embedded_kafka(self, name):
        control = self.folder / f"{name}.sock"
        process = self.start(name, self.bin / "embedded_kafka", "--brokers", 1,
                             "--control", control)
        bootstrap = process.stdout.readline().strip()
        if not bootstrap:
            raise RuntimeError(f"{name} did not start:\n{self.tail(name)}")
        return bootstrap, f"embedded:{control}"

    def start_node(self, listen="127.0.0.1:0"):
        """The only node, with a log of its own."""
        self.server, self.http = demo_nodes.start(
            self, "kafed", self.folder / "data", listen)

    def start_nodes(self, count):
        """So many nodes; several share a log in a ZooKeeper server."""
        if count == 1:
            self.start_node()
            return
        quorum = self._quorum.enter_context(
            ZooKeeperEnsemble(self.folder / "quorum"))
        self.nodes = demo_nodes.SharedNodes(self, count, quorum.servers)
        self.server = ",".join(self.nodes.addresses)
        self.http = self.nodes.https[0]
        self.nodes.wait_all()

    def _node_of(self, number):
        """The node that a client is told; it learns the others from it."""
        addresses = self.server.split(",")
        return addresses[number % len(addresses)]

    def ctl(self, *arguments, want_json=False):
        command = [str(self.bin / "kafedctl"), "--server", self.server,
                   *(["-o", "json"] if want_json else []),
                   *[str(argument) for argument in arguments]]
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[3:])}: {done.stderr}")
        return json.loads(done.stdout) if want_json else done.stdout

    def status(self):
        return self.ctl("status", want_json=True)

    # --- the fleet ---

    def import_hosts(self, total, zones):
        self.ctl("host", "import", SAMPLE, "--region", "eu")
        generated = self.folder / "hosts.csv"
        with open(generated, "w") as out:
            out.write("id,region,zone,rack\n")
            for i in range(total - SAMPLE_HOSTS):
                out.write(f"host-{i:06d},eu,{zones[i % len(zones)]},"
                          f"r{i // 40}\n")
        if total > SAMPLE_HOSTS:
            self.ctl("host", "import", generated)
        self._zone_hosts = {
            zone: [f"host-{i:06d}" for i in range(total - SAMPLE_HOSTS)
                   if i % len(zones) == z]
            for z, zone in enumerate(zones)}
        sample = json.loads(SAMPLE.read_text())["Hosts"]
        self._sample_hosts = [host["id"] for host in sample]

    def hosts_of_zone(self, zone):
        return self._zone_hosts[zone] or self._sample_hosts[-10:]

    def create_vpcs(self, count):
        for i in range(count):
            self._members[f"vpc-{i}"] = self._first_members(i)
        with concurrent.futures.ThreadPoolExecutor(
                JOINS_AT_ONCE if self.nodes else 1) as pool:
            list(pool.map(self._create_vpc, self._members))
        with open(self.run / "members.tsv", "w") as out:
            for vpc, members in self._members.items():
                for host in members:
                    out.write(f"{vpc}\t{host}\t0\t0\n")

    def _first_members(self, i):
        # vpc-0 and vpc-1 begin in one zone, others span all.
        if i < 2:
            hosts = self.hosts_of_zone(list(self._zone_hosts)[0])
            members = hosts[i * 6:i * 6 + 6]
        else:
            members = [self._sample_hosts[(i * 5 + j) % SAMPLE_HOSTS]
                       for j in range(5)]
            for hosts in self._zone_hosts.values():
                members += hosts[i * 3:i * 3 + 2]
        return list(dict.fromkeys(members))

    def _create_vpc(self, vpc):
        self.ctl("vpc", "create", vpc)
        self.ctl("vpc", "add-hosts", vpc, *self._members[vpc])

    def join(self, vpc, hosts):
        hosts = [host for host in hosts if host not in self._members[vpc]]
        started = time.time_ns()
        self.ctl("vpc", "add-hosts", vpc, *hosts)
        acknowledged = time.time_ns()
        self._members[vpc] += hosts
        with open(self.run / "members.tsv", "a") as out:
            for host in hosts:
                out.write(f"{vpc}\t{host}\t{started}\t{acknowledged}\n")

    def wait_until_ready(self, timeout=240):
        deadline = time.monotonic() + timeout
        while True:
            topics = self.ctl("topic", "list", want_json=True)
            missing = sum(topic["kafka_topics"] - topic["kafka_topics_ready"]
                          for topic in topics)
            markers = int(self.status()["pending_markers"])
            if missing == 0 and markers == 0:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{missing} Kafka topics and {markers} markers are "
                    f"missing after {timeout} s:\n{self.tail_of_nodes()}")
            time.sleep(0.1)
        self._write_keys()

    def _write_keys(self):
        hosts = self._sample_hosts + [
            host for each in self._zone_hosts.values() for host in each]
        for topic, ids in (("nca", hosts), ("vpc", list(self._members)),
                           ("elb", [each["id"] for each in self.ctl(
                               "resource", "list", want_json=True)])):
            with open(self.run / f"keys.{topic}.tsv", "w") as out:
                out.writelines(f"{topic}/{name}\n" for name in ids)
        with open(self.run / "clusters.tsv", "w") as out:
            for name, _, bootstrap, _ in self.clusters:
                out.write(f"{name}\t{bootstrap}\n")

    # --- the traffic ---

    def pick_real_agents(self, count):
        """Members of VPCs first, the joiners among them, then others."""
        joiners = [hosts[-k:] for hosts, k in zip(
            list(self._zone_hosts.values())[1:], (3, 2))]
        wanted = [host for each in joiners for host in each[:1]]
        for members in self._members.values():
            wanted += members[:2]
        wanted += self._sample_hosts
        wanted += [host for each in self._zone_hosts.values() for host in each]
        return list(dict.fromkeys(wanted))[:count]

    def start_agents(self, real):
        process = self.start("agents", self.bin / "kafed_demo", "agents",
                             "--server", self._node_of(0), "--folder",
                             self.run,
                             *(["--real", *real] if real else []))
        line = process.stdout.readline().strip()
        if line != "ready":
            raise RuntimeError(f"the agents did not start:\n"
                               f"{self.tail('agents')}")
        return process

    def start_producer(self, number, seconds, rate, repeats):
        name = f"dpm-{number}"
        return self.start(name, self.bin / "kafed_demo", "produce",
                          "--server", self._node_of(number), "--folder",
                          self.run, "--name", name, "--seconds", seconds,
                          "--rate", rate, "--repeats", repeats)

    def longest_pause_ms(self):
        """Between two messages that one producer accepted one after the
        other: it does not accept any while it has no route to use."""
        longest = 0
        for path in self.run.glob("sent.*"):
            times = [int(line.split("\t")[2])
                     for line in path.read_text().splitlines()]
            longest = max([longest, *(
                after - before for before, after in zip(times, times[1:]))])
        return longest // 1_000_000

    def traffic(self):
        """Rough figures for the screen only; the checker counts by itself."""
        sizes = {"sent": 0, "got": 0}
        for path in self.run.iterdir():
            kind = path.name.split(".")[0]
            if kind in sizes:
                sizes[kind] += path.stat().st_size // 40
        return sizes

    def tamper(self, how):
        """Falsifies one agent's ledger, as a broken agent would."""
        path = next(path for path in sorted(self.run.glob("got.*"))
                    if len(path.read_text().splitlines()) > 3)
        lines = path.read_text().splitlines()
        if how == "drop":
            del lines[1]
        elif how == "repeat":
            lines.insert(1, lines[1])
        else:
            first, second = self._two_of_one_key(lines)
            lines[first], lines[second] = lines[second], lines[first]
        path.write_text("\n".join(lines) + "\n")

    @staticmethod
    def _two_of_one_key(lines):
        seen = {}
        for i, line in enumerate(lines):
            agent, producer, _, key = line.split("\t")
            if (agent, producer, key) in seen:
                return seen[agent, producer, key], i
            seen[agent, producer, key] = i
        raise RuntimeError("no two messages of one key to swap")

    def check(self, kafka, hosts, real):
        done = subprocess.run(
            [self.bin / "kafed_demo", "check", "--folder", self.run, "--kafka",
             kafka, "--sub-clusters", str(len(self.clusters)), "--hosts",
             str(hosts), "--agents-real", str(real), "--agents-shared",
             str(hosts - real)], capture_output=True, text=True, timeout=300)
        sys.stderr.write(done.stderr)
        return done.returncode, done.stdout.strip()
