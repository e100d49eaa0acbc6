"""A cluster that `ray start` made: a client over `ray://`, and the places of replicas on GPUs that are only counted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import scripted_engine
from ray_nodes import ray_head
from scripted_engine import questions

from ace.config import ModelSettings
from ace.errors import ProviderStartError
from ace.inference import Backend

pytestmark = pytest.mark.ray


class Head(NamedTuple):
    """Addresses of a head node with two cores and two GPUs that are not there."""

    address: str
    client: str


@pytest.fixture(scope="module")
def head(ray_environment: None) -> Iterator[Head]:
    port, client = _free_port(), _free_port()
    arguments = (f"--port={port}", f"--ray-client-server-port={client}", "--num-cpus=2", "--num-gpus=2")
    with ray_head(*arguments):
        yield Head(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(address: str, engine_args: dict[str, Any] | None = None, replicas: int = 1, **ray: Any) -> Backend:
    from ace.inference.providers.ray import create

    values = {"provider": "ray", "model": "a model", "replicas": replicas, "engine_args": engine_args or {}}
    return create(
        ModelSettings.model_validate({**values, "ray": {"address": address, **ray}}), load=scripted_engine.load
    )


def test_a_client_answers_as_a_member_of_the_cluster_does(head: Head) -> None:
    pool = start(head.client, replicas=2, device="cpu")

    async def main() -> None:
        answers = await asyncio.gather(*map(pool.complete, questions(8)))
        assert [answer.text.rpartition(" ")[0] for answer in answers] == [f"word {n}" for n in range(8)]
        given_up = asyncio.ensure_future(pool.complete(questions(1, tokens=60_000)[0]))
        await asyncio.sleep(0.1)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert (await pool.complete(questions(1)[0])).text.startswith("word 0"), "the connection is still there"
        await pool.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("replicas", "engine_args", "ray", "left", "groups"),
    [
        (2, {}, {}, 0, []),
        (2, {}, {"gpu_share": 0.5}, 1, []),
        (1, {"tensor_parallel_size": 2}, {}, 0, []),
        (
            1,
            {"tensor_parallel_size": 2, "distributed_executor_backend": "ray"},
            {},
            0,
            [("STRICT_PACK", {0: {"CPU": 1.0, "GPU": 1.0}, 1: {"GPU": 1.0}})],
        ),
        (1, {"pipeline_parallel_size": 2}, {}, 0, [("PACK", {0: {"CPU": 1.0, "GPU": 1.0}, 1: {"GPU": 1.0}})]),
    ],
)
def test_a_replica_has_its_gpus_until_it_ends(
    head: Head, replicas: int, engine_args: dict[str, Any], ray: dict[str, Any], left: int, groups: list[Any]
) -> None:
    import ray as cluster

    with _connection(head):
        pool = start(head.address, engine_args, replicas, **ray)
        asyncio.run(pool.complete(questions(1)[0]))
        _wait_for_gpus(left)
        table = cluster.util.placement_group_table().values()
        assert [(one["strategy"], one["bundles"]) for one in table if one["state"] == "CREATED"] == groups
        asyncio.run(pool.close())
        _wait_for_gpus(2)


def test_more_gpus_than_there_are_is_an_error_that_says_what_there_is(head: Head) -> None:
    with pytest.raises(ProviderStartError, match=r"[01] of 2 engines .* 2 GPU\); each takes 1 CPU, 2 GPU"):
        start(head.address, {"tensor_parallel_size": 2}, replicas=2, start_timeout_s=5)


@contextlib.contextmanager
def _connection(head: Head) -> Iterator[None]:
    import ray

    ray.init(head.address, namespace="ace", log_to_driver=False)
    yield
    ray.shutdown()


def _wait_for_gpus(free: int) -> None:
    """Wait until so many GPUs are free: the head hears of it a little later."""
    import ray

    while ray.available_resources().get("GPU", 0.0) != free:
        time.sleep(0.1)
