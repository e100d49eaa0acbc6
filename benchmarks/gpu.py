"""Every benchmark that a GPU is wanted for, in nine minutes and without a network: `python benchmarks/gpu.py`.

Needs nothing but Python to start. Wheels of vLLM and of whatever else is missing are installed from a folder beside the
checkout (`--wheels`), then each benchmark runs in a process of its own, the most wanted first, until the time is up.
What was done is written as it comes; what failed or did not fit is named at the end, and the rest goes on.

    python benchmarks/gpu.py --wheels ../wheels --model ../qwen2.5-0.5b --output results

`--dry-run` runs the same plan on a CPU with tiny shapes, and installs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 540.0
LEAST_S = 20.0
"""With less time left than this, no benchmark is begun."""

ACE, BENCHMARKS = ("-m", "ace", "bench"), ("-m", "benchmarks")


@dataclass(frozen=True)
class Step:
    """One benchmark: the arguments of Python, and the most seconds that it may take."""

    name: str
    arguments: tuple[str, ...]
    most_s: float


@dataclass(frozen=True)
class Outcome:
    """End of a step: `done`, `failed`, `stopped` at its limit, or `skipped`, and why."""

    step: str
    status: str
    seconds: float
    why: str = ""


Execute = Callable[[Sequence[str], Mapping[str, str], float], int | None]
"""Runs a command with an environment for so many seconds at most: its exit code, None where it was stopped."""


def plan_steps(
    *, dry_run: bool, model: Path | None, draft: Path | None, large: Path | None = None, trace: Path | None = None
) -> list[Step]:
    """The benchmarks in order of how much they are wanted. Those of real weights need a folder `model`.

    `large` has the config and the tokenizer of what plays a trace, else Qwen2.5-7B's shape with a small tokenizer does.
    `trace` is what `benchmarks replay --save-trace` wrote, else a run of the micro model is recorded first.
    """
    if dry_run:
        return [
            Step("latency", (*ACE, "latency", "--shape", "micro", "--prompts", "1", "--tokens", "4"), 300),
            Step("replay", (*BENCHMARKS, "replay", "--shape", "micro", *_replayed("2"), "--samples", "2"), 300),
            Step("concurrency", (*BENCHMARKS, "concurrency", "--shape", "micro", *_at_once("1", "4")), 300),
            Step("run", (*ACE, "run", "--samples", "2", "--batch", "2", *_once("vLLM")), 300),
            Step("speculative", (*ACE, "speculative", "--requests", "2", "--batch", "1", *_once(), "--no-keep"), 300),
        ]
    seven = ("--shape", "qwen2.5-7b" if large is None else str(large))
    played = ("--samples", "16") if trace is None else ("--trace", str(trace))
    steps = [
        Step("replay-7b", (*BENCHMARKS, "replay", *seven, *_replayed("16"), *played), 330),
        Step("concurrency-7b", (*BENCHMARKS, "concurrency", *seven, *_at_once("1", "4", "16", "64", "256")), 120),
        Step("latency-7b", (*ACE, "latency", *seven, "--prompts", "10", "--tokens", "64"), 150),
        Step("run", (*ACE, "run", *_once("transformers, one by one", "vLLM", "vLLM, early stopping")), 120),
    ]
    if model is not None:
        steps.insert(2, Step("run-real", _real_run(model, draft), 240))
        steps.insert(3, Step("learning", _learning(model, draft), 120))
    return [
        *steps,
        Step("speculative", (*ACE, "speculative", "--requests", "24", *_once(), "--no-keep"), 120),
        Step("batch", (*BENCHMARKS, "batch", "--samples", "64", *_once()), 120),
    ]


def _real_run(model: Path, draft: Path | None) -> tuple[str, ...]:
    """A run of real weights on 32 support tickets in one batch."""
    sizes = {"task.routing.train": 32, "task.routing.test": 20, "adaptation.batch_size": 32, "models.main.model": model}
    names = ["transformers, one by one", "transformers, batched", "vLLM", "vLLM, speculative (n-gram)"]
    if draft is not None:
        sizes["models.small.model"] = draft
        names.append("vLLM, speculative (draft)")
    changes = (word for key, value in sizes.items() for word in ("--set", f"{key}={value}"))
    return (*ACE, "run", "--config", "configs/routing-bench.yaml", *changes, "--prompts", "10", *_once(*names))


def _learning(model: Path, draft: Path | None) -> tuple[str, ...]:
    """Runs on support tickets, three seeds, with the model alone and, where there is a smaller one, with both."""
    smaller = () if draft is None else ("--small", str(draft), "--models", "large", "--models", "both")
    config = ("--config", "configs/learning/routing.yaml")
    return (*BENCHMARKS, "learning", *config, "--large", str(model), *smaller, "--engine", "max_concurrency=128")


def _once(*modes: str) -> tuple[str, ...]:
    return ("--repetitions", "1", *(word for mode in modes for word in ("--mode", mode)))


def _replayed(batch: str) -> tuple[str, ...]:
    """Options of a replay against transformers one by one, which no large model does for 50 samples in minutes."""
    return ("--batch", batch, *_once("transformers, one by one", "transformers, batched", "vLLM"))


def _at_once(*requests: str) -> tuple[str, ...]:
    return ("--repetitions", "1", *(word for count in requests for word in ("--requests", count)))


def install_command(wheels: Path, site: Path) -> list[str]:
    """The command that installs every wheel of a folder, and nothing that is not there."""
    files = sorted(str(file) for file in wheels.glob("*.whl"))
    if not files:
        raise SystemExit(f"error: no wheels in {wheels}")
    options = ("--no-index", "--no-deps", "--no-compile", "--upgrade", "--quiet")
    return [sys.executable, "-m", "pip", "install", *options, "--target", str(site), *files]


def run_steps(
    steps: Sequence[Step],
    output: Path,
    execute: Execute,
    *,
    environment: Mapping[str, str],
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Run what fits, write each report to `output`, and after each step the outcomes so far."""
    began, outcomes = clock(), list[Outcome]()
    for step in steps:
        left = limit_s - (clock() - began)
        if left < LEAST_S:
            outcomes.append(Outcome(step.name, "skipped", 0.0, f"{max(0.0, left):.0f} s were left"))
        else:
            outcomes.append(_run_step(step, output, execute, environment, min(step.most_s, left), clock))
        last = outcomes[-1]
        print(f"{last.step}: {last.status} after {last.seconds:.0f} s {last.why}".rstrip(), flush=True)
        rows = [vars(outcome) for outcome in outcomes]
        (output / "outcomes.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return outcomes


def _run_step(
    step: Step,
    output: Path,
    execute: Execute,
    environment: Mapping[str, str],
    most_s: float,
    clock: Callable[[], float],
) -> Outcome:
    written = ("--json", str(output / f"{step.name}.json"), "--markdown", str(output / f"{step.name}.md"))
    started = clock()
    code = execute([sys.executable, *step.arguments, *written], environment, most_s)
    seconds = clock() - started
    if code is None:
        return Outcome(step.name, "stopped", seconds, f"it may take {most_s:.0f} s; what it had measured is kept")
    return Outcome(step.name, "done" if code == 0 else "failed", seconds, "" if code == 0 else f"exit code {code}")


def execute(command: Sequence[str], environment: Mapping[str, str], most_s: float) -> int | None:
    """Run a command in the checkout, with all that it starts in a process group that ends with it."""
    process = subprocess.Popen(command, cwd=ROOT, env=dict(environment), start_new_session=True)
    try:
        return process.wait(most_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Install, run, report. 1 where nothing was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to install first")
    parser.add_argument("--model", type=Path, help="a folder with real weights")
    parser.add_argument("--draft", type=Path, help="a folder with a smaller model of the same vocabulary")
    parser.add_argument("--large", type=Path, help="a folder with the config and tokenizer of a 7B model")
    parser.add_argument("--trace", type=Path, help="a trace to replay, from `benchmarks replay --save-trace`")
    parser.add_argument("--output", type=Path, default=Path("gpu-results"), help="where reports go")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for everything")
    parser.add_argument("--only", action="append", help="only the step of this name; can be given several times")
    parser.add_argument("--dry-run", action="store_true", help="the same on a CPU with tiny shapes")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    paths = [str(ROOT / "src"), str(ROOT)]
    if options.wheels is not None and not options.dry_run:
        site = output / "site"
        subprocess.run(install_command(options.wheels.resolve(), site), check=True)
        paths.insert(0, str(site))
    folders = {key: getattr(options, key) for key in ("model", "draft", "large", "trace")}
    inputs = {key: None if path is None else path.resolve() for key, path in folders.items()}
    steps = plan_steps(dry_run=options.dry_run, **inputs)
    chosen = [step for step in steps if not options.only or step.name in options.only]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])}
    # vLLM imports the sampler of flashinfer, which need not be among the wheels, unless it is told not to.
    environment.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    left = options.limit - (time.monotonic() - began)
    outcomes = run_steps(chosen, output, execute, environment=environment, limit_s=left)
    return 0 if any(outcome.status == "done" for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
