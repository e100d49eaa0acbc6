"""Speculative decoding without an engine: settings, vLLM's arguments, what is kept for `auto`."""

from __future__ import annotations

import dataclasses
import json
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ace.config import ModelSettings, SpeculativeSettings, settings_from
from ace.errors import ConfigError, ProviderMissingError
from ace.inference.model_files.packaged import model_path
from ace.inference.providers.vllm.engine_args import check_compiler, engine_arguments
from ace.inference.providers.vllm.engine_environment import shield_llvmlite
from ace.inference.providers.vllm.speculation import (
    COUNTING,
    check_same_tokens,
    counted,
    drafted,
    resolve,
    speculative_arguments,
)
from ace.inference.providers.vllm.speculation_verdicts import Measured, Verdict, find_verdict, keep_verdict

NGRAM, SUFFIX = SpeculativeSettings(method="ngram"), SpeculativeSettings(method="suffix")
DRAFT = SpeculativeSettings(method="draft", model="micro-draft")
TARGET = model_path("micro-target")


def model(**values: Any) -> ModelSettings:
    run = {"task": {"name": "micro"}, "models": {"main": {"model": "micro-target", **values}}}
    return settings_from(run).models["main"]


def config(speculative: Any) -> dict[str, Any]:
    settings = model(speculative=speculative)
    return speculative_arguments(settings, TARGET, settings.speculative)


def test_a_method_is_named_or_described() -> None:
    assert model().speculative.method == "none"
    assert model(speculative="ngram").speculative == NGRAM
    assert model(speculative=False).speculative.method == "none", "YAML's bare off"
    assert model(speculative={"method": "draft", "model": "micro-draft"}).speculative == DRAFT


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"speculative": "eagle"}, "speculative.method", "ngram"),
        ({"speculative": "draft"}, "speculative.model", "the model that drafts"),
        ({"speculative": {"method": "ngram", "model": "m"}}, "speculative.model", "lookup_min"),
        ({"speculative": {"method": "history", "lookup_min": 2}}, "speculative.lookup_min", "takes tokens"),
        ({"speculative": {"method": "suffix", "lookup_max": 3}}, "speculative.lookup_max", "takes tokens"),
        ({"speculative": {"method": "ngram", "lookup_min": 5, "lookup_max": 3}}, "speculative.lookup_min", "at most"),
        ({"speculative": {"method": "ngram", "tokens": 0}}, "speculative.tokens", "greater"),
        ({"speculative": "ngram", "provider": "huggingface"}, "speculative", "only vllm"),
        ({"compile": True, "provider": "openai"}, "compile", "only vllm"),
        ({"speculative": "auto", "engine_args": {"speculative_config": {}}}, "speculative", "speculative_config"),
        ({"compile": False, "engine_args": {"enforce_eager": True}}, "compile", "enforce_eager"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(values: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        model(**values)
    assert caught.value.facts["key"] == f"models.main.{key}"


def test_the_presets_as_vllm_has_them() -> None:
    assert config("none") == {}
    ngram = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 4}
    assert config("ngram") == {"speculative_config": ngram}
    high = config({"method": "ngram", "lookup_min": 6, "tokens": 2})["speculative_config"]
    assert high == {**ngram, "num_speculative_tokens": 2, "prompt_lookup_min": 6, "prompt_lookup_max": 6}
    low = config({"method": "ngram", "lookup_max": 1})["speculative_config"]
    assert (low["prompt_lookup_min"], low["prompt_lookup_max"]) == (1, 1)
    history = config({"method": "history", "tokens": 6})["speculative_config"]
    named = "ace.inference.providers.vllm.history_proposer.HistoryProposer"
    assert history == {"method": "custom_class", "model": named, "num_speculative_tokens": 6}
    draft = config({"method": "draft", "model": "micro-draft"})["speculative_config"]
    assert draft == {"method": "draft_model", "num_speculative_tokens": 4, "model": model_path("micro-draft")}


@pytest.mark.skipif(find_spec("arctic_inference") is not None, reason="arctic-inference is installed")
def test_suffix_names_the_package_that_it_needs() -> None:
    with pytest.raises(ProviderMissingError, match="arctic-inference") as caught:
        config("suffix")
    assert caught.value.facts["command"] == "pip install arctic-inference"


def test_history_needs_a_vllm_that_takes_proposers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    older = ModuleType("vllm")
    older.__spec__ = ModuleSpec("vllm", None, is_package=True)
    older.__spec__.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "vllm", older)
    with pytest.raises(ConfigError, match="takes no proposers from outside") as caught:
        config("history")
    assert caught.value.facts["key"] == "speculative.method"


