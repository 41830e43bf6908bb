"""What a person sees of the demo: steps with their times, bars, a summary."""

import contextlib
import json
import sys
import time

BAR = 28


class Screen:
    """Draws on a terminal with colours and bars, elsewhere plain lines."""

    def __init__(self, out=sys.stderr):
        self._out = out
        self._terminal = out.isatty()
        self._open_line = False

    def _style(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self._terminal else text

    def _say(self, text=""):
        if self._open_line:
            self._out.write("\r\x1b[K" if self._terminal else "\n")
            self._open_line = False
        print(text, file=self._out, flush=True)

    def title(self, kafka, hosts):
        self._say(self._style("1", "kafed") + "  a federation of three "
                  f"{kafka} Kafka clusters, {hosts:,} hosts, no proxy")
        self._say()

    @contextlib.contextmanager
    def step(self, text):
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            self._say(f"  {self._style('31', 'x')} {text}")
            raise
        took = time.monotonic() - begun
        self._say(f"  {self._style('32', 'ok')} {text:<62} {took:7.2f} s")

    def event(self, text):
        self._say(f"  {self._style('33', '--')} {text}")

    def progress(self, elapsed, total, traffic):
        if not self._terminal:
            return
        share = min(1.0, elapsed / total) if total else 1.0
        bar = "#" * int(BAR * share) + "." * (BAR - int(BAR * share))
        self._out.write(f"\r\x1b[K  [{bar}] sent {traffic['sent']:>8,}   "
                        f"delivered {traffic['got']:>9,}")
        self._out.flush()
        self._open_line = True

    def summary(self, status, line, code):
        self._say()
        self._say(f"  {'sub-cluster':<14}{'zone':<6}{'state':<10}"
                  f"{'hosts':>8}   fill of its share of nca")
        for each in status.get("sub_clusters", []):
            share = next((s for s in each.get("shares", [])
                          if s["topic"] == "nca"), None)
            keys = int(share["keys"]) if share else 0
            limit = int(share["key_limit"]) if share else 1
            filled = keys * BAR // max(limit, 1)
            state = each["state"].replace("SUB_CLUSTER_STATE_", "").lower()
            self._say(f"  {each['spec']['name']:<14}"
                      f"{','.join(each['spec']['zones']):<6}{state:<10}"
                      f"{keys:>8,}   [{'#' * filled}{'.' * (BAR - filled)}] "
                      f"{100 * keys / max(limit, 1):.1f} %")
        self._say()
        try:
            figures = json.loads(line)
        except ValueError:
            self.failed("the checker gave no result")
            return
        self._say(f"  {figures['sent']:,} messages sent, "
                  f"{figures['expected']:,} deliveries expected, "
                  f"{figures['delivered']:,} made; "
                  f"{figures['repeats_filtered']} repeats filtered")
        self._say(f"  lost {figures['lost']}, duplicated "
                  f"{figures['duplicated']}, reordered {figures['reordered']};"
                  f" {figures['foreign_per_own']} foreign messages read for "
                  f"each own; a route takes {figures['route_p99_us']} us (p99)")
        if "longest_pause_ms" in figures:
            self._say(f"  the coordinator was killed; the longest pause of a "
                      f"producer was {figures['longest_pause_ms']} ms")
        verdict = ("32", "all delivered, once and in order") if code == 0 \
            else ("31", "NOT all delivered once and in order")
        self._say("  " + self._style(*verdict))
        self._say()

    def failed(self, text):
        self._say(self._style("31", f"  failed: {text}"))
