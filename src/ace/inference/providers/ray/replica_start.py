"""The start of a pool's replicas: actors of this run, or actors that runs share."""

from __future__ import annotations

import time
import uuid
from typing import Any

import ray

from ace.config import ModelSettings
from ace.errors import ProviderStartError
from ace.inference.providers.ray.engine_actor import Client, EngineActor, LoadEngine, Sharing
from ace.inference.providers.ray.ray_cluster import describe_cluster
from ace.inference.providers.ray.replica import Replica
from ace.inference.providers.ray.replica_resources import ReplicaResources, engine_settings, shared_name

MOST_CALLS = 4096
"""Calls that one actor takes at a time; its engine has a queue of its own."""

CLIENT_BEATS = 3
"""Heartbeat limits after which a shared engine takes a silent run for ended."""


class ReplicaStart:
    """Starts the replicas of one pool, or joins those that another run shares."""

    def __init__(self, settings: ModelSettings, resources: ReplicaResources, load: LoadEngine, *, gpus: bool) -> None:
        self.settings, self.resources = settings, resources
        self._load, self._gpus = load, gpus
        self._engine = engine_settings(settings, gpus=gpus)
        self._client = Client(uuid.uuid4().hex, settings.ray.weight)
        self._name = shared_name(self._engine, resources) if settings.ray.shared else None

    def __call__(self, number: int) -> Replica:
        """Start or join the replica of this number, from 0."""
        ray_settings = self.settings.ray
        options: dict[str, Any] = self.resources.options() | {
            "max_restarts": self.settings.max_restarts,
            "max_task_retries": 0,  # repeated here, on another replica
            "max_concurrency": MOST_CALLS,
        }
        sharing = group = None
        if self._name is not None:
            options |= {"name": f"{self._name}-{number}", "lifetime": "detached", "get_if_exists": True}
            sharing = Sharing(CLIENT_BEATS * ray_settings.heartbeat_timeout_s, ray_settings.keep_s)
        if self.resources.bundles:
            group = ray.util.placement_group(list(self.resources.bundles), strategy=self.resources.strategy)
            options["scheduling_strategy"] = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                group, placement_group_bundle_index=0, placement_group_capture_child_tasks=True
            )
        if not self._gpus:
            options["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": str(int(self.resources.cpus))}}
        share = ray_settings.gpu_share if self._gpus else None
        actor = ray.remote(EngineActor).options(**options).remote(self._engine, self._load, share, sharing)
        return Replica(actor, group, self._client, hang_s=self.settings.timeout_s, shared=ray_settings.shared)


def wait_until_up(replicas: list[Replica], start: ReplicaStart) -> None:
    """Wait until enough replicas are up. Raises what keeps one from starting."""
    settings = start.settings
    enough = settings.ray.min_replicas or len(replicas)
    starting = {replica.starting: number for number, replica in enumerate(replicas)}
    limit_s = settings.ray.start_timeout_s
    deadline = time.monotonic() + limit_s
    while sum(replica.up is not None for replica in replicas) < enough:
        done, _ = ray.wait(list(starting), timeout=max(0.0, deadline - time.monotonic()))
        if not done:
            up = sum(replica.up is not None for replica in replicas)
            raise ProviderStartError(
                f"{up} of {enough} engines of {settings.model} are up after {limit_s:g} s, and the cluster has "
                f"{describe_cluster()}; each takes {start.resources}",
                hint="lower models.*.ray.min_replicas, or give the cluster more nodes",
            )
        for reference in done:
            number = starting.pop(reference)
            try:
                outcome = ray.get(reference)
            except ray.exceptions.RayError as error:
                if not settings.ray.shared or replicas[number].rejoined:
                    text = f"a replica of {settings.model} ended while it started: {error}"
                    raise ProviderStartError(text) from error
                replicas[number] = start(number)  # its last run ended as this one joined
                replicas[number].rejoined = True
                starting[replicas[number].starting] = number
            else:
                replicas[number].accept(outcome)
