"""Grid of runs: every combination of the varied settings, with every seed."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ace.config import RunSettings, YamlProblem, load_settings, parse_yaml
from ace.errors import ConfigError

MOST_CELLS = 10_000


@dataclass(frozen=True, slots=True)
class GridRun:
    """One run of a grid. Runs of one `row` differ only in the seed; `varied` are the settings of the row."""

    row: str
    varied: tuple[tuple[str, Any], ...]
    seed: int
    settings: RunSettings


def _row_name(varied: Sequence[tuple[str, Any]]) -> str:
    """The last part of each key, with its value: `batch_size=16 max_rounds=3`."""
    return " ".join(f"{key.rpartition('.')[2]}={_value_text(value)}" for key, value in varied) or "as configured"


def parse_vary(text: str, base: RunSettings) -> tuple[str, tuple[Any, ...]]:
    """Parse `KEY=VALUE,VALUE...`: YAML values, and a dotted key or a unique end of one. ConfigError."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ConfigError.at("--vary", text, "KEY=VALUE,VALUE..., such as adaptation.batch_size=1,16")
    try:
        parsed = parse_yaml(f"[{values}]")
    except YamlProblem as error:
        raise ConfigError.at("--vary", text, f"YAML values with commas between them: {error}") from error
    return _full_key(key.strip(), base), tuple(parsed)


def grid(base: RunSettings, vary: Mapping[str, Sequence[Any]], *, seeds: int = 1) -> tuple[GridRun, ...]:
    """Make the runs, row by row, each with seeds from `base.seed` upwards. ConfigError names the key that does not fit.

    With the micro task every seed has its own world: a world is one draw of that task.
    """
    rows = list(itertools.product(*([(key, value) for value in values] for key, values in vary.items())))
    if len(rows) * seeds > MOST_CELLS:
        raise ConfigError(f"{len(rows)} combinations with {seeds} seeds are more than {MOST_CELLS} runs")
    return tuple(
        GridRun(_row_name(row), row, base.seed + number, _settings(base, row, number))
        for row in rows
        for number in range(seeds)
    )


BASELINES: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "ACE as configured": (),
    "ACE, one sample at a time": (("adaptation.batch_size", 1), ("adaptation.pipeline", 0)),
    "full rewrite": (("adaptation.method", "rewrite"),),
    "examples in the prompt": (("adaptation.method", "icl"), ("adaptation.pipeline", 0)),
    "empty playbook": (("adaptation.method", "empty"), ("adaptation.pipeline", 0)),
}
"""The rows of `ace baselines`: the settings as they are, then the methods that ACE is compared with."""


def baseline_runs(base: RunSettings, *, seeds: int = 1) -> tuple[GridRun, ...]:
    """ACE as configured, sequential ACE, a full rewrite, examples in the prompt, and the playbook left as it is."""
    return tuple(
        GridRun(name, varied, base.seed + number, _settings(base, varied, number))
        for name, varied in BASELINES.items()
        for number in range(seeds)
    )


def _settings(base: RunSettings, row: Sequence[tuple[str, Any]], number: int) -> RunSettings:
    overrides = [f"{key}={json.dumps(value)}" for key, value in row]
    varied = {key for key, _ in row}
    if number and "seed" not in varied:
        overrides.append(f"seed={base.seed + number}")
    if number and base.task.name == "micro" and "task.micro.seed" not in varied:
        overrides.append(f"task.micro.seed={base.task.micro.seed + number}")
    return load_settings(None, overrides, base=base.model_dump(mode="json"))


def _full_key(key: str, base: RunSettings) -> str:
    """Complete a key from its last parts: the only key that ends with them, or the only one with the fewest parts."""
    keys = list(_leaves(base.model_dump(mode="json")))
    if key in keys or any(name.startswith(f"{key}.") for name in keys):
        return key
    ends = sorted((name for name in keys if name.endswith(f".{key}")), key=_depth)
    if len(ends) == 1 or (ends and _depth(ends[0]) < _depth(ends[1])):
        return ends[0]
    if ends:
        raise ConfigError.at("--vary", key, f"a whole key: {', '.join(ends)}")
    last = {name.rpartition(".")[2]: name for name in keys}
    near = difflib.get_close_matches(key, keys, n=1) or difflib.get_close_matches(key.rpartition(".")[2], last, n=1)
    nearest = last.get(near[0], near[0]) if near else None
    raise ConfigError.at("--vary", key, "a key of the config", nearest=nearest)


def _depth(key: str) -> int:
    return key.count(".")


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
