"""Engines that several runs share: equal settings find the same ones, slots are fair, and the last run ends them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import scripted_engine
from pydantic import ValidationError
from scripted_engine import questions

from ace.config import ModelSettings
from ace.errors import ConfigError
from ace.inference import Backend

pytestmark = pytest.mark.ray

ANOTHER_RUN = """
import asyncio, sys, scripted_engine
from ace.config import ModelSettings
from ace.inference.providers.ray import create

pool = create(ModelSettings.model_validate_json(sys.argv[1]), load=scripted_engine.load)
print(asyncio.run(pool.complete(scripted_engine.questions(1)[0])).text.split()[-1], flush=True)
sys.stdin.read()
"""
"""A run that answers a question, says which process did, and stays until its input ends."""


@pytest.fixture(autouse=True)
def connection(cluster: Any) -> Iterator[None]:
    """Be connected between the pools of a test, and see that it leaves no engine behind."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_IGNORE_UNHANDLED_ERRORS", "1")
        ray.init(cluster.address, namespace="ace", log_to_driver=False)
        yield
        engines = named_engines()
        ray.shutdown()
    assert not engines


def named_engines(within_s: float = 20.0) -> list[str]:
    """The engines that are still there after `within_s`, or none as soon as there are none."""
    import ray

    deadline = time.monotonic() + within_s
    while (names := list(ray.util.list_named_actors())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return names


def settings(cluster: Any, more: dict[str, Any] | None = None, **ray: Any) -> ModelSettings:
    ray = {"address": cluster.address, "shared": True, "heartbeat_timeout_s": 1, **ray}
    values = {"provider": "ray", "model": "a model", "max_concurrency": 4, "ray": ray, **(more or {})}
    return ModelSettings.model_validate(values)


def start(cluster: Any, more: dict[str, Any] | None = None, **ray: Any) -> Backend:
    from ace.inference.providers.ray import create

    return create(settings(cluster, more, **ray), load=scripted_engine.load)


def process(backend: Backend) -> int:
    return int(asyncio.run(backend.complete(questions(1)[0])).text.split()[-1])


def close(backend: Backend) -> None:
    asyncio.run(backend.close())


def test_runs_with_equal_settings_share_engines_until_the_last_one_ends(cluster: Any) -> None:
    first, second = start(cluster), start(cluster, weight=2.0)
    assert process(first) == (shared := process(second))
    close(first)
    assert process(second) == shared
    close(second)
    assert named_engines() == []
    again = start(cluster)
    assert process(again) != shared
    close(again)


def test_other_settings_of_the_engine_are_another_engine(cluster: Any) -> None:
    first, second = start(cluster), start(cluster, {"max_model_len": 512})
    assert process(first) != process(second)
    close(first)
    close(second)


def test_a_run_that_came_first_does_not_keep_the_others_waiting(cluster: Any) -> None:
    first, second = start(cluster), start(cluster)

    async def main() -> None:
        many = [asyncio.ensure_future(first.complete(one)) for one in questions(80, tokens=50)]
        await asyncio.sleep(0.2)
        await asyncio.gather(*map(second.complete, questions(8, tokens=50)))
        assert sum(not one.done() for one in many) > 8, "the eight of the second run did not wait for all of the first"
        await asyncio.gather(*many)

    asyncio.run(main())
    close(first)
    close(second)


def test_a_meter_counts_from_when_the_run_joined(cluster: Any) -> None:
    first = start(cluster)
    asyncio.run(_all(first, 5))
    second = start(cluster)
    asyncio.run(_all(second, 1))
    meters = [backend.meter() for backend in (first, second)]
    assert [meter.steps for meter in meters if meter is not None] == [5, 1]
    close(first)
    close(second)


async def _all(backend: Backend, number: int) -> None:
    await asyncio.gather(*map(backend.complete, questions(number)))


def test_a_killed_run_leaves_nothing_behind_and_takes_nothing_from_the_others(cluster: Any) -> None:
    mine = start(cluster)
    command = [sys.executable, "-c", ANOTHER_RUN, settings(cluster).model_dump_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert int(other.stdout.readline()) == (shared := process(mine))
        close(mine)
        assert named_engines(within_s=1.0), "the other run has it"
        again = start(cluster)
        other.kill()
    assert process(again) == shared
    close(again)


def test_the_engine_of_a_killed_run_ends(cluster: Any) -> None:
    command = [sys.executable, "-c", ANOTHER_RUN, settings(cluster).model_dump_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline()
        other.kill()
    assert named_engines() == []


def test_engines_that_are_kept_wait_for_the_next_run(cluster: Any) -> None:
    first = start(cluster, keep_s=3)
    kept = process(first)
    close(first)
    second = start(cluster, keep_s=3)
    assert process(second) == kept
    close(second)
    assert named_engines() == []


def test_engines_over_several_gpus_that_ray_drives_are_not_shared() -> None:
    from ace.inference.providers.ray.replica_resources import ReplicaResources

    ray = {"address": "auto", "shared": True}
    pipeline = {"provider": "ray", "model": "org/model", "ray": ray, "engine_args": {"pipeline_parallel_size": 2}}
    with pytest.raises(ConfigError, match=r"ray\.shared: found True"):
        ReplicaResources.of(ModelSettings.model_validate(pipeline), gpus=True)


@pytest.mark.parametrize(
    ("ray", "message"),
    [
        ({"shared": True}, "without ray.address"),
        ({"address": "auto", "weight": 2}, "not supported without ray.shared"),
        ({"address": "auto", "keep_s": 60}, "not supported without ray.shared"),
    ],
)
def test_settings_that_do_not_fit_are_refused(ray: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSettings.model_validate({"provider": "ray", "model": "a model", "ray": ray})
