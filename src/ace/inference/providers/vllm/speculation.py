"""Speculative decoding: from `models.*.speculative` to vLLM's `speculative_config`. Loads no engine.

The presets' values are for the short JSON answers of the three roles, in which words of the playbook come again:
4 guessed tokens, because a step that checks those of one request costs little more than one without, and few guesses
hold for longer; n-grams of 2 to 4 tokens, because most bullets are shorter than vLLM's 5. Suffix decoding and history
choose the number themselves, history up to the 4.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ace._util.extras import missing_package
from ace.config import ModelSettings, SpeculativeSettings
from ace.errors import ConfigError
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.model_folder import check_folder
from ace.inference.providers.vllm.history_proposer import HistoryProposer
from ace.inference.providers.vllm.speculation_verdicts import find_verdict

TOKENS = 4
LOOKUP_MIN, LOOKUP_MAX = 2, 4
COUNTING = "per_request_spec_decode_metrics"
"""The engine argument with which vLLM counts drafts by request. Versions without it report none."""

_CUSTOM_PROPOSERS = "v1/spec_decode/custom_class_proposer.py"


class Resolved(NamedTuple):
    """The method, with `auto` resolved, and the reason for it; "" where none was set."""

    speculative: SpeculativeSettings
    reason: str


def resolve(settings: ModelSettings, path: str) -> Resolved:
    """Decide `auto` by what was measured on this machine; everything else is as it was asked for."""
    speculative = settings.speculative
    if speculative.method == "none":
        return Resolved(speculative, "")
    if speculative.method != "auto":
        return Resolved(speculative, f"speculative decoding: {name_of(speculative)}, asked for")
    verdict = find_verdict(settings, path)
    if verdict is None:
        why = f"not measured here: ace bench speculative --model {settings.model}"
        return Resolved(SpeculativeSettings(), f"speculative decoding: off, {why}")
    chosen, why = verdict.choice(settings.max_concurrency)
    return Resolved(chosen, f"speculative decoding: {name_of(chosen)}, {why}")


def name_of(speculative: SpeculativeSettings) -> str:
    """A method in a few characters: `off`, `ngram`, `draft by micro-draft`."""
    by = f" by {speculative.model}" if speculative.model else ""
    return "off" if speculative.method == "none" else speculative.method + by


def speculative_arguments(settings: ModelSettings, path: str, speculative: SpeculativeSettings) -> dict[str, Any]:
    """Engine arguments for `speculative`, which is not `auto`; none where it is off. `path` is the target's folder.

    ConfigError for a draft model with other tokens than the target's; ModelNotFoundError where there is none;
    ProviderMissingError where a method needs a package that is not installed.
    """
    config: dict[str, Any]
    match speculative.method:
        case "ngram":
            low, high = _lookup(speculative)
            config = {"method": "ngram", "prompt_lookup_min": low, "prompt_lookup_max": high}
        case "history":
            _need_custom_proposers()
            config = {"method": "custom_class", "model": f"{HistoryProposer.__module__}.{HistoryProposer.__qualname__}"}
        case "draft":
            config = {"method": "draft_model", "model": _draft_folder(settings, path, speculative)}
        case "suffix":
            _need_arctic()
            config = {"method": "suffix"}
        case _:
            return {}
    tokens = speculative.tokens or (None if speculative.method == "suffix" else TOKENS)
    return {"speculative_config": config if tokens is None else {**config, "num_speculative_tokens": tokens}}


def counted(arguments: dict[str, Any], supported: list[str]) -> dict[str, Any]:
    """`arguments` with drafts counted by request, where there are drafts and this vLLM (fields `supported`) can."""
    if arguments.get("speculative_config") is None or COUNTING not in supported:
        return arguments
    return {COUNTING: "summary", **arguments}


def drafted(answer: Any) -> tuple[int, int, int]:
    """Drafted tokens, accepted tokens and steps with a draft of vLLM's `CompletionOutput`; zeros where not counted."""
    metrics = getattr(answer, "spec_decode_metrics", None)
    histogram = getattr(metrics, "histogram", None)
    if metrics is None or not isinstance(histogram, list):
        return 0, 0, 0
    accepted = sum(length * times for length, times in enumerate(histogram))
    return int(getattr(metrics, "num_draft_tokens", 0)), accepted, sum(histogram)


def check_same_tokens(target: str, draft: str, name: str) -> None:
    """ConfigError unless both models' folders have vocabularies of the same size and the same tokens."""
    sizes = [_json(Path(folder) / "config.json").get("vocab_size") for folder in (target, draft)]
    if sizes[0] != sizes[1]:
        raise ConfigError.at(
            "speculative.model", name, f"a model with the target's vocabulary of {sizes[0]} tokens; it has {sizes[1]}"
        )
    tokenizers = [_json(Path(folder) / "tokenizer.json") for folder in (target, draft)]
    if all(tokenizers) and any(
        tokenizers[0].get(part) != tokenizers[1].get(part) for part in ("model", "added_tokens")
    ):
        raise ConfigError.at("speculative.model", name, "a model with the target's own tokens; its tokenizer differs")


def _lookup(speculative: SpeculativeSettings) -> tuple[int, int]:
    """The shortest and the longest match; where one is given, the other yields to it."""
    low, high = speculative.lookup_min, speculative.lookup_max
    if low is None:
        low = LOOKUP_MIN if high is None else min(LOOKUP_MIN, high)
    return low, max(LOOKUP_MAX, low) if high is None else high


def _draft_folder(settings: ModelSettings, path: str, speculative: SpeculativeSettings) -> str:
    assert speculative.model is not None
    load_arguments = {key: value for key, value in settings.engine_args.items() if key == "load_format"}
    draft = settings.model_copy(update={"model": speculative.model, "engine_args": load_arguments})
    folder = local_folder(draft)
    check_folder(folder, draft)
    if Path(path).is_dir() and Path(folder).is_dir():
        check_same_tokens(path, folder, speculative.model)
    return folder


def _need_arctic() -> None:
    if find_spec("arctic_inference") is None:
        command = "pip install arctic-inference"
        raise missing_package("speculative: suffix needs", "arctic-inference", provider="vllm", command=command)


def _need_custom_proposers() -> None:
    """Whoever starts the engine reports a vLLM that is missing."""
    spec = find_spec("vllm")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    if folders and not any((folder / _CUSTOM_PROPOSERS).is_file() for folder in folders):
        allowed = "ngram, draft or suffix: the installed vLLM takes no proposers from outside, as 0.32 does"
        raise ConfigError.at("speculative.method", "history", allowed)


def _json(file: Path) -> dict[str, Any]:
    """Read `file`; empty where it is missing or no JSON object, which the engine reports."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
