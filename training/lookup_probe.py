"""Teacher-forced look-up probe: how often each kind of token is predicted right, by playbook size."""

from __future__ import annotations

import re
from collections import defaultdict

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from ace.tasks.micro.lexicon import MODIFIERS, TERM_CODES, TERMS
from training.training_batch import Row, collate, row
from training.training_data import Source

_VERDICTS = {" not listed", " removed", " right", " wrong", " update", " same", " = ", "helpful", "harmful"}


def kind_of(text: str) -> str:
    if text in TERM_CODES or re.fullmatch(r"[0-9]{2}", text):
        return "code"
    if re.fullmatch(r"[0-9]{5}", text):
        return "number"
    if text in TERMS or text in MODIFIERS:
        return "word"
    if text in _VERDICTS:
        return "verdict"
    return "operation" if '"type"' in text else "other"


@torch.no_grad()
def probe(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    bullets: int,
    *,
    rows: int = 8,
    length: int = 768,
    seed: int = 7,
) -> dict[str, float]:
    """Kind of token -> share predicted right, on playbooks of about `bullets` bullets."""
    source = Source(seed, most_bullets=bullets)
    source.fewest_bullets = bullets
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    hits: dict[str, list[bool]] = defaultdict(list)
    examples: list[Row] = [row(source, tokenizer, length) for _ in range(rows)]
    for index in range(0, rows, 4):
        batch = collate(examples[index : index + 4], length, tokenizer.pad_token_id)
        hidden = model.model(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            use_cache=False,
        ).last_hidden_state
        guesses = model.lm_head(hidden.flatten(0, 1)[batch.where]).argmax(-1)
        for guess, truth in zip(guesses.tolist(), batch.targets.tolist(), strict=True):
            hits[kind_of(texts[truth])].append(guess == truth)
    return {kind: round(sum(values) / len(values), 3) for kind, values in sorted(hits.items())}
