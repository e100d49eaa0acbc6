"""RMS norms of an engine on a CPU by vLLM's own C++ kernels. Imported with an engine alone: it loads torch.

vLLM 0.32 ships these kernels for CPUs, but registers them for GPUs alone: on a CPU a norm is a row of eight PyTorch
operators, 26 microseconds instead of 3, nine times in a step of the micro target. Compiled models keep vLLM's own
choice, which the compiler fuses.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

PROVIDER = "ace_cpu"
PRIORITY = "ir_op_priority"
"""The engine argument that says whose implementation of an operator is tried first."""

_OPS = ("rms_norm", "fused_add_rms_norm")


def with_fast_norms(arguments: dict[str, Any], supported: list[str]) -> dict[str, Any]:
    """`arguments` of an engine on a CPU with the C++ kernels first, where this vLLM (fields `supported`) has them.

    Nothing changes for a compiled model, and where the arguments say themselves what comes first.
    """
    if PRIORITY not in supported or PRIORITY in arguments or not arguments.get("enforce_eager") or not _register():
        return arguments
    return {**arguments, PRIORITY: {name: [PROVIDER] for name in _OPS}}


def _register() -> bool:
    """Make the kernels known to vLLM, once in a process. False where its build lacks them."""
    platform: Any = import_module("vllm.platforms").current_platform
    ops: Any = import_module("vllm.ir").ops
    platform.import_kernels()
    if not all(_has_kernel(name) for name in _OPS):
        return False
    if PROVIDER not in ops.rms_norm.impls:
        ops.rms_norm.register_impl(PROVIDER, supports_args=_fits)(rms_norm)
        ops.fused_add_rms_norm.register_impl(PROVIDER, supports_args=_fits_both, inplace=True)(fused_add_rms_norm)
    return True


def _has_kernel(name: str) -> bool:
    kernel = f"_C::{name}"
    return hasattr(torch.ops._C, name) and torch._C._dispatch_has_kernel_for_dispatch_key(kernel, "CPU")


def _fits(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    return variance_size is None and weight is not None and weight.dtype == x.dtype and x.is_contiguous()


def _fits_both(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    return _fits(x, weight, epsilon, variance_size) and x_residual.is_contiguous()


def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
    """`x` divided by its root mean square over the last dimension, times `weight`; as `vllm.ir.ops.rms_norm`."""
    output = torch.empty_like(x)
    torch.ops._C.rms_norm(output, x, weight, epsilon)
    return output


def fused_add_rms_norm(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """The norm of the sum, and the sum, each in the place of its operand; as `vllm.ir.ops.fused_add_rms_norm`."""
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual
