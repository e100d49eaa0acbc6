"""The preview of a sample: requests of the run's own code, without a model."""

from __future__ import annotations

import asyncio
from pathlib import Path

from micro_runs import all_roles, micro_backend, role_of, settings

from ace.config import RunSettings
from ace.engine import run
from ace.engine.preview import Preview, preview
from ace.engine.run_inputs import load_inputs


def previewed(chosen: RunSettings) -> Preview:
    inputs = load_inputs(chosen)
    return asyncio.run(preview(chosen, inputs, inputs.task.splits.train[0]))


def test_a_run_sends_the_request_that_the_preview_shows(tmp_path: Path) -> None:
    chosen = settings(tmp_path, evaluation__before=False, adaptation__shuffle=False, roles__generator__temperature=0.3)
    backend = micro_backend()
    asyncio.run(run(chosen, backends=all_roles(backend)))
    first = next(request for request in backend.requests if role_of(request) == "generator")
    assert previewed(chosen).requests["generator"] == first


def test_requests_follow_the_roles_settings_and_the_provider(tmp_path: Path) -> None:
    changes = {"roles__reflector__max_tokens": 77, "roles__curator__temperature": 0.9}
    guided = previewed(settings(tmp_path, **changes)).requests
    assert guided["reflector"].sampling.max_tokens == 77
    assert guided["curator"].sampling.temperature == 0.9
    assert all(request.schema for request in guided.values())
    unguided = {"main": {"provider": "huggingface", "model": "micro-target"}}
    assert not any(request.schema for request in previewed(settings(tmp_path, models=unguided)).requests.values())
