"""LoRA adapters on a real engine: each request is answered by its own adapter, whatever runs beside it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from vllm_model import build_adapter, lose_device

from ace.config import ModelSettings, RunSettings, SpeculativeSettings, settings_from
from ace.errors import ProviderStartError, RequestRejectedError
from ace.inference import Backend, LoraBackend
from ace.inference.factory import open_backends
from ace.inference.model_files.lora_adapter import Adapter, read_adapter
from ace.inference.providers.vllm import VllmBackend, create
from ace.inference.wrappers.lora_backend import LoraRequest
from ace.inference.wrappers.supervisor import SupervisedBackend
from ace.types import Completion, Message, Request, Sampling

pytestmark = pytest.mark.engine

PREFIX = "\n".join(f"[trm-{i:05d}] word{i} -> K{i}" for i in range(16))


@pytest.fixture
def tiers(tiny_engine: VllmBackend, tiny_adapters: tuple[Adapter, ...]) -> list[Backend]:
    """The model as it is, and with each adapter."""
    return [tiny_engine, *(LoraBackend(tiny_engine, adapter.folder) for adapter in tiny_adapters)]


def ask(question: str, *, prefix: str = PREFIX, max_tokens: int = 12) -> Request:
    return Request((Message("system", prefix), Message("user", question)), Sampling(max_tokens, temperature=0.0))


def together(asked: Sequence[tuple[Backend, Request]]) -> list[Completion]:
    async def gather() -> list[Completion]:
        return list(await asyncio.gather(*(backend.complete(request) for backend, request in asked)))

    return asyncio.run(gather())


def test_every_answer_is_that_of_its_own_adapter(tiers: list[Backend]) -> None:
    questions = [ask(f"question {number}", max_tokens=4 + 3 * (number % 4)) for number in range(12)]
    asked = [(tier, question) for question in questions for tier in tiers]
    alone = [together([one])[0].text for one in asked]
    assert [answer.text for answer in together(asked)] == alone
    assert [answer.text for answer in together(asked[::-1])] == alone[::-1]
    answers = zip(*[iter(alone)] * len(tiers), strict=True)
    assert all(len(set(answer)) == len(tiers) for answer in answers), "no two tiers say the same to a question"


def test_a_completion_says_which_tier_answered(tiers: list[Backend], tiny_adapters: tuple[Adapter, ...]) -> None:
    names = [answer.model for answer in together([(tier, ask("q")) for tier in tiers])]
    base = tiers[0].info.model
    assert names == [base, *(f"{base}+{adapter.folder}" for adapter in tiny_adapters)]
    assert names == [tier.info.name for tier in tiers]
    assert tiers[0].info.reason.count(f"adapters: {tiny_adapters[0].folder}, {tiny_adapters[1].folder}") == 1


def test_the_prefix_cache_is_not_shared_across_adapters(tiers: list[Backend]) -> None:
    prefix = "a prefix for the adapters alone\n" + PREFIX
    for tier in tiers:
        first, second = (together([(tier, ask(q, prefix=prefix))])[0].usage for q in ("one", "two"))
        assert first.cached_tokens < 64
        assert second.cached_tokens > 0.8 * second.prompt_tokens


def test_a_cancelled_request_lets_those_of_another_adapter_run(tiers: list[Backend]) -> None:
    async def turns() -> None:
        long = [asyncio.create_task(tiers[0].complete(ask(f"{i}", max_tokens=600))) for i in range(3)]
        waits = [asyncio.create_task(tiers[1].complete(ask(f"{i}", max_tokens=600))) for i in range(3)]
        last = asyncio.create_task(tiers[2].complete(ask("last")))
        await asyncio.sleep(0.05)
        for task in (*waits, *long):
            task.cancel()
        assert (await last).text

    asyncio.run(turns())


def test_a_request_that_is_refused_in_its_turn_lets_the_next_adapter_have_it(tiers: list[Backend]) -> None:
    array = {"type": "array", "uniqueItems": True, "items": {"type": "string"}}
    bad = Request(ask("bad").messages, Sampling(12, temperature=0.0), array)

    async def turns() -> None:
        asked = [tiers[0].complete(ask("long", max_tokens=100)), tiers[1].complete(bad), tiers[2].complete(ask("q"))]
        long, refusal, last = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(long, Completion)
        assert isinstance(refusal, RequestRejectedError)
        assert isinstance(last, Completion)

    asyncio.run(turns())


def test_an_engine_has_only_the_adapters_that_it_was_started_with(tiers: list[Backend]) -> None:
    request = ask("q")
    with pytest.raises(RequestRejectedError, match="has no adapter '/elsewhere'"):
        together([(tiers[0], LoraRequest(request.messages, request.sampling, adapter="/elsewhere"))])


def test_an_adapter_that_does_not_fit_is_found_at_the_start(
    tiers: list[Backend], tiny_model: Path, tmp_path: Path
) -> None:
    folder = build_adapter(tmp_path / "wrong")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    settings = ModelSettings(provider="vllm", model=str(tiny_model), dtype="float32", max_model_len=512)
    with pytest.raises(ProviderStartError, match=r"could not load the adapter '.*wrong'.*DoRA"):
        create(settings, adapters=[read_adapter(str(folder))])
    gc.unfreeze()  # vLLM froze its start-up heap; an engine that is collected takes torch.distributed down
    gc.collect()
    assert together([(tier, ask("still here")) for tier in tiers])


def test_what_a_draft_model_guesses_changes_no_answer(
    tiers: list[Backend], tiny_model: Path, tiny_adapters: tuple[Adapter, ...]
) -> None:
    settings = ModelSettings(
        provider="vllm",
        model=str(tiny_model),
        dtype="float32",
        speculative=SpeculativeSettings(method="draft", model=str(tiny_model)),
    )
    engine = create(settings, adapters=tiny_adapters)
    guessing: list[Backend] = [engine, *(LoraBackend(engine, adapter.folder) for adapter in tiny_adapters)]
    questions = [ask(f"question {number}", max_tokens=24) for number in range(4)]
    plain = together([(tier, question) for question in questions for tier in tiers])
    guessed = together([(tier, question) for question in questions for tier in guessing])
    asyncio.run(engine.close())
    assert [answer.text for answer in guessed] == [answer.text for answer in plain]
    assert sum(answer.usage.accepted_tokens for answer in guessed) > 0


def run_settings(tiny_model: Path, tiny_adapters: tuple[Adapter, ...]) -> RunSettings:
    first, second = ({"base": "main", "adapter": adapter.folder} for adapter in tiny_adapters)
    main = {"provider": "vllm", "model": str(tiny_model), "dtype": "float32", "max_model_len": 512}
    roles = {"reflector": {"model": "first"}, "curator": {"model": "first", "escalate": {"model": "second"}}}
    return settings_from(
        {"task": {"name": "micro"}, "models": {"main": main, "first": first, "second": second}, "roles": roles}
    )


def test_the_tiers_of_a_run_share_an_engine_that_is_started_again(
    tiny_model: Path, tiny_adapters: tuple[Adapter, ...]
) -> None:
    async def turns() -> None:
        async with open_backends(run_settings(tiny_model, tiny_adapters)) as backends:
            tiers = [backends["main"], backends["first"], backends["second"]]
            engine = tiers[0]
            assert isinstance(engine, SupervisedBackend)
            assert all(isinstance(tier, LoraBackend) and tier.engine is engine for tier in tiers[1:])
            before = [(await tier.complete(ask("q", prefix=""))).text for tier in tiers]
            assert len(set(before)) == 3
            lose_device(engine.live)
            after = await asyncio.gather(*(tier.complete(ask("q", prefix="")) for tier in tiers))
            assert [answer.text for answer in after] == before
            assert engine.restarts == 1

    asyncio.run(turns())
