"""Runs one fuzz target as the gate does: its whole corpus, then new inputs.

The seed is fixed, so the same program makes the same inputs. New inputs go to
a folder that is thrown away; an input that fails is kept in build/fuzz-failures
and its path is the last line.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FAILURES = ROOT / "build" / "fuzz-failures"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seconds", type=int, default=0,
                        help="fuzz for so long, with a random seed")
    parser.add_argument("--max-len", type=int, default=4096)
    chosen = parser.parse_args()
    name = chosen.program.name
    files = sorted(path for path in chosen.corpus.glob("*") if path.is_file())
    if not files:
        sys.exit(f"{name}: no corpus in {chosen.corpus}")
    FAILURES.mkdir(parents=True, exist_ok=True)
    common = [str(chosen.program), "-timeout=20", "-rss_limit_mb=2048",
              "-malloc_limit_mb=256",
              f"-artifact_prefix={FAILURES}/{name}-"]
    # As files of their own: each whole, whatever its size, and named.
    code = subprocess.run([*common, *map(str, files)], check=False).returncode
    if code:
        sys.exit(f"{name}: a kept input fails")
    dictionary = chosen.corpus.parent.parent / f"{name}.dict"
    if dictionary.exists():
        common.append(f"-dict={dictionary}")
    how = ([f"-max_total_time={chosen.seconds}"] if chosen.seconds else
           [f"-runs={chosen.runs}", "-seed=1"])
    with tempfile.TemporaryDirectory() as made:
        code = subprocess.run(
            [*common, *how, f"-max_len={chosen.max_len}",
             "-print_final_stats=1", made, str(chosen.corpus)],
            check=False).returncode
    if code:
        sys.exit(f"{name}: failed; the input is in {FAILURES}/{name}-*")


if __name__ == "__main__":
    main()
