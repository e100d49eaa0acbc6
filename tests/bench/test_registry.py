"""What benchmarks are made of: role times, shapes, the page of all of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ace.bench.adaptation_runs.role_clock import RoleClock
from ace.bench.adaptation_runs.run_modes import MODES, mode_options, select_modes
from ace.bench.hardware.measured_machine import Machine
from ace.bench.hardware.model_shapes import SHAPES, build_shape, weight_bytes
from ace.bench.kv_memory import KvUsage, MemoryReport, MemoryRow, fitting
from ace.bench.registry import BENCHMARKS, Benchmark, Part, measure_all
from ace.bench.report import Report
from ace.errors import ConfigError
from ace.inference import EngineMeter, ScriptedBackend
from ace.reporting.pages.benchmark_pages import benchmarks_html, benchmarks_markdown
from ace.types import Message, Request
from benchmarks.playbook_overhead import OverheadReport, OverheadRow


def test_the_roles_share_the_time_out_among_them() -> None:
    clock = RoleClock()
    roles = [clock.over(role, ScriptedBackend(lambda _: "x")) for role in ("generator", "reflector")]

    async def ask() -> None:
        await asyncio.gather(*(role.complete(Request((Message("user", "x"),))) for role in roles))

    asyncio.run(ask())
    assert clock.seconds["generator"] > 0 and clock.seconds["reflector"] > 0
    clock.change("generator", 1)
    clock.change("reflector", 1)
    before = dict(clock.seconds)
    clock.change("reflector", -1)
    gained = {role: clock.seconds[role] - before[role] for role in before}
    assert gained["generator"] == pytest.approx(gained["reflector"])


def test_a_meter_keeps_its_peak_where_two_are_compared() -> None:
    early, late = EngineMeter(1, 0.5, 100), EngineMeter(3, 2.0, 700)
    assert late - early == EngineMeter(2, 1.5, 700)
    assert early + late == EngineMeter(4, 2.5, 700)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_a_folder_with_a_config_and_a_tokenizer(tmp_path: Path, name: str) -> None:
    folder = build_shape(name, tmp_path, layers=2)
    config = json.loads((folder / "config.json").read_text())
    assert config["num_hidden_layers"] == 2 and config["hidden_size"] % config["num_attention_heads"] == 0
    assert (folder / "tokenizer.json").is_file()
    assert build_shape(str(folder), tmp_path) == folder
    assert 0 < weight_bytes(folder) <= 2 * SHAPES[name].parameters


def test_shapes_have_the_size_in_their_name(tmp_path: Path) -> None:
    for name, billions in (("0.15b", 0.15), ("0.36b", 0.36), ("qwen2.5-3b", 3.09), ("qwen2.5-7b", 7.62)):
        assert SHAPES[name].parameters / 1e9 == pytest.approx(billions, rel=0.03)
    with pytest.raises(ConfigError, match="--shape"):
        build_shape("13b", tmp_path)


def test_what_fits_counts_shared_blocks_once() -> None:
    assert fitting(1_000, KvUsage(8, 100 + 8 * 10, 50), KvUsage(4, 100 + 4 * 10, 50)) == 90


def test_every_benchmark_is_there() -> None:
    assert len({benchmark.name for benchmark in BENCHMARKS}) == len(BENCHMARKS)
    for benchmark in BENCHMARKS:
        assert callable(benchmark.function())
        assert benchmark.quick.keys() <= benchmark.options.keys()


def test_a_benchmark_that_fails_is_told_and_the_next_one_begins() -> None:
    broken = Benchmark("broken", "Broken", "ace.bench.hardware.model_shapes:weight_bytes", {}, {})
    quick = Benchmark(
        "overhead", "Work", "benchmarks.playbook_overhead:measure_overhead", {"repetitions": 1, "sizes": (10, 20)}, {}
    )
    failed, done = measure_all([broken, quick], quick=True, seed=0)
    assert failed.report is None and failed.error is not None and failed.error.startswith("TypeError")
    assert done.report is not None and done.error is None


def test_the_pages_hold_tables_charts_and_failures() -> None:
    machine = Machine("now", 2, "x", None, "3", {})
    report: Report = MemoryReport((MemoryRow("a <b>", 1 << 20, 3),), "micro", 2, 4, 1 << 20, 0, machine)
    parts = [
        Part(BENCHMARKS[0], report, None, 1.0),
        Part(BENCHMARKS[1], None, "ValueError: <script>", 2.0),
        Part(BENCHMARKS[2], OverheadReport((OverheadRow("apply", {10: 1.5}, 0.0),), 1, 0, machine), None, 3.0),
    ]
    markdown, html = benchmarks_markdown(parts, machine), benchmarks_html(parts, machine)
    assert "| a <b> | 1.0 |" in markdown and "Failed after 2 s: ValueError" in markdown
    assert "a &lt;b&gt;</td>\n<td>1.0</td>" in html and "ValueError: &lt;script&gt;" in html
    assert "| apply | 1.50 |" in markdown and "<td>apply</td>" in html
    assert 'style="width: 100.00%"' in html  # the bar of the memory chart
    assert 'src="http' not in html and len(html) < 100_000


def test_rows_are_chosen_by_name() -> None:
    names = [mode.name for mode in MODES]
    assert select_modes(MODES, ()) == MODES
    assert mode_options(names, available=len(MODES)) == ""
    picked = select_modes(MODES, ["vLLM, early stopping", "vLLM", "vLLM"])
    assert [mode.name for mode in picked] == ["vLLM, early stopping", "vLLM"]
    assert mode_options(["vLLM"], available=len(MODES)) == ' --mode "vLLM"'
    with pytest.raises(ConfigError, match="transformers, one by one") as caught:
        select_modes(MODES, ["vllm"])
    assert caught.value.facts["key"] == "--mode"
