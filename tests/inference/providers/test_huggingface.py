"""The huggingface provider on the shipped micro model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ace.bench.hardware.model_shapes import build_shape
from ace.config import ModelSettings
from ace.errors import ConfigError, EngineDeadError, ModelNotFoundError, PromptTooLongError
from ace.inference import Backend, create_backend
from ace.types import Completion, Message, Request, Sampling

pytestmark = pytest.mark.engine

T = TypeVar("T")
PLAYBOOK = "PLAYBOOK\nkujant -> KQT [trm-00001]"


def settings(**values: Any) -> ModelSettings:
    return ModelSettings(provider="huggingface", model="micro-target", max_retries=0, **values)


def with_backend(work: Callable[[Backend], Coroutine[Any, Any, T]], **values: Any) -> T:
    async def run() -> T:
        backend = create_backend(settings(**values))
        try:
            return await work(backend)
        finally:
            await backend.close()

    return asyncio.run(run())


def request(text: str, **sampling: Any) -> Request:
    values = {"max_tokens": 12, "temperature": 0.0, **sampling}
    return Request((Message("system", PLAYBOOK), Message("user", text)), Sampling(**values))


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = create_backend(settings(dtype="float32"))
    yield backend
    asyncio.run(backend.close())


def test_a_batch_answers_like_single_calls_and_counts_its_tokens(backend: Backend) -> None:
    requests = [request("ANSWER\n" + "x " * n, max_tokens=4 + n) for n in range(4)]

    async def work() -> tuple[list[Completion], list[Completion]]:
        together = await asyncio.gather(*(backend.complete(r) for r in requests))
        alone = [await backend.complete(r) for r in requests]
        return together, alone

    together, alone = asyncio.run(work())
    assert [c.text for c in together] == [c.text for c in alone]
    for n, completion in enumerate(together):
        usage = completion.usage
        assert 0 < usage.completion_tokens <= 4 + n
        assert completion.finish_reason == ("length" if usage.completion_tokens == 4 + n else "stop")
        assert usage.cached_tokens == 0
        assert usage.ttft_s is not None and 0 < usage.ttft_s <= usage.total_s
    assert len({c.usage.prompt_tokens for c in together}) == 4


def test_a_prompt_that_does_not_fit_is_refused_with_both_lengths() -> None:
    async def work(backend: Backend) -> None:
        await backend.complete(request("x " * 300))

    with pytest.raises(PromptTooLongError) as caught:
        with_backend(work, max_model_len=64)
    assert caught.value.facts["max_model_len"] == 64
    assert caught.value.facts["prompt_tokens"] > 300


def test_each_call_of_a_batch_draws_by_its_own_sampling_and_seed(backend: Backend) -> None:
    def drawn(seed: int | None, temperature: float = 1.5) -> Request:
        return request("ANSWER\nx", temperature=temperature, top_p=1.0, seed=seed, max_tokens=8)

    async def work() -> list[list[str]]:
        mixed = [drawn(1), drawn(2), drawn(1), drawn(None, 0.0), drawn(3)]
        batches = [[drawn(1)], mixed, mixed[::-1]]
        return [[c.text for c in await asyncio.gather(*(backend.complete(r) for r in b))] for b in batches]

    (alone,), mixed, turned = asyncio.run(work())
    assert alone == mixed[0] == mixed[2]
    assert mixed == turned[::-1]
    assert len(set(mixed)) == 4


def test_draws_have_the_distribution_of_the_model() -> None:
    """The share of each first token against softmax(logits / temperature) cut at top_p, within four standard errors."""
    from ace.inference.providers.huggingface import SampledDraw

    torch = pytest.importorskip("torch")
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -6.0])
    count, temperature = 4000, 0.8
    samplings = [Sampling(temperature=temperature, top_p=0.99, seed=seed) for seed in range(count)]
    scores = SampledDraw(samplings, torch.device("cpu"))(torch.zeros(count, 1), logits.repeat(count, 1))
    seen = torch.bincount(scores.argmax(-1), minlength=5)
    expected = torch.softmax(logits / temperature, -1)
    assert seen[4] == 0, "below top_p"
    kept = expected[:4] / expected[:4].sum()
    error = (kept * (1 - kept) / count).sqrt()
    assert bool(((seen[:4] / count - kept).abs() < 4 * error).all())


def test_closing_answers_those_who_came_before() -> None:
    async def work(backend: Backend) -> list[Completion | BaseException]:
        calls = [asyncio.ensure_future(backend.complete(request("x " * n))) for n in range(6)]
        await asyncio.sleep(0)
        await backend.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    answered = with_backend(work, max_concurrency=2)
    assert all(isinstance(answer, Completion) for answer in answered)


def test_after_closing_it_says_so() -> None:
    async def work(backend: Backend) -> None:
        await backend.close()
        await backend.complete(request("x"))

    with pytest.raises(EngineDeadError, match="closed"):
        with_backend(work)


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelNotFoundError, match="/nowhere/model"):
        create_backend(ModelSettings(provider="huggingface", model="/nowhere/model"))


def test_weights_that_can_run_code_are_not_loaded() -> None:
    settings = ModelSettings(provider="huggingface", model="micro-target", engine_args={"use_safetensors": False})
    with pytest.raises(ConfigError, match=r"engine_args\.use_safetensors: found False, not supported here"):
        create_backend(settings)


def test_a_fixed_length_is_held_beside_answers_that_end_on_their_own(backend: Backend) -> None:
    async def work() -> list[Completion]:
        asked = [request("ANSWER\nx", max_tokens=60, ignore_eos=True), request("ANSWER\nx y", max_tokens=60)]
        answered = await asyncio.gather(*(backend.complete(one) for one in asked))
        meter = backend.meter()
        assert meter is not None and meter.kv_peak_bytes > 0
        return list(answered)

    fixed, _ = asyncio.run(work())
    assert fixed.usage.completion_tokens == 60 and fixed.finish_reason == "length"


def test_random_weights_need_no_file_of_them(tmp_path: Path) -> None:
    folder = build_shape("micro", tmp_path, layers=1)

    async def work() -> Completion:
        backend = create_backend(
            ModelSettings(provider="huggingface", model=str(folder), engine_args={"load_format": "dummy"})
        )
        try:
            return await backend.complete(request("x", max_tokens=3, ignore_eos=True))
        finally:
            await backend.close()

    assert asyncio.run(work()).usage.completion_tokens == 3
