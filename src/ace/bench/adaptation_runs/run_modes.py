"""The modes of an adaptation run that are compared: names and changed settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

from ace.config import Provider, RunSettings, merged, settings_from
from ace.errors import ConfigError
from ace.types import ROLES

TARGET, DRAFT = "micro-target", "micro-draft"
BATCH = 16
MOST_TOKENS = (128, 192, 512)
"""Tokens of an answer, by role."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run. `serial` makes one call at a time; `settings` are merged into those of the run."""

    name: str
    provider: Provider = "vllm"
    serial: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


EARLY: Mapping[str, Any] = {"adaptation": {"early_stop": {"enabled": True}}}
TIERED: Mapping[str, Any] = {
    "models": {"small": {"provider": "vllm", "model": DRAFT, "max_model_len": 2048}},
    "roles": {"reflector": {"model": "small"}, "curator": {"model": "small"}},
}
ESCALATING: Mapping[str, Any] = merged(
    TIERED,
    {
        "roles": {
            "reflector": {"escalate": {"model": "main", "rounds": 2}},
            "curator": {"escalate": {"model": "main", "coverage": 1.0}},
        }
    },
)
"""The target takes over from the second reflection on an answer, and where a curation loses an insight."""

PIPELINE: Mapping[str, Any] = {"adaptation": {"pipeline": 1}}
COMPILED: Mapping[str, Any] = {"models": {"main": {"compile": True}}}
TWO: Mapping[str, Any] = {"models": {"main": {"provider": "ray", "replicas": 2}}}
"""Two engines side by side: on two cores, or on two GPUs."""


def speculative(method: str) -> Mapping[str, Any]:
    """Settings that have the target's tokens guessed by `method`."""
    draft = {"model": DRAFT} if method == "draft" else {}
    return {"models": {"main": {"speculative": {"method": method, **draft}}}}


def together(*settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """All of them, the later ones above the earlier ones."""
    return reduce(merged, settings)


PLAIN_NAME, EARLY_NAME = "vLLM", "vLLM, early stopping"
_SIDE_BY_SIDE = (
    Mode("vLLM, two engines", settings=TWO),
    Mode("vLLM, two engines, compiled", settings=together(TWO, COMPILED)),
    Mode("vLLM, what pays: early stopping, two engines, compiled", settings=together(EARLY, TWO, COMPILED)),
)
MODES: tuple[Mode, ...] = (
    Mode("transformers, one by one", "huggingface", serial=True),
    Mode("transformers, batched", "huggingface"),
    Mode("vLLM, one by one", serial=True),
    Mode(PLAIN_NAME),
    Mode(EARLY_NAME, settings=EARLY),
    Mode("vLLM, early stopping, small reflector and curator", settings=together(EARLY, TIERED)),
    Mode("vLLM, early stopping, small ones escalating to the large one", settings=together(EARLY, ESCALATING)),
    Mode("vLLM, speculative (n-gram)", settings=speculative("ngram")),
    Mode("vLLM, speculative (history)", settings=speculative("history")),
    Mode("vLLM, speculative (draft)", settings=speculative("draft")),
    Mode("vLLM, pipeline", settings=PIPELINE),
    Mode("vLLM, compiled", settings=COMPILED),
    *(_SIDE_BY_SIDE if find_spec("ray") is not None else ()),
)
"""Those that can be measured with the packages installed here."""


def run_settings(mode: Mode, *, store: str, samples: int, epochs: int, world: int, batch: int = BATCH) -> RunSettings:
    """One adaptation on the micro world `world`, and 64 held-out questions after it."""
    values: dict[str, Any] = {
        "name": "bench",
        "prompts": "micro",
        "store": store,
        "cache": "none",  # every call is to be made
        "task": {
            "name": "micro",
            "micro": {"seed": world, "terms": 16, "modifiers": 8, "train": samples, "validation": 0, "test": 64},
        },
        "models": {"main": {"provider": mode.provider, "model": TARGET, "max_model_len": 2048}},
        "roles": {
            role: {"max_tokens": tokens, "temperature": 0.0, "top_p": 1.0}
            for role, tokens in zip(ROLES, MOST_TOKENS, strict=True)
        },
        "adaptation": {"epochs": epochs, "batch_size": batch},
        "evaluation": {"before": False},
    }
    return settings_from(merged(values, mode.settings))


class Named(Protocol):
    """One way of several."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def select_modes(modes: Sequence[N], names: Iterable[str]) -> Sequence[N]:
    """Select `modes` by `names`, in their order; all of them without any. ConfigError for an unknown one."""
    by_name = {mode.name: mode for mode in modes}
    for name in names:
        if name not in by_name:
            raise ConfigError.at("--mode", name, "; ".join(by_name))
    return [by_name[name] for name in dict.fromkeys(names)] or modes


def mode_options(names: Sequence[str], *, available: int) -> str:
    """The options of a command that measures the modes `names` alone; "" where these are all `available` ones."""
    return "" if len(names) == available else "".join(f' --mode "{name}"' for name in names)
