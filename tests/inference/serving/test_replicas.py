"""Engines side by side: who gets a request, what becomes of those of a dead one, and where each works."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ace.config import ModelSettings
from ace.errors import ConfigError, EngineDeadError
from ace.inference import EngineMeter, ScriptedBackend, create_backend
from ace.inference.serving.replicas import ReplicatedBackend
from ace.inference.serving.replicas.placement import Placement
from ace.types import Completion, Message, Request


class Replica(ScriptedBackend):
    """Says its name once it is let go on; dies of what is asked from `dies` on."""

    def __init__(self, name: str, *, dies: int | None = None, step_s: float = 0.0) -> None:
        super().__init__(lambda request: name)
        self.asked, self.dies, self.step_s = 0, dies, step_s
        self.released = asyncio.Event()

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        if self.dies is not None and self.asked > self.dies:
            raise EngineDeadError(f"{request.messages[0].content} killed it")
        await self.released.wait()
        return await super().complete(request)

    def meter(self) -> EngineMeter:
        return EngineMeter(self.asked, self.step_s, 10)


def ask(text: str = "q") -> Request:
    return Request((Message("user", text),))


def test_a_request_goes_to_the_replica_with_the_fewest_under_way() -> None:
    async def main() -> None:
        first, second = Replica("a"), Replica("b")
        both = ReplicatedBackend([first, second])
        waiting = [asyncio.ensure_future(both.complete(ask())) for _ in range(4)]
        await asyncio.sleep(0)
        assert (first.asked, second.asked) == (2, 2)
        second.released.set()
        assert Counter(answer.text for answer in await asyncio.gather(*waiting[1::2])) == {"b": 2}
        waiting += [asyncio.ensure_future(both.complete(ask())) for _ in range(3)]
        await asyncio.sleep(0)
        assert (first.asked, second.asked) == (2, 5), "the first still has two, so three go to the second"
        first.released.set()
        assert Counter(answer.text for answer in await asyncio.gather(*waiting)) == {"a": 2, "b": 5}
        await both.close()
        assert first.closed and second.closed

    asyncio.run(main())


def test_a_cancelled_request_is_under_way_no_more() -> None:
    async def main() -> None:
        first, second = Replica("a"), Replica("b")
        both = ReplicatedBackend([first, second])
        given_up = asyncio.ensure_future(both.complete(ask()))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        first.released.set()
        assert (await both.complete(ask())).text == "a"

    asyncio.run(main())


def test_the_others_answer_for_one_that_is_dead_for_good() -> None:
    async def main() -> None:
        first, second = Replica("a", dies=1), Replica("b")
        first.released.set()
        second.released.set()
        both = ReplicatedBackend([first, second])
        answers = await asyncio.gather(*(both.complete(ask()) for _ in range(6)))
        assert Counter(answer.text for answer in answers) == {"a": 1, "b": 5}
        assert first.asked == 2, "nobody asks a dead one again"

    asyncio.run(main())


def test_where_all_are_dead_the_last_ones_death_is_told() -> None:
    async def main() -> None:
        both = ReplicatedBackend([Replica("a", dies=0), Replica("b", dies=0)])
        told = await asyncio.gather(*(both.complete(ask(f"q{n}")) for n in range(4)), return_exceptions=True)
        assert all(isinstance(error, EngineDeadError) for error in told), told
        with pytest.raises(EngineDeadError, match="q9 killed it"):
            await both.complete(ask("q9"))

    asyncio.run(main())


def test_together_they_have_stepped_as_long_as_the_busiest() -> None:
    both = ReplicatedBackend([Replica("a", step_s=2.0), Replica("b", step_s=3.0)])
    assert both.meter() == EngineMeter(0, 3.0, 20)
    assert both.info.reason == "asked for; 2 engines side by side"


@pytest.mark.parametrize(
    ("together", "most", "replicas", "threads"),
    [(16, 16, 2, "8"), (2, 1, 2, "1"), (16, 1, 4, "1"), (2, 2, 4, "1"), (7, 8, 2, "3")],
)
def test_engines_on_a_cpu_divide_its_threads(together: int, most: int, replicas: int, threads: str) -> None:
    assert Placement.on_cores(together, most, replicas) == Placement({"OMP_NUM_THREADS": threads}, 1 / replicas)


@pytest.mark.parametrize(
    ("gpus", "each", "replicas", "places", "share"),
    [
        ("0123", 1, 4, ["0", "1", "2", "3"], 1.0),
        ("4567", 2, 2, ["4,5", "6,7"], 1.0),
        ("0", 1, 2, ["0", "0"], 0.5),
        ("012", 2, 2, ["0,1", "0,1"], 0.5),
        ("01", 1, 3, ["0", "1", "0"], 0.5),
    ],
)
def test_engines_have_gpus_of_their_own_and_share_where_there_are_too_few(
    gpus: str, each: int, replicas: int, places: list[str], share: float
) -> None:
    found = [Placement.on_gpus(gpus, each, replicas, number) for number in range(replicas)]
    assert found == [Placement({"CUDA_VISIBLE_DEVICES": place}, share) for place in places]


def test_where_nobody_says_which_gpus_there_are_each_engine_finds_them_itself() -> None:
    assert Placement.on_gpus((), 2, 2, 1) == Placement({}, 0.5)


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        ({"replicas": 0}, "greater than or equal to 1"),
        ({"replicas": 2, "provider": "openai"}, "1, with provider 'openai'"),
    ],
)
def test_settings_that_cannot_be_replicated_are_refused(values: dict[str, object], allowed: str) -> None:
    with pytest.raises(ValueError, match="replicas") as error:
        ModelSettings.model_validate({"model": "micro-target", "provider": "vllm", **values})
    assert allowed in str(error.value)


def test_the_gpus_of_an_engine_are_those_of_its_parallel_sizes() -> None:
    arguments = {"tensor_parallel_size": 4, "pipeline_parallel_size": 2}
    assert ModelSettings(model="m", engine_args=arguments).gpus_per_engine == 8
    assert ModelSettings(model="m").gpus_per_engine == 1


@pytest.mark.engine
def test_an_engine_that_answers_with_adapters_is_not_replicated() -> None:
    from ace.inference.model_files.lora_adapter import Adapter

    with pytest.raises(ConfigError, match="replicas: found 2, allowed: 1, where adapters answer"):
        create_backend(
            ModelSettings(provider="vllm", model="micro-target", replicas=2), adapters=[Adapter("folder", rank=8)]
        )
