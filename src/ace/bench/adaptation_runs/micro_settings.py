"""Settings of benchmark runs on the micro world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ace.bench.adaptation_runs.run_modes import MOST_TOKENS
from ace.config import RunSettings, settings_from
from ace.types import ROLES


def micro_run(store: Path, world: Mapping[str, Any], **settings: Any) -> RunSettings:
    """A run on `world`, which is `task.micro`, with its store in that file; `settings` are all the others.

    Every call is made: there is no cache.
    """
    return settings_from(
        {
            "name": "bench",
            "prompts": "micro",
            "store": f"sqlite:///{store}",
            "cache": "none",
            "task": {"name": "micro", "micro": dict(world)},
            **settings,
        }
    )


def greedy(most_tokens: Sequence[int] = MOST_TOKENS) -> dict[str, Any]:
    """Settings of the roles: nothing is drawn, and answers have at most so many tokens, by role."""
    return {
        role: {"max_tokens": tokens, "temperature": 0.0, "top_p": 1.0}
        for role, tokens in zip(ROLES, most_tokens, strict=True)
    }
