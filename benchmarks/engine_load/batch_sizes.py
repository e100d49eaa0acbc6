"""Batch sizes on the micro world: what samples worked side by side bring, and what they cost in accuracy.

The samples of a batch start from the same playbook, so that they discover the same things: a large batch learns less
from as many samples. Every size works the same samples of the same worlds through vLLM, each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.bench.adaptation_runs.measured_run import Adaptation, Work, answers, measure_adaptations
from ace.bench.adaptation_runs.run_comparison import RunRow, run_row
from ace.bench.adaptation_runs.run_modes import Mode
from ace.bench.hardware.measured_machine import Machine
from ace.bench.markdown_tables import report, table
from ace.bench.report import Chart, Partial, Report, ignore_partial
from ace.experiments.statistics import PairedTest, paired_test

SIZES: tuple[int | str, ...] = (1, 4, 16, 64, "auto")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch size; `against_first` compares the accuracy with the first size's, question by question."""

    size: str
    run: RunRow
    against_first: PairedTest


@dataclass(frozen=True, slots=True)
class BatchReport(Report):
    """All sizes, sequential first, with what they were measured on."""

    rows: tuple[BatchRow, ...]
    work: Work
    machine: Machine

    def to_markdown(self) -> str:
        """A table with the command's inputs and the machine above it."""
        work = self.work
        inputs = f"--samples {work.samples} --epochs {work.epochs} --repetitions {work.repetitions} --seed {work.seed}"
        columns = (
            "batch size",
            "adaptation s (median)",
            "against the first",
            "accuracy",
            "difference, points (95% interval)",
            "calls",
            "bullets",
        )
        return report(f"python -m benchmarks batch {inputs}", self.machine, table(columns, map(_cells, self.rows)))

    def charts(self) -> tuple[Chart, ...]:
        sizes = tuple(row.size for row in self.rows)
        accuracy = tuple(row.run.accuracy * 100 for row in self.rows)
        return (
            Chart(
                "Batch size: speed", "times as fast as the first", sizes, {"": tuple(r.run.speedup for r in self.rows)}
            ),
            Chart("Batch size: accuracy", "%", sizes, {"": accuracy}),
        )


def _cells(row: BatchRow) -> tuple[str, ...]:
    test = row.against_first
    return (
        row.size,
        f"{row.run.seconds:.2f}",
        f"{row.run.speedup:.1f}x",
        f"{row.run.accuracy:.1%}",
        f"{test.difference * 100:+.1f} ({test.interval.low * 100:+.1f} to {test.interval.high * 100:+.1f})",
        f"{sum(row.run.calls.values()):.0f}",
        f"{row.run.bullets:.1f}",
    )


def measure_batches(
    *,
    samples: int,
    epochs: int,
    repetitions: int,
    seed: int,
    sizes: Sequence[int | str] = SIZES,
    partial: Partial = ignore_partial,
) -> BatchReport:
    """Measure every batch size over `repetitions` worlds. Raises what starting vLLM raises."""
    work, machine = Work(samples, epochs, repetitions, seed), Machine.here()
    rows: list[BatchRow] = []
    first: Sequence[Adaptation] = ()
    for size in sizes:
        measured = measure_adaptations(Mode(str(size), settings={"adaptation": {"batch_size": size}}), work)
        first = first or measured
        row = run_row(str(size), measured, rows[0].run.seconds if rows else None)
        rows.append(BatchRow(str(size), row, paired_test(answers(first), answers(measured))))
        partial(BatchReport(tuple(rows), work, machine))
    return BatchReport(tuple(rows), work, machine)
