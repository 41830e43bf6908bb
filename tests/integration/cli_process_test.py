"""kafedctl and kafed as programs: arguments, addresses, and how they end."""

import signal
import subprocess
import time
import unittest

from cli_case import BIN, NOBODY, PATIENCE_S, ROOT, SAMPLES, CliCase, serve


class CliProcessTest(CliCase):
    def serve(self, name):
        node, address = serve(self.path, name)
        self.addCleanup(node.stop)
        return node, address

    def test_a_stopped_node_is_waited_for(self):
        node, address = self.serve("stopped")
        node.process.send_signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            self.fails(1, f"no node answers at {address} within 4s",
                       "status", "--server", address, "--timeout", "4s")
            self.assertGreaterEqual(time.monotonic() - begun, 3.9)
        finally:
            node.process.send_signal(signal.SIGCONT)
        self.ok("status", "--server", address)

    def test_a_node_that_shuts_down_ends_its_streams(self):
        node, address = self.serve("ending")
        with self.running("events", "--follow", server=address,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as follower:
            self.assertIn("incarnation_began", follower.stdout.readline())
            begun = time.monotonic()
            node.process.terminate()
            self.assertEqual(node.process.wait(), 0)
            self.assertLess(time.monotonic() - begun, 3)
            _, error = follower.communicate()
            self.assertIn("the node is shutting down", error)
            self.assertEqual(follower.returncode, 1)

    def kafed_fails(self, code, text, *words):
        done = subprocess.run([BIN / "kafed", *map(str, words)], text=True,
                              capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, code, done.stderr)
        for line in done.stderr.splitlines():
            # Its log, and what it says at the end; nothing of libraries.
            self.assertRegex(line, r"^(\d{4}-\d\d-\S+Z |kafed: |See 'kafed)")
        self.assertIn(text, done.stderr)

    def test_a_node_that_does_not_start_says_why(self):
        words = ("serve", "--http-listen", "off", "--data-dir",
                 self.path / "not-started", "--listen")
        self.kafed_fails(1, f"listen: can't listen on {self.server}: the port "
                         "is in use", *words, self.server)
        self.kafed_fails(1, "not one of this machine", *words, "192.0.2.1:1")
        self.kafed_fails(1, "host 'x.invalid' is not known", *words,
                         "x.invalid:1")
        self.kafed_fails(2, "is a folder", *words, "127.0.0.1:0", "--config",
                         self.path)
        config = self.path / "twice.yaml"
        config.write_text("log_level: info\nlog_level: debug\n")
        self.kafed_fails(2, "log_level: is given twice (again in line 2)",
                         *words, "127.0.0.1:0", "--config", config)
        self.kafed_fails(1, "is not a data directory of kafed", "serve",
                         "--data-dir", SAMPLES, "--listen", "127.0.0.1:0",
                         "--http-listen", "off")
        self.kafed_fails(2, "kafed: a command is missing")
        self.kafed_fails(2, "'bogus' is no command", "bogus")
        self.kafed_fails(2, "'--bogus' was not expected", "serve", "--bogus")
        self.kafed_fails(2, "See 'kafed restore --help'", "restore")

    def test_a_proxy_is_not_asked(self):
        proxy = {"http_proxy": f"http://{self.server}", "no_proxy": ""}
        self.ok("status", env=proxy)
        self.fails(1, "no node answers at 192.0.2.1:7420", "status",
                   "--server", "192.0.2.1:7420", "--timeout", "300ms",
                   env=proxy)

    def test_the_embedded_kafka_says_when_it_ends(self):
        done = subprocess.run([BIN / "embedded_kafka", "--help"], text=True,
                              capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0)
        self.assertIn("--detached", done.stdout)
        self.assertIn("ends with the\nprocess that started it", done.stdout)

    def test_bad_arguments_of_the_shell(self):
        done = subprocess.run(
            [BIN / "kafedctl", "vpc", "create", b"a\xff", "--server",
             self.server], capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr,
                         b"kafedctl: argument 'a?' is not UTF-8\n")
        self.fails(1, "begins with '__'", "topic", "create",
                   "__consumer_offsets", "--kind", "hashed")
        self.fails(1, "HOST:PORT", "cluster", "add", "c", "--region", "eu",
                   "--zone", "z", "--bootstrap", "http://x:9092")
        self.fails(1, "vms of host 'ephost_9': 'a?' holds a control", "vpc",
                   "add-hosts", self.vpc("odd"), "ephost_9", "--vms",
                   "ephost_9=a\n")

    def vpc(self, name):
        self.ok("vpc", "create", name)
        self.addCleanup(self.ok, "vpc", "delete", name, "--cascade", "--yes")
        return name

    def test_servers(self):
        for flag in (("--server", NOBODY), ()):
            done = self.fails(1, f"no node answers at {NOBODY}", "status",
                              *flag, env={"KAFED_SERVER": NOBODY})
            self.assertIn("is kafed running there?", done.stderr)
        self.fails(1, NOBODY, "produce", "orders/1", "--server", NOBODY)
        self.fails(1, NOBODY, "events", "--server", NOBODY)
        # The first of several that answers.
        self.ok("status", "--server", f"{NOBODY},{self.server}")
        self.ok("--timeout", "5s", "status")

    def test_the_next_server_is_asked(self):
        # Nobody is at the first, and the second says nothing.
        node, address = self.serve("first")
        self.addCleanup(node.process.send_signal, signal.SIGCONT)
        node.process.send_signal(signal.SIGSTOP)
        servers = ("--server", f"{NOBODY},{address},{self.server}")
        vpc = f"next-{time.monotonic_ns()}"
        self.assertIn(f"VPC {vpc}", self.ok("vpc", "create", vpc, *servers))
        self.addCleanup(self.ok, "vpc", "delete", vpc, "--yes")
        self.assertIn(f'"{vpc}"', self.ok("vpc", "describe", vpc, "-o", "json",
                                          *servers))
        servers = ("--server", f"{NOBODY},{self.server}")
        self.assertIn("vpc_created", self.ok("events", *servers))
        self.assertIn("1 host added", self.ok(
            "host", "import", "-", *servers,
            stdin=f"id,region\n{vpc},eu\n"))
        self.addCleanup(self.ok, "host", "remove", vpc, "--yes")
        self.ok("snapshot", "save", self.path / "next.snapshot", *servers)
        self.wait_ready()
        done = self.run_cli("produce", "orders/next", *servers, stdin="m\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("m\n", self.ok("consume", "orders/next", "--exit-at-end",
                                     *servers))

    def test_servers_that_are_no_addresses(self):
        for servers in ("nowhere", f"{self.server},", "a:0", ":7420", "a:b"):
            for words, env in ((("--server", servers), None),
                               ((), {"KAFED_SERVER": servers})):
                self.fails(2, "is not an address; expected HOST:PORT",
                           "status", *words, env=env)

    def test_what_was_tried_is_said(self):
        node, address = self.serve("gone")
        node.stop()
        self.fails(1, f"no node answers at {NOBODY}, {address}; is kafed "
                   "running there?", "vpc", "create", "v", "--server",
                   f"{NOBODY},{address}", "--timeout", "2s")

    def test_wrong_usage(self):
        for words in ((), ("bogus",), ("cluster",), ("cluster", "bogus"),
                      ("cluster", "add"), ("topic", "create", "t"),
                      ("host", "list", "-o", "xml"), ("route",),
                      ("status", "--timeout", "5"),
                      ("vpc", "add-hosts", "v1"),
                      ("vpc", "add-hosts", "v1", "h", "--vms", "x=y"),
                      ("produce", "nokey"), ("consume", "nokey"),
                      ("consume", "nca/x", "-f", "%z"),
                      ("events", "--from", "x"),
                      ("vpc", "create", "v", "--request-id", "12")):
            self.fails(2, "", *words)

    def test_the_reference_page_is_current(self):
        page = ROOT / "docs" / "reference" / "cli.md"
        self.assertEqual(self.ok("reference"), page.read_text())
        self.assertTrue(self.ok("version").startswith("kafedctl "))
        self.assertTrue(self.ok("--version").startswith("kafedctl "))


if __name__ == "__main__":
    unittest.main(verbosity=2)
