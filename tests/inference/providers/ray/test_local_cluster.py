"""Connections: to a cluster that ace starts for a run, and to one that is not there."""

from __future__ import annotations

import asyncio

import psutil
import pytest
import scripted_engine
from scripted_engine import questions

from ace.config import ModelSettings
from ace.errors import ConfigError, ProviderStartError

pytestmark = pytest.mark.ray


def settings(**ray: object) -> ModelSettings:
    return ModelSettings.model_validate({"provider": "ray", "model": "a model", "replicas": 2, "ray": ray})


def test_a_cluster_of_this_machine_is_there_for_the_pool(ray_environment: None) -> None:
    from ace.inference.providers.ray import create

    before = set(psutil.Process().children(recursive=True))
    pool = create(settings(), load=scripted_engine.load)
    processes = set(psutil.Process().children(recursive=True)) - before

    async def main() -> None:
        answers = await asyncio.gather(*map(pool.complete, questions(8)))
        assert len({answer.text.rpartition(" ")[2] for answer in answers}) == 2
        with pytest.raises(ConfigError, match="a process has one cluster"):
            create(settings(address="10.0.0.1:6379"), load=scripted_engine.load)
        await pool.close()

    asyncio.run(main())
    gone, alive = psutil.wait_procs(processes, timeout=30)
    assert gone and not alive


def test_a_cluster_that_is_not_there_is_named(ray_environment: None) -> None:
    from ace.inference.providers.ray import create

    with pytest.raises(ProviderStartError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        create(settings(address="127.0.0.1:1"), load=scripted_engine.load)
