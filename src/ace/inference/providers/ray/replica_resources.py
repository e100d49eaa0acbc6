"""Resources of one replica: an actor on one node, or a placement group over several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ace._util.hashing import digest
from ace.config import ModelSettings
from ace.errors import ConfigError
from ace.inference.engine_identity import Identity


@dataclass(frozen=True, slots=True)
class ReplicaResources:
    """Resources by name. With `bundles`, each of them lies on one node, and all of them as near as possible.

    Without `bundles` the replica is one actor on one node: vLLM's own processes share its GPUs. With them the actor has
    the first bundle's cores, and vLLM's Ray executor starts a worker on the GPU of each bundle.
    """

    cpus: float
    gpus: float
    others: Mapping[str, float] = field(default_factory=dict)
    bundles: tuple[Mapping[str, float], ...] = ()
    strategy: str = "PACK"

    @classmethod
    def of(cls, settings: ModelSettings, *, gpus: bool) -> ReplicaResources:
        """For one replica of `settings`, on a cluster with GPUs or without."""
        ray = settings.ray
        if not gpus:
            return cls(ray.cpus, 0.0, ray.resources)
        each = settings.gpus_per_engine
        if not _uses_ray_executor(settings):
            return cls(ray.cpus, each * ray.gpu_share, ray.resources)
        if ray.shared:
            raise ConfigError.at("ray.shared", True, "false, with engines over several GPUs that Ray's executor drives")
        first = {"CPU": ray.cpus, "GPU": 1.0, **ray.resources}
        bundles = (first, *({"GPU": 1.0} for _ in range(each - 1)))
        one_node = settings.engine_args.get("pipeline_parallel_size", 1) == 1
        return cls(ray.cpus, 0.0, ray.resources, bundles, "STRICT_PACK" if one_node else "PACK")

    def options(self) -> dict[str, Any]:
        """Options of the actor, without its place in a placement group."""
        options: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus, "resources": dict(self.others)}
        if not self.bundles:
            options["scheduling_strategy"] = "SPREAD"  # a lost node then takes as few replicas as possible with it
        return options

    def __str__(self) -> str:
        total = {"CPU": self.cpus, "GPU": self.gpus or float(len(self.bundles)), **self.others}
        return ", ".join(f"{amount:g} {name}" for name, amount in total.items() if amount)


def engine_settings(settings: ModelSettings, *, gpus: bool) -> ModelSettings:
    """The settings of one replica's engine, which is a vLLM engine in the actor's process."""
    arguments = dict(settings.engine_args)
    if gpus and _uses_ray_executor(settings):
        arguments["distributed_executor_backend"] = "ray"
    only_ray = {"ray", "replicas", "provider"}
    return ModelSettings.model_validate(
        settings.model_dump(exclude=only_ray) | {"provider": "vllm", "engine_args": arguments, "warm": False}
    )


def shared_name(engine: ModelSettings, resources: ReplicaResources) -> str:
    """The name of the engines that runs share: equal for what answers alike and takes the same resources."""
    return f"ace-engine-{digest([asdict(Identity.of(engine, 'vllm')), asdict(resources)]).rpartition(':')[2][:24]}"


def _uses_ray_executor(settings: ModelSettings) -> bool:
    """A pipeline may cross nodes; within a node vLLM's own processes are quicker."""
    chosen = settings.engine_args.get("distributed_executor_backend")
    if settings.gpus_per_engine == 1 or chosen not in (None, "ray"):
        return False
    return chosen == "ray" or settings.engine_args.get("pipeline_parallel_size", 1) > 1
