"""The concurrency benchmark: rows against one at a time."""

from __future__ import annotations

from ace.bench.hardware.measured_machine import Machine
from benchmarks.engine_load.concurrency import ConcurrencyReport, ConcurrencyRow

MACHINE = Machine("2026-11-26 16:04 UTC", 16, "x86_64", "NVIDIA H100 80GB HBM3", "3.12.3", {"vllm": "0.26.0"})


def test_rows_are_compared_with_one_request_of_their_length() -> None:
    rows = (
        ConcurrencyRow(200, 415, 1, 0.4, 64, 0.96),
        ConcurrencyRow(200, 417, 256, 1.0, 16384, 0.96),
        ConcurrencyRow(2000, 4015, 1, 0.8, 64, 1.0),
        ConcurrencyRow(2000, 4017, 256, 2.0, 16384, 1.0),
    )
    lines = ConcurrencyReport(rows, "qwen2.5-7b", 64, 1, 15_230_824_448, MACHINE).to_markdown().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| 4")]
    assert [row[0] for row in cells] == ["415 (96%)", "417 (96%)", "4015 (100%)", "4017 (100%)"]
    assert [row[4] for row in cells] == ["160", "16384", "80", "8192"]
    assert [row[5] for row in cells] == ["1.0x", "102.4x", "1.0x", "102.4x"]
    assert any("NVIDIA H100 80GB HBM3" in line for line in lines)
