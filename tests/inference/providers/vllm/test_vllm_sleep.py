"""Two real engines that sleep by turns. A CPU frees nothing by it; pausing, waking and their order are vLLM's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from vllm_model import build_model, lose_device

from ace.config import settings_from
from ace.inference import Backend
from ace.inference.factory import open_backends
from ace.inference.providers.vllm import VllmBackend
from ace.inference.wrappers.supervisor import SupervisedBackend
from ace.types import Message, Request, Sampling

pytestmark = pytest.mark.engine


def ask(question: str, max_tokens: int = 8) -> Request:
    return Request((Message("user", question),), Sampling(max_tokens, temperature=0.0))


def sleeping(backend: Backend) -> bool:
    assert isinstance(backend, SupervisedBackend)
    assert isinstance(backend.live, VllmBackend)
    return bool(backend.live.run_on_engine(lambda engine: engine.is_sleeping()).result())


def test_answers_are_right_and_one_engine_is_awake(tmp_path: Path) -> None:
    def entry(seed: int) -> dict[str, object]:
        model = build_model(tmp_path / f"{seed}", seed=seed)
        return {"provider": "vllm", "model": str(model), "dtype": "float32", "max_model_len": 256, "sleep": True}

    models = {"main": entry(1), "large": entry(2)}
    settings = settings_from({"task": {"name": "micro"}, "models": models, "roles": {"reflector": {"model": "large"}}})

    async def turns() -> None:
        async with open_backends(settings) as backends:
            one, two = backends["main"], backends["large"]
            assert isinstance(one, SupervisedBackend)
            assert one.hang_s == 2 * settings.models["main"].timeout_s, "it is silent in the other's turn, too"
            assert sleeping(one)
            assert sleeping(two)
            asked = [(tier, ask(f"q{number}", 4 + number)) for number in range(8) for tier in (one, two)]
            alone = [(await tier.complete(request)).text for tier, request in asked]
            together = await asyncio.gather(*(tier.complete(request) for tier, request in asked))
            assert [answer.text for answer in together] == alone
            assert alone[0] != alone[1]
            assert sleeping(one) != sleeping(two)

            lose_device(one.live)
            again = await asyncio.gather(*(tier.complete(request) for tier, request in asked))
            assert [answer.text for answer in again] == alone
            assert one.restarts == 1

    asyncio.run(turns())
