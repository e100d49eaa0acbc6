"""What the models of a run's roles have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
from micro_runs import micro_backend, settings

from ace.inference.bindings import bind


@pytest.mark.parametrize(
    ("generator", "curator", "smallest"),
    [(4096, 2048, 2048), (None, 2048, 2048), (4096, 8192, 4096), (None, None, None)],
)
def test_the_smallest_context_that_is_known_counts(
    tmp_path: Path, generator: int | None, curator: int | None, smallest: int | None
) -> None:
    model = {"provider": "scripted", "model": "scripted"}
    chosen = settings(tmp_path, models={"main": model, "other": model}, roles={"curator": {"model": "other"}})
    backends = {"main": micro_backend(generator), "other": micro_backend(curator)}
    assert bind(chosen, backends).context == smallest
