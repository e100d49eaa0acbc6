"""A pool of scripted engines on a cluster of two nodes: answers, losses, and what is refused."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import scripted_engine
from scripted_engine import questions

from ace.config import ModelSettings
from ace.errors import ConfigError, EngineDeadError, ModelNotFoundError, ProviderStartError, RequestQuarantinedError
from ace.inference import Backend
from ace.types import Completion, Message, Request

pytestmark = pytest.mark.ray


def start(cluster: Any, model: str = "a model", **more: object) -> Backend:
    from ace.inference.providers.ray import create

    settings = {"provider": "ray", "model": model, "replicas": 2, "ray": {"address": cluster.address}, **more}
    return create(ModelSettings.model_validate(settings), load=scripted_engine.load)


@pytest.fixture(scope="module")
def shared_pool(cluster: Any) -> Iterator[Backend]:
    backend = start(cluster, max_restarts=100)
    yield backend
    asyncio.run(backend.close())


@pytest.fixture
def pool(shared_pool: Backend) -> Backend:
    """Two replicas that are up, whatever the test before did to them."""

    async def both_up() -> None:
        while len(processes(await ask(shared_pool, questions(8)))) < 2:
            await asyncio.sleep(0.1)

    asyncio.run(both_up())
    return shared_pool


async def ask(backend: Backend, requests: list[Request]) -> list[Completion]:
    return list(await asyncio.gather(*map(backend.complete, requests)))


def processes(answers: list[Completion]) -> set[int]:
    return {int(answer.text.rpartition(" ")[2]) for answer in answers}


def texts(answers: list[Completion]) -> list[str]:
    return [answer.text.rpartition(" ")[0] for answer in answers]


def test_both_replicas_answer(pool: Backend) -> None:
    answers = asyncio.run(ask(pool, questions(8)))
    assert texts(answers) == [f"word {n}" for n in range(8)]
    assert len(processes(answers)) == 2
    assert pool.info.provider == "ray" and "2 of 2 engines up" in pool.info.reason
    assert pool.count_tokens("the word") == 2
    before = pool.meter()
    asyncio.run(ask(pool, questions(8)))
    after = pool.meter()
    assert before is not None and after is not None and (after - before).steps == 8


def test_a_new_prefix_is_computed_by_every_replica(pool: Backend) -> None:
    async def main() -> None:
        before = pool.meter()
        (only,) = questions(1, prefix="a playbook " * 100)
        await pool.complete(only)
        await ask(pool, questions(2, tokens=50))  # brings the meters of both
        after = pool.meter()
        assert before is not None and after is not None
        assert (after - before).steps == 4, "three answers, and the prefix on the other replica"

    asyncio.run(main())


def test_what_a_killed_replica_had_is_answered_by_the_other_and_ray_starts_it_again(pool: Backend) -> None:
    async def main() -> None:
        before = processes(await ask(pool, questions(4)))
        victim = min(before)
        pending = asyncio.ensure_future(ask(pool, questions(8, tokens=500)))
        await asyncio.sleep(0.1)
        os.kill(victim, signal.SIGKILL)
        answers = await pending
        assert texts(answers) == [f"word {n}" for n in range(8)]
        assert processes(answers) == before - {victim}
        while len(now := processes(await ask(pool, questions(8)))) < 2:
            await asyncio.sleep(0.1)
        assert victim not in now

    asyncio.run(main())


def test_what_a_silent_replica_had_is_answered_by_the_other_and_it_comes_back(cluster: Any) -> None:
    backend = start(cluster, ray={"address": cluster.address, "heartbeat_timeout_s": 1})

    async def main() -> None:
        before = processes(await ask(backend, questions(4)))
        silent = min(before)
        pending = asyncio.ensure_future(ask(backend, questions(8, tokens=500)))
        await asyncio.sleep(0.1)
        os.kill(silent, signal.SIGSTOP)
        try:
            answers = await pending
            assert texts(answers) == [f"word {n}" for n in range(8)]
            assert processes(answers) == before - {silent}
        finally:
            os.kill(silent, signal.SIGCONT)
        while processes(await ask(backend, questions(8))) != before:
            await asyncio.sleep(0.1)
        await backend.close()

    asyncio.run(main())


def test_a_dead_engine_is_started_again(pool: Backend) -> None:
    async def main() -> None:
        before = processes(await ask(pool, questions(4)))
        with pytest.raises(RequestQuarantinedError, match="3 replicas were lost"):
            await pool.complete(Request((Message("user", "fail"),)))
        answers = await ask(pool, questions(8))
        assert not processes(answers) & before

    asyncio.run(main())


def test_a_request_that_kills_its_replica_is_refused_and_the_others_are_answered(pool: Backend) -> None:
    async def main() -> None:
        poison = asyncio.ensure_future(pool.complete(Request((Message("user", "die"),))))
        answers = await ask(pool, questions(8, tokens=300))
        assert texts(answers) == [f"word {n}" for n in range(8)]
        with pytest.raises(RequestQuarantinedError):
            await poison

    asyncio.run(main())


def test_without_restarts_the_last_replica_is_the_end(cluster: Any) -> None:
    backend = start(cluster, max_restarts=0)

    async def main() -> None:
        for victim in processes(await ask(backend, questions(4))):
            psutil.Process(victim).kill()
        with pytest.raises(EngineDeadError, match=r"the replica on node .* is lost"):
            await ask(backend, questions(4))
        await backend.close()

    asyncio.run(main())


def test_a_request_that_is_given_up_leaves_the_engine(pool: Backend) -> None:
    async def main() -> None:
        pending = asyncio.ensure_future(pool.complete(questions(1, tokens=60_000)[0]))
        await asyncio.sleep(0.1)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        assert len(processes(await ask(pool, questions(8)))) == 2

    asyncio.run(main())


def test_what_keeps_an_engine_from_starting_is_told(cluster: Any) -> None:
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        start(cluster, "missing")
    with pytest.raises(ConfigError) as error:
        start(cluster, "wrong")
    assert error.value.under("models.main").message.startswith("models.main.engine_args.blok_size: found 32")


def test_a_cluster_without_room_is_told_with_what_it_has(cluster: Any) -> None:
    ray = {"address": cluster.address, "cpus": 16, "start_timeout_s": 2}
    with pytest.raises(ProviderStartError, match=r"0 of 2 engines .* each takes 16 CPU"):
        start(cluster, ray=ray)


def test_a_run_begins_with_as_many_replicas_as_it_must_have(cluster: Any, pool: Backend) -> None:
    """Of the four cores the shared pool has two."""
    ray = {"address": cluster.address, "min_replicas": 1}
    backend = start(cluster, replicas=3, ray=ray)

    async def main() -> None:
        while len(processes(await ask(backend, questions(12)))) < 2:
            await asyncio.sleep(0.1)
        await backend.close()

    asyncio.run(main())
    assert " of 3 engines up" in backend.info.reason


def test_a_run_does_not_wait_for_ever_for_a_replica_that_has_no_place_left(cluster: Any, shared_pool: Backend) -> None:
    node = cluster.add_node(num_cpus=1, resources={"only": 1})
    ray = {"address": cluster.address, "resources": {"only": 1}, "start_timeout_s": 30}
    backend = start(cluster, replicas=1, ray=ray)

    async def main() -> None:
        await ask(backend, questions(1))
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        with pytest.raises(EngineDeadError, match="is lost"):
            await ask(backend, questions(1, tokens=20_000))
        await backend.close()

    asyncio.run(main())
    cluster.remove_node(node, allow_graceful=False)


def test_what_a_killed_node_had_is_answered_by_another_node(cluster: Any, shared_pool: Backend) -> None:
    nodes = [cluster.add_node(num_cpus=1, resources={"doomed": 1}) for _ in range(2)]
    backend = start(cluster, ray={"address": cluster.address, "resources": {"doomed": 1}})

    async def main() -> None:
        assert len(processes(await ask(backend, questions(4)))) == 2
        pending = asyncio.ensure_future(ask(backend, questions(8, tokens=2000)))
        await asyncio.sleep(0.5)
        os.kill(nodes[0].all_processes["raylet"][0].process.pid, signal.SIGKILL)
        answers = await pending
        assert texts(answers) == [f"word {n}" for n in range(8)]
        while len(processes(await ask(backend, questions(4)))) > 1:  # the node's actor ends after its raylet
            await asyncio.sleep(0.1)
        await backend.close()

    asyncio.run(main())
    for node in nodes:
        cluster.remove_node(node, allow_graceful=False)