def test_a_draft_with_other_tokens_is_refused(tmp_path: Path) -> None:
    for name, size, words in (("target", 3, ["a"]), ("same", 3, ["a"]), ("other", 3, ["b"]), ("larger", 4, ["a"])):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"vocab_size": size}))
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}, "added_tokens": []}))
    target = str(tmp_path / "target")
    check_same_tokens(target, str(tmp_path / "same"), "same")
    with pytest.raises(ConfigError, match=r"3 tokens; it has 4") as caught:
        check_same_tokens(target, str(tmp_path / "larger"), "larger")
    assert caught.value.facts["key"] == "speculative.model"
    with pytest.raises(ConfigError, match="its tokenizer differs"):
        check_same_tokens(target, str(tmp_path / "other"), "other")


def test_drafts_are_counted_where_this_vllm_can() -> None:
    assert counted({"model": "m"}, [COUNTING]) == {"model": "m"}
    speculating = {"speculative_config": {"method": "ngram"}}
    assert counted(speculating, []) == speculating
    assert counted(speculating, [COUNTING])[COUNTING] == "summary"
    metrics = SimpleNamespace(histogram=[3, 2, 1], num_draft_tokens=12)
    assert drafted(SimpleNamespace(spec_decode_metrics=metrics)) == (12, 4, 6)
    assert drafted(SimpleNamespace(spec_decode_metrics=None)) == (0, 0, 0)
    assert drafted(object()) == (0, 0, 0), "another version of vLLM"


def verdict(*rows: tuple[SpeculativeSettings, int, float, bool]) -> Verdict:
    return Verdict("2026-01-01", tuple(Measured(*row) for row in rows))


def test_auto_takes_what_gains_at_every_batch_size_up_to_the_concurrency() -> None:
    known = verdict((SUFFIX, 1, 2.0, True), (SUFFIX, 16, 0.9, True), (NGRAM, 1, 1.2, True), (NGRAM, 16, 1.1, True))
    assert known.choice(1)[0] == known.choice(15)[0] == SUFFIX
    chosen, why = known.choice(64)
    assert chosen == NGRAM
    assert why == "measured 2026-01-01: ngram 1.20x at batch 1, ngram 1.10x at batch 16"
    assert verdict((NGRAM, 1, 1.05, True)).choice(1)[0].method == "none", "within what repetitions differ by"
    assert verdict((NGRAM, 16, 1.5, True)).choice(1)[0] == NGRAM, "the smallest measured one counts"
    for concurrency in (1, 16):
        off, why = verdict((NGRAM, 1, 1.5, True), (NGRAM, 16, 1.5, False)).choice(concurrency)
        assert off.method == "none"
        assert why == "measured 2026-01-01: ngram 1.50x at batch 1, ngram 1.50x at batch 16 with other answers"
    assert Verdict("2026-01-01", ()).choice(1)[0].method == "none"


def test_auto_goes_by_what_was_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = model(speculative="auto")
    off, why = resolve(settings, TARGET)
    assert off.method == "none"
    assert "not measured here: ace bench speculative --model micro-target" in why
    kept = verdict((DRAFT, 1, 1.3, True))
    file = keep_verdict(model(), TARGET, kept)
    assert file.is_relative_to(tmp_path)
    assert find_verdict(settings, TARGET) == kept
    assert resolve(settings, TARGET).speculative == DRAFT
    assert "draft by micro-draft, measured 2026-01-01" in resolve(settings, TARGET).reason
    for other in (model(compile=True), model(dtype="float32"), model(engine_args={"max_num_seqs": 2})):
        assert find_verdict(other, TARGET) is None, "another measurement"
    assert find_verdict(settings, model_path("micro-draft")) is None
    keep_verdict(model(dtype="float32"), TARGET, verdict())
    assert find_verdict(settings, TARGET) == kept
    file.write_text("{ torn")
    assert find_verdict(settings, TARGET) is None


def test_compiling_is_asked_for_or_left_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass
    class EngineArgs:
        """One of vLLM's own."""

        max_num_seqs: int = 0

    def eager(cpu: bool, **values: Any) -> Any:
        return engine_arguments(model(**values), TARGET, EngineArgs, cpu=cpu).get("enforce_eager")

    assert [eager(True), eager(True, compile=True), eager(True, compile=False)] == [True, False, True]
    assert [eager(False), eager(False, compile=True), eager(False, compile=False)] == [None, False, True]
    monkeypatch.setenv("CXX", "no-such-compiler")
    check_compiler(model())
    with pytest.raises(ConfigError, match="no C\\+\\+ compiler"):
        check_compiler(model(compile=True))


def test_an_object_without_a_readable_dict_is_shielded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        """As llvmlite's: every attribute is a function of a C library."""

        __slots__ = ("_fntab",)

        def __init__(self) -> None:
            self._fntab: dict[str, Any] = {}

        def __getattr__(self, name: str) -> Any:
            return self._fntab.get(name, print)

    library = Library()
    monkeypatch.setitem(sys.modules, "llvmlite.binding.ffi", SimpleNamespace(lib=library))
    shield_llvmlite()
    assert vars(library) == {}
    monkeypatch.delitem(sys.modules, "llvmlite.binding.ffi")
    shield_llvmlite()
