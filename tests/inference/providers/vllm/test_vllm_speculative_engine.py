"""The real engine with the shipped models: greedy answers are the same with speculation, in one process after another.

The engine without speculation starts last, after n-gram speculation has loaded numba.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ace.bench.speculative_requests import micro_requests
from ace.config import ModelSettings
from ace.inference.providers.vllm import create
from ace.types import Completion, Request

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings(r"ignore:\s*Encountered the use of a type"),  # numba's, about vLLM's own lists
]

REQUESTS = 40


def answers(requests: Sequence[Request], **values: object) -> list[Completion]:
    settings = {"provider": "vllm", "model": "micro-target", "max_model_len": 2048, **values}
    backend = create(ModelSettings.model_validate(settings))

    async def gather() -> list[Completion]:
        try:
            return list(await asyncio.gather(*(backend.complete(request) for request in requests)))
        finally:
            await backend.close()

    return asyncio.run(gather())


def test_guided_greedy_answers_are_identical_with_and_without() -> None:
    requests = [item.request for item in micro_requests(REQUESTS, world=3)]
    assert len(requests) == REQUESTS
    assert all(request.schema for request in requests)
    speculated = [
        answers(requests, speculative=method)
        for method in ("ngram", "history", {"method": "draft", "model": "micro-draft"})
    ]
    plain = [completion.text for completion in answers(requests)]
    for completions in speculated:
        assert [completion.text for completion in completions] == plain
        usages = [completion.usage for completion in completions]
        assert 0 < sum(usage.accepted_tokens for usage in usages) <= sum(usage.drafted_tokens for usage in usages)
        assert all(usage.drafted_tokens >= usage.draft_steps for usage in usages)
