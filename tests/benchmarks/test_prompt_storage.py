"""The benchmark of stored prompts measures a run that learns, and a database that gets smaller without them."""

from __future__ import annotations

from benchmarks.scale.prompt_storage import measure_prompt_storage


def test_the_database_is_smaller_without_prompts() -> None:
    report = measure_prompt_storage(samples=4, batch=2, repetitions=1, seed=0)
    assert report.calls >= 4 * 4, "evaluations before and after, a generator's and a reflector's call in training"
    assert 0 < report.bytes_without < report.bytes_with
    assert "| journal, ms a call |" in report.to_markdown()
