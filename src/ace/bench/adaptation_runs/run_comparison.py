"""Comparison of whole adaptation runs, mode by mode.

Transformers and vLLM, one call at a time and at full width, and what each further saving brings.

Every mode works the same samples of the same worlds (one a repetition, so that no prefix cache is warm from before)
with the same batch size, prompts, threads, precision and greedy sampling, each in a process of its own. What cannot be
made equal: answers differ in near-ties, and with them the playbooks and the calls that follow - calls and accuracy are
in the table. vLLM guides answers by the schema, transformers does not. Engine start and the final evaluation are not in
the times.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ace.bench.adaptation_runs.measured_run import (
    ESCALATED,
    Adaptation,
    Work,
    answers,
    mean_by_role,
    measure_adaptations,
    median_seconds,
)
from ace.bench.adaptation_runs.run_modes import BATCH, EARLY_NAME, MODES, PLAIN_NAME, Mode, mode_options
from ace.bench.hardware.engine_threads import threads_of
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.roofline import Bound, Ceiling, Roofline, against_hardware
from ace.bench.markdown_tables import report, table
from ace.bench.report import Chart, Partial, Report, ignore_partial
from ace.experiments.statistics import PairedTest, paired_test
from ace.types import ROLES


@dataclass(frozen=True, slots=True)
class RunRow:
    """One mode. `seconds` is the median over the repetitions of the adaptation; `speedup` is against the first row.

    `calls` and `role_s` are means over the repetitions, by role; `role_s` shares the wall-clock time out among the
    roles whose calls were under way. `outside_share` is the share of the time outside engine steps, at most that where
    several engines step side by side. Shares are means. `bound` is that of the repetition in the middle, by its
    seconds, where it was asked for.
    """

    mode: str
    seconds: float
    spread: tuple[float, float]
    calls: dict[str, float]
    role_s: dict[str, float]
    outside_share: float
    cached_share: float
    accuracy: float
    bullets: float
    speedup: float
    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class Saving:
    """Early stopping against the same without it: reflector calls saved, and accuracy on the same questions."""

    reflector_calls_saved: float
    accuracy: PairedTest

    def __str__(self) -> str:
        test = self.accuracy
        return (
            f"Early stopping: {self.reflector_calls_saved:.0%} fewer reflector calls;"
            f" accuracy {test.difference * 100:+.1f} points,"
            f" 95% interval {test.interval.low * 100:+.1f} to {test.interval.high * 100:+.1f}"
            f" ({test.n} held-out questions, paired)."
        )


@dataclass(frozen=True, slots=True)
class RunReport(Report):
    """All modes, the baseline first, with what they were measured on. `saving` needs both of its modes."""

    rows: tuple[RunRow, ...]
    saving: Saving | None
    work: Work
    threads: int
    rooflines: dict[str, Roofline]
    machine: Machine

    def to_markdown(self) -> str:
        """The tables of `parts`, below the command and the machine."""
        work = self.work
        inputs = (
            f"--samples {work.samples} --epochs {work.epochs} --batch {work.batch}"
            f" --repetitions {work.repetitions} --seed {work.seed}"
            f"{'' if work.threads is None else f' --threads {work.threads}'}"
            f"{mode_options([row.mode for row in self.rows], available=len(MODES))}"
        )
        return report(f"ace bench run {inputs}", self.machine, *self.parts())

    def parts(self) -> tuple[str, ...]:
        """Three tables: total seconds, seconds by role, the least that the hardware allows; early stopping's saving."""
        work = self.work
        lines = [] if self.saving is None else [str(self.saving)]
        return (
            f"{work.samples} samples in batches of {work.batch}; {divided_threads_text(self.threads)}.",
            table(_TOTALS, map(_totals, self.rows)),
            table(("seconds by role (mean)", *ROLES, ESCALATED), map(_by_role, self.rows)),
            *lines,
            *against_hardware({row.mode: row.bound for row in self.rows}, self.rooflines),
        )

    def charts(self) -> tuple[Chart, ...]:
        names = tuple(row.mode for row in self.rows)
        by_role = {name: tuple(row.role_s[name] for row in self.rows) for name in (*ROLES, ESCALATED)}
        return (
            Chart("A whole run", "times as fast as the first", names, {"": tuple(row.speedup for row in self.rows)}),
            Chart("A whole run, by role", "seconds", names, by_role),
        )


