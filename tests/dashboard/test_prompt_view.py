"""The cut of a prompt: to the token with the model's tokenizer, by the share of tokens without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import batch, call, settings

from ace.config import settings_from
from ace.inference.model_files.packaged import model_path
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.text.token_counter import PlainTokenizer
from ace.playbook import Playbook
from ace.store import RunStore
from ace.types import Message, Usage

pytest.importorskip("fastapi")

from ace.dashboard.prompt_view import PromptView, prompt_view

MESSAGES = (Message("system", "Codes of the words: kujant -> KQT"), Message("user", "What is the code of kujant?"))


def views(path: Path, model: str, *usages: Usage) -> list[PromptView]:
    """The views of calls, one for each of `usages`, of a run whose model is `micro-target`."""
    changed = settings().model_dump(mode="json")
    changed["models"] = {"main": {"provider": "vllm", "model": "micro-target"}}
    digests = [f"sha256:{number}" for number in range(len(usages))]
    records = [
        replace(call(0), digest=digest, model=model, usage=usage) for digest, usage in zip(digests, usages, strict=True)
    ]
    with RunStore.open(path) as store:
        run = store.create_run(
            settings_from(changed), task_digest="sha256:t", pack_digest="sha256:p", playbook=Playbook.empty()
        )
        store.commit_journal(run, [], prompts=dict.fromkeys(digests, MESSAGES))
        store.commit_batch(replace(batch(run, 0, Playbook.empty()), calls=tuple(records)))
        return [prompt_view(store, run, digest) for digest in digests]


def test_without_a_tokenizer_the_share_of_tokens_decides(tmp_path: Path) -> None:
    (view,) = views(tmp_path / "ace.db", "somebody/else", Usage(prompt_tokens=100, cached_tokens=50))
    assert view.precision == "share"
    characters = sum(len(message.content) for message in MESSAGES)
    assert sum(len(part.cached) for part in view.parts) == round(characters / 2)
    assert tuple(part.cached + part.computed for part in view.parts) == tuple(m.content for m in MESSAGES)


def test_with_the_tokenizer_the_cut_is_between_two_tokens(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    encoder = ChatEncoder(PlainTokenizer(Path(model_path("micro-target")) / "tokenizer.json"))
    total = len(encoder.encode(MESSAGES))
    usages = [Usage(prompt_tokens=total, cached_tokens=cached) for cached in range(total + 1)]
    made = views(tmp_path / "ace.db", "micro-target", *usages)
    assert {view.precision for view in made} == {"tokens"}
    lengths = [sum(len(part.cached) for part in view.parts) for view in made]
    assert lengths == sorted(lengths) and lengths[0] == 0
    assert lengths[-1] == sum(len(message.content) for message in MESSAGES)


def test_where_the_engine_counted_other_tokens_the_cut_is_an_estimate(tmp_path: Path) -> None:
    (view,) = views(tmp_path / "ace.db", "micro-target", Usage(prompt_tokens=3, cached_tokens=3))
    assert view.precision == "share" and all(part.computed == "" for part in view.parts)
