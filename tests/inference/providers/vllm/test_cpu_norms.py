"""vLLM's own C++ norms on a CPU: the same numbers as the norms that they replace, and chosen where they may be."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec

import pytest

from ace.inference.provider_choice import has_gpu
from ace.inference.providers.vllm import VllmBackend
from ace.types import Message, Request, Sampling

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(find_spec("vllm") is None or has_gpu(), reason="needs vLLM on a CPU"),
]


def test_they_answer_as_those_that_they_replace() -> None:
    torch, ops = import_module("torch"), import_module("vllm.ir").ops
    norms = import_module("ace.inference.providers.vllm.cpu_norms")
    known = ["enforce_eager", "ir_op_priority"]
    arguments = norms.with_fast_norms({"enforce_eager": True}, known)
    assert arguments["ir_op_priority"] == {name: ["ace_cpu"] for name in ("rms_norm", "fused_add_rms_norm")}
    torch.manual_seed(0)
    x, residual = torch.randn(2, 33, 256).bfloat16()
    weight = torch.randn(256).bfloat16()
    close = {"atol": 1e-2, "rtol": 2e-2}  # a rounding of bfloat16, at another place
    torch.testing.assert_close(
        norms.rms_norm(x, weight, 1e-6), ops.rms_norm.impls["native"].impl_fn(x, weight, 1e-6), **close
    )
    wanted = ops.fused_add_rms_norm.impls["native"].impl_fn(x, residual, weight, 1e-6)
    found = norms.fused_add_rms_norm(x.clone(), residual.clone(), weight, 1e-6)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, **close)


def test_a_users_own_choice_and_a_compiled_model_stay_as_they_are() -> None:
    norms = import_module("ace.inference.providers.vllm.cpu_norms")
    known = ["enforce_eager", "ir_op_priority"]
    for arguments in ({"enforce_eager": True, "ir_op_priority": {"rms_norm": ["native"]}}, {"enforce_eager": False}):
        assert norms.with_fast_norms(arguments, known) == arguments
    assert norms.with_fast_norms({"enforce_eager": True}, []) == {"enforce_eager": True}, "an older vLLM"


def test_an_engine_uses_them(tiny_engine: VllmBackend) -> None:
    request = Request((Message("user", "hello"),), Sampling(4, temperature=0.0, top_p=1.0))
    assert asyncio.run(tiny_engine.complete(request)).usage.completion_tokens > 0
    assert import_module("vllm.ir").ops.rms_norm.get_priority()[0] == "ace_cpu"