_TOTALS = (
    "mode",
    "adaptation s (median, range)",
    "against the first",
    "outside the engine",
    "calls: generator, reflector, curator",
    "prompt tokens cached",
    "accuracy",
)


def _totals(row: RunRow) -> tuple[str, ...]:
    return (
        row.mode,
        f"{row.seconds:.2f} ({row.spread[0]:.2f} to {row.spread[1]:.2f})",
        f"{row.speedup:.1f}x",
        f"{'at most ' if row.bound is not None and row.bound.engines > 1 else ''}{row.outside_share:.1%}",
        ", ".join(f"{row.calls[role]:.0f}" for role in ROLES),
        f"{row.cached_share:.0%}",
        f"{row.accuracy:.1%}",
    )


def _by_role(row: RunRow) -> tuple[str, ...]:
    return (row.mode, *(f"{row.role_s[role]:.2f}" for role in (*ROLES, ESCALATED)))


def threads_text(count: int) -> str:
    """`threads` with its noun."""
    return "one thread" if count == 1 else f"{count} threads"


def divided_threads_text(count: int) -> str:
    """The same where engines stand side by side, which have one thread at least."""
    divided = "" if count == 1 else ", which two side by side divide"
    return f"{threads_text(count)} for every engine{divided}"


def measure_runs(
    *,
    samples: int,
    epochs: int,
    repetitions: int,
    seed: int,
    batch: int = BATCH,
    threads: int | None = None,
    modes: Sequence[Mode] = MODES,
    partial: Partial = ignore_partial,
) -> RunReport:
    """Measure `modes`, each in a process of its own. Raises what starting a provider raises."""
    return compare_modes(Work(samples, epochs, repetitions, seed, batch, threads), modes, partial)


def compare_modes(work: Work, modes: Sequence[Mode], partial: Partial = ignore_partial) -> RunReport:
    """The same for work of any kind."""
    rows: list[RunRow] = []
    measured: dict[str, list[Adaptation]] = {}
    threads, machine = work.threads or threads_of(work.model), Machine.here()
    ceiling = Ceiling(threads)
    for mode in modes:
        measured[mode.name] = each = measure_adaptations(mode, work)
        middle = sorted(each, key=lambda one: one.seconds)[len(each) // 2]
        row = run_row(mode.name, each, rows[0].seconds if rows else None)
        rows.append(replace(row, bound=ceiling.bound(middle.model_calls, middle.seconds)))
        partial(RunReport(tuple(rows), _saving(measured), work, threads, ceiling.rooflines, machine))
    return RunReport(tuple(rows), _saving(measured), work, threads, ceiling.rooflines, machine)


def run_row(name: str, measured: Sequence[Adaptation], base: float | None) -> RunRow:
    """The repetitions of one mode; `base` are the seconds of the first, None where it is the first."""
    seconds = median_seconds(measured)
    right = answers(measured)
    return RunRow(
        mode=name,
        seconds=seconds,
        spread=(min(one.seconds for one in measured), max(one.seconds for one in measured)),
        calls=mean_by_role([one.calls for one in measured]),
        role_s=mean_by_role([one.role_s for one in measured]),
        outside_share=statistics.mean(max(0.0, 1 - one.engine_s / one.seconds) for one in measured),
        cached_share=statistics.mean(one.cached_share for one in measured),
        accuracy=statistics.mean(right),
        bullets=statistics.mean(one.bullets for one in measured),
        speedup=1.0 if base is None else base / seconds,
    )


def _saving(measured: dict[str, list[Adaptation]]) -> Saving | None:
    if PLAIN_NAME not in measured or EARLY_NAME not in measured:
        return None
    plain, early = measured[PLAIN_NAME], measured[EARLY_NAME]
    before, after = (sum(one.calls["reflector"] for one in each) for each in (plain, early))
    return Saving(1 - after / before, paired_test(answers(plain), answers(early)))
