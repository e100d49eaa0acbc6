"""The precision of an engine: what `dtype: auto` selects on this processor."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ace.config import ModelSettings
from ace.inference.provider_choice import has_gpu, on_cpu

_INSTRUCTIONS = {
    "bfloat16": ("amx_bf16", "avx512_bf16", "bf16"),
    "float16": ("amx_fp16", "avx512_fp16", "asimdhp"),
}
"""Flags of processors that multiply in a precision, those of x86 first and then ARM's."""


class Precision(NamedTuple):
    """A dtype by torch's name, and why it is used."""

    dtype: str
    reason: str

    def __str__(self) -> str:
        return f"{self.dtype}: {self.reason}"


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Instruction sets of the first processor, as Linux lists them; empty on other systems."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    line_of_flags = next((line for line in lines if line.partition(":")[0].strip() in ("flags", "Features")), "")
    return frozenset(line_of_flags.partition(":")[2].split())


def cpu_precision(dtype: str = "auto", flags: Collection[str] | None = None) -> Precision:
    """Resolve `dtype` on a CPU with these `flags`, by default this one's.

    `auto` is bfloat16 where the processor multiplies in it and float32 elsewhere: without such instructions bfloat16
    was 5 to 9 times slower than float32 (256x1024 by 16 rows, 896x4864 by 64), and float16 8 to 11 times.
    """
    flags = processor_flags() if flags is None else flags
    if dtype == "auto":
        instruction = _instruction("bfloat16", flags)
        if instruction is not None:
            return Precision("bfloat16", f"the processor has {instruction}")
        return Precision("float32", "the processor has no bfloat16 instructions")
    if dtype in _INSTRUCTIONS and _instruction(dtype, flags) is None:
        return Precision(dtype, f"asked for, slow here: the processor has no {dtype} instructions, float32 is faster")
    return Precision(dtype, "asked for")


def default_dtype() -> str:
    """The dtype that `auto` means here: bfloat16 on a GPU, in which nearly all models are stored."""
    return cpu_precision().dtype if on_cpu() else "bfloat16"


def effective_dtype(settings: ModelSettings) -> str:
    """The dtype that tells answers and measurements apart, known before an engine is loaded.

    `auto` on a GPU stays `auto`. So does it where it means bfloat16 on a CPU, as it always did before it looked at the
    processor: what was kept then is still found.
    """
    cpu = not has_gpu() if settings.provider == "huggingface" else on_cpu()
    if settings.dtype != "auto" or not cpu:
        return settings.dtype
    meant = cpu_precision().dtype
    return "auto" if meant == "bfloat16" else meant


def _instruction(dtype: str, flags: Collection[str]) -> str | None:
    return next((flag for flag in _INSTRUCTIONS[dtype] if flag in flags), None)
