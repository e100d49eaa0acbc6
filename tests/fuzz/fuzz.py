"""Coverage-guided fuzzing of everything that reads a text from outside, with atheris (github.com/google/atheris).

    make fuzz ARGS="--seconds 60"
    make fuzz ARGS="--target markdown --seconds 600"

Each target starts from the hostile corpus. It may answer, or raise one of our errors that says why not; anything else
ends the run with the input in a file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

if "--target" in sys.argv:
    with atheris.instrument_imports(include=["ace", "json_repair", "yaml"]):
        import targets
else:
    import targets

MOST_BYTES = 4_096


def main() -> int:
    """Run every target in a process of its own; the exit code is the number of those that found something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="time for each target")
    parser.add_argument("--target", choices=sorted(targets.TARGETS), help="only this one, in this process")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.target:
        fuzz(targets.TARGETS[arguments.target], seconds=arguments.seconds, seed=arguments.seed)
    found = 0
    for name in sorted(targets.TARGETS):
        options = ["--target", name, "--seconds", str(arguments.seconds), "--seed", str(arguments.seed)]
        run = subprocess.run([sys.executable, __file__, *options], capture_output=True, text=True, check=False)
        counts = [line for line in run.stderr.splitlines() if line.startswith(("stat::", "Done "))]
        print(f"{name}: {'ok' if run.returncode == 0 else 'FOUND SOMETHING'}; {' '.join(counts[:2])}", flush=True)
        if run.returncode:
            found += 1
            print(run.stdout[-2000:], run.stderr[-4000:], sep="\n", flush=True)
    print(f"{len(targets.TARGETS)} targets, {found} with findings")
    return found


def fuzz(target: Callable[[str], Any], *, seconds: int, seed: int) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    with tempfile.TemporaryDirectory(prefix="ace-fuzz-") as folder:
        for number, text in enumerate(targets.seeds()):
            Path(folder, f"{number:04d}").write_bytes(text.encode("utf-8", "surrogatepass")[:MOST_BYTES])
        options = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", f"-seed={seed}", "-print_final_stats=1"]
        limits = ["-timeout=20", "-rss_limit_mb=4096", f"-artifact_prefix={Path.cwd()}/fuzz-"]

        def one(data: bytes) -> None:
            text = data.decode("utf-8", "replace")
            try:
                target(text)
            except targets.EXPECTED:
                pass
            except BaseException:
                print("input:", json.dumps(text))
                raise

        atheris.Setup([sys.argv[0], *options, *limits, folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
