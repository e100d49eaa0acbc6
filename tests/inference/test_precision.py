"""What `dtype` means on processors that multiply in bfloat16, in float16, or in neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from ace.config import ModelSettings, settings_from
from ace.errors import ConfigError
from ace.inference.precision import cpu_precision, processor_flags

PLAIN = ("avx", "avx2", "fma")
BFLOAT16 = (*PLAIN, "avx512f", "avx512_bf16")
AMX = (*BFLOAT16, "amx_tile", "amx_bf16", "avx512_fp16")


@pytest.mark.parametrize(
    ("flags", "dtype", "reason"),
    [
        (PLAIN, "float32", "the processor has no bfloat16 instructions"),
        ((*PLAIN, "avx512f"), "float32", "the processor has no bfloat16 instructions"),
        ((), "float32", "the processor has no bfloat16 instructions"),
        (BFLOAT16, "bfloat16", "the processor has avx512_bf16"),
        (AMX, "bfloat16", "the processor has amx_bf16"),
        (("asimd", "bf16"), "bfloat16", "the processor has bf16"),
    ],
)
def test_auto_is_what_the_processor_does_fast(flags: tuple[str, ...], dtype: str, reason: str) -> None:
    assert cpu_precision("auto", flags) == (dtype, reason)


@pytest.mark.parametrize("flags", [PLAIN, AMX])
def test_float32_is_done_everywhere(flags: tuple[str, ...]) -> None:
    assert cpu_precision("float32", flags) == ("float32", "asked for")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_is_slow_is_done_and_said(dtype: str) -> None:
    assert cpu_precision(dtype, AMX) == (dtype, "asked for")
    slow = cpu_precision(dtype, PLAIN)
    assert slow.dtype == dtype
    assert slow.reason == f"asked for, slow here: the processor has no {dtype} instructions, float32 is faster"


def test_what_no_processor_does_is_refused_with_the_settings() -> None:
    settings = {"task": {"name": "micro"}, "models": {"main": {"model": "micro-target", "dtype": "float64"}}}
    with pytest.raises(ConfigError, match=r"models\.main\.dtype: found 'float64', allowed: .*'bfloat16'"):
        settings_from(settings)


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: X\nflags\t\t: fpu avx2 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(file) == {"fpu", "avx2", "amx_bf16"}
    file.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert processor_flags(file) == {"fp", "asimd", "bf16"}
    assert processor_flags(tmp_path / "none") == frozenset()


def test_the_engine_line_says_both() -> None:
    assert str(cpu_precision("auto", PLAIN)) == "float32: the processor has no bfloat16 instructions"
    assert ModelSettings(model="m").dtype == "auto"
