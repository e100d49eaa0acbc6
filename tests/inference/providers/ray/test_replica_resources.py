"""What a replica takes of a cluster, by its settings. No cluster is needed."""

from __future__ import annotations

from typing import Any

import pytest

from ace.config import ModelSettings

pytestmark = pytest.mark.ray


def settings(**more: Any) -> ModelSettings:
    return ModelSettings.model_validate({"provider": "ray", "model": "org/model", "replicas": 2, **more})


def resources(model: ModelSettings, *, gpus: bool = True) -> Any:
    from ace.inference.providers.ray.replica_resources import ReplicaResources

    return ReplicaResources.of(model, gpus=gpus)


def executor(model: ModelSettings) -> object:
    from ace.inference.providers.ray.replica_resources import engine_settings

    engine = engine_settings(model, gpus=True)
    assert engine.provider == "vllm" and engine.replicas == 1
    return engine.engine_args.get("distributed_executor_backend")


def test_a_replica_on_a_cpu_takes_cores_alone() -> None:
    taken = resources(settings(ray={"cpus": 4, "resources": {"fast": 1}}), gpus=False)
    assert taken.options() == {
        "num_cpus": 4.0,
        "num_gpus": 0.0,
        "resources": {"fast": 1.0},
        "scheduling_strategy": "SPREAD",
    }
    assert str(taken) == "4 CPU, 1 fast"


def test_a_small_model_takes_a_part_of_a_gpu() -> None:
    taken = resources(settings(ray={"gpu_share": 0.25}))
    assert taken.gpus == 0.25 and not taken.bundles


def test_a_tensor_parallel_replica_has_its_gpus_on_one_node() -> None:
    model = settings(engine_args={"tensor_parallel_size": 4})
    assert resources(model).gpus == 4 and not resources(model).bundles
    assert executor(model) is None


def test_a_pipeline_may_cross_nodes() -> None:
    model = settings(engine_args={"tensor_parallel_size": 2, "pipeline_parallel_size": 2})
    taken = resources(model)
    assert taken.bundles == ({"CPU": 1.0, "GPU": 1.0}, {"GPU": 1.0}, {"GPU": 1.0}, {"GPU": 1.0})
    assert taken.strategy == "PACK" and taken.options()["num_gpus"] == 0
    assert executor(model) == "ray"
    assert str(taken) == "1 CPU, 4 GPU"


def test_ray_workers_of_one_stage_stay_on_one_node() -> None:
    model = settings(engine_args={"tensor_parallel_size": 2, "distributed_executor_backend": "ray"})
    assert resources(model).strategy == "STRICT_PACK" and executor(model) == "ray"
