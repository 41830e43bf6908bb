"""Simulated clusters: a fixed number of seeds, that a seed replays to the byte,
and that faults which are built in are found within a stated number of seeds.
"""

import re
import subprocess
import sys
import unittest

SIMULATE = sys.argv.pop(1)
SEEDS = 1000
# Within how many seeds a planted fault must be found.
FOUND_WITHIN = {"ack-early": 5, "skip-checks": 20, "apply-twice": 20,
                "lease-without-proof": 200}


def simulate(*words):
    done = subprocess.run([SIMULATE, *map(str, words)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    return done.returncode, done.stdout, done.stderr


class SimulationTest(unittest.TestCase):
    def test_seeds(self):
        code, out, err = simulate("--seeds", SEEDS)
        print(out.splitlines()[-1])
        self.assertEqual(code, 0, out + err)
        self.assertIn(f"{SEEDS} seeds, 0 failed", out)

    def test_a_seed_replays_to_the_byte(self):
        for seed in (1, 2, 3):
            first = simulate("--seed", seed)
            self.assertEqual(simulate("--seed", seed), first)
            self.assertRegex(first[1], r"digest [0-9a-f]{16}")
        digests = {re.search(r"digest (\w+)", simulate("--seed", seed)[1])[1]
                   for seed in range(1, 6)}
        self.assertEqual(len(digests), 5)

    def test_planted_faults_are_found(self):
        for plant, seeds in FOUND_WITHIN.items():
            with self.subTest(plant):
                code, out, _ = simulate("--plant", plant, "--seeds", seeds)
                self.assertEqual(code, 1, out)
                failed = {int(seed) for seed in
                          re.findall(r"^seed (\d+): ", out, re.M)}
                print(f"{plant}: first found by seed {min(failed)}, by "
                      f"{len(failed)} of {seeds}")

    def test_wrong_usage(self):
        self.assertEqual(simulate("--plant", "nothing")[0], 2)
        self.assertEqual(simulate("--seeds", "many")[0], 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
