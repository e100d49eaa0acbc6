"""Requests of a run for `ace bench speculative`, with their roles: of the micro world, or of a config's own run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ace.bench.adaptation_runs.config_modes import MAIN, ConfigSource, config_settings
from ace.bench.adaptation_runs.micro_settings import greedy, micro_run
from ace.bench.adaptation_runs.request_recorder import RequestRecorder
from ace.bench.adaptation_runs.run_modes import PLAIN_NAME, Mode
from ace.bench.hardware.isolated_process import isolated
from ace.config import RunSettings, SpeculativeSettings
from ace.engine import run
from ace.errors import ConfigError
from ace.inference import Backend, ScriptedBackend, create_backend
from ace.store import RunStore
from ace.tasks.micro.scripted_model import ScriptedMicroModel, role_of
from ace.types import Request, RoleName

_WORLDS = 1_000
"""Worlds between one batch size and the next."""

Work = dict[int, list[list["RoleRequest"]]]
"""By batch size, the requests of a warm-up and of each repetition."""


@dataclass(frozen=True, slots=True)
class RoleRequest:
    """A request and the role that made it. It survives pickling."""

    role: RoleName
    request: Request

    @classmethod
    def of(cls, role: RoleName, request: Request) -> RoleRequest:
        """Take `request` with a schema that can be pickled."""
        return cls(role, replace(request, schema=dict(request.schema or {}) or None))


def micro_work(requests: int, batches: Sequence[int], repetitions: int, seed: int) -> Work:
    """Lists of `requests` requests, each of a micro world of its own."""
    return {
        batch: [micro_requests(requests, seed + place * _WORLDS + repetition) for repetition in range(repetitions + 1)]
        for place, batch in enumerate(batches)
    }


def micro_requests(count: int, world: int) -> list[RoleRequest]:
    """The last `count` requests of a run on this world, in which a script plays the roles: greedy, with schemas."""
    backend = ScriptedBackend(ScriptedMicroModel(slips=0.25))
    while len(backend.requests) < count:
        with TemporaryDirectory(prefix="ace-bench-") as folder:
            settings = micro_run(
                Path(folder) / "ace.db",
                {"seed": world, "train": 64, "validation": 0, "test": 1},
                models={"main": {"provider": "scripted", "model": "scripted"}},
                roles=greedy(),
                adaptation={"batch_size": 16},
                evaluation={"before": False, "after": False},
            )
            asyncio.run(run(settings, backends={"main": backend}))
    return [RoleRequest.of(role_of(request), request) for request in backend.requests[-count:]]


def config_work(source: ConfigSource, requests: int, batches: Sequence[int], repetitions: int) -> Work:
    """Lists of at most `requests` requests of one run, made without speculation by the model `main` in every role.

    ConfigError where the run makes fewer requests than there are lists; what starting the engine raises.
    """
    lists = dealt(isolated(_record, source), requests, len(batches) * (repetitions + 1))
    return {batch: lists[place :: len(batches)] for place, batch in enumerate(batches)}


def dealt(requests: Sequence[RoleRequest], most: int, lists: int) -> list[list[RoleRequest]]:
    """Deal requests from the whole run to `lists` lists, at most `most` each. ConfigError if there are too few."""
    if len(requests) < lists:
        raise ConfigError(
            f"the run makes {len(requests)} requests; {lists} are needed: a warm-up and all repetitions by batch size",
            hint="give the task more samples",
        )
    total = min(len(requests), most * lists)
    chosen = [requests[place * len(requests) // total] for place in range(total)]
    return [chosen[place::lists] for place in range(lists)]


def _record(source: ConfigSource) -> list[RoleRequest]:
    """Requests of a run in their order. Those that no batch made are the evaluation's, which asks the generator."""
    with TemporaryDirectory(prefix="ace-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'ace.db'}"
        settings = config_settings(Mode(PLAIN_NAME), source, store=url, repetition=0)
        main = settings.models[MAIN].model_copy(update={"speculative": SpeculativeSettings()})
        recorder = RequestRecorder(create_backend(main))
        run_id = asyncio.run(_run(settings, recorder))
        with RunStore.open(url, create=False) as store:
            roles = {call.digest: call.role for call in store.calls(run_id)}
    return [RoleRequest.of(roles.get(request.digest, "generator"), request) for request in recorder.requests]


async def _run(settings: RunSettings, backend: Backend) -> str:
    """The id of a run whose roles all ask `backend`, which is closed then."""
    try:
        return (await run(settings, backends={MAIN: backend})).run
    finally:
        await backend.close()
