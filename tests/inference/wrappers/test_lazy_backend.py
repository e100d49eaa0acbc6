"""Engines that start when they are first asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from vllm_model import build_model

from ace.config import ModelSettings
from ace.errors import EngineDeadError, ProviderStartError
from ace.inference import Backend, EngineMeter, ScriptedBackend
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.wrappers.lazy_backend import LazyBackend
from ace.types import Message, Request

SETTINGS = ModelSettings(provider="huggingface", model="micro-target", max_model_len=512)
ASK = Request((Message("user", "q"),))


class Works:
    """Starts a scripted engine, or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.engines: list[Backend] = []
        self.heard: list[Backend] = []
        self._error = error

    def __call__(self) -> Backend:
        if self._error is not None:
            raise self._error
        self.engines.append(ScriptedBackend(lambda request: "so", model="live"))
        return self.engines[-1]

    def deferred(self) -> LazyBackend:
        return LazyBackend(SETTINGS, self, self.heard.append)


def test_what_is_never_asked_is_never_started() -> None:
    works = Works()
    backend = works.deferred()
    assert (backend.info.provider, backend.info.model, backend.info.max_model_len) == (
        "huggingface",
        "micro-target",
        512,
    )
    assert backend.info.structured_outputs is False and backend.info.start_s == 0.0
    assert backend.meter() == EngineMeter()
    asyncio.run(backend.close())
    assert works.engines == works.heard == []


def test_its_context_is_known_before_it_is_started() -> None:
    unset = SETTINGS.model_copy(update={"max_model_len": None})
    assert LazyBackend(unset, Works(), lambda _: None).info.max_model_len == 4096


def test_many_first_requests_start_it_once() -> None:
    async def main() -> None:
        works = Works()
        backend = works.deferred()
        answers = await asyncio.gather(*(backend.complete(ASK) for _ in range(5)))
        assert [answer.text for answer in answers] == ["so"] * 5
        assert works.heard == works.engines and len(works.engines) == 1
        assert backend.info.model == "live" and backend.count_tokens("a b c") == 3
        await backend.close()
        (engine,) = works.engines
        assert isinstance(engine, ScriptedBackend) and engine.closed

    asyncio.run(main())


def test_one_that_is_starting_when_it_is_closed_does_not_stay() -> None:
    async def main() -> None:
        works = Works()
        backend = works.deferred()
        asked = asyncio.ensure_future(backend.complete(ASK))
        await asyncio.sleep(0)
        asked.cancel()
        await backend.close()
        (engine,) = works.engines
        assert isinstance(engine, ScriptedBackend) and engine.closed and engine.requests == []

    asyncio.run(main())


def test_one_that_cannot_be_started_is_a_dead_engine() -> None:
    backend = Works(ProviderStartError("no memory", hint="close something")).deferred()
    with pytest.raises(EngineDeadError, match="could not be started: no memory") as error:
        asyncio.run(backend.complete(ASK))
    assert error.value.hint == "close something"


def test_a_closed_one_is_not_started() -> None:
    works = Works()
    backend = works.deferred()
    asyncio.run(backend.close())
    with pytest.raises(EngineDeadError, match="was closed before"):
        asyncio.run(backend.complete(ASK))
    assert works.engines == []


@pytest.mark.engine
@pytest.mark.parametrize("form", ["tokenizer.json", "vocabulary and merges"])
def test_tokens_are_counted_as_the_engine_would(form: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = build_model(tmp_path)
    if form == "vocabulary and merges":
        without_tokenizer_json(folder)
    engines = ChatEncoder(transformers.AutoTokenizer.from_pretrained(folder))
    backend = LazyBackend(SETTINGS.model_copy(update={"model": str(folder)}), Works(), lambda _: None)
    for text in ("- [b1] the word -> 042", "<|im_end|>", "Grüße 🦊\n\n\t<|im_start|>system", "", "one " * 3000):
        assert backend.count_tokens(text) == engines.count(text)


def without_tokenizer_json(folder: Path) -> None:
    """The same tokenizer as older models have it."""
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("\n".join(" ".join(pair) for pair in model["merges"]))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Qwen2Tokenizer"}))
    (folder / "tokenizer.json").unlink()
