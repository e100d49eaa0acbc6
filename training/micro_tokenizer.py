"""The micro tokenizer: whole-word tokens over a byte alphabet, so that any UTF-8 text round-trips.

BPE without merges and with `ignore_merges`: a pre-token that is in the vocabulary is one token, every
other falls apart into bytes. That is the layout of Llama 3's tokenizer, which xgrammar recognises.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ace.tasks.micro.lexicon import AMOUNTS, FRAMES, MODIFIER_CODES, MODIFIERS, TERM_CODES, TERMS

PAD: Final = "<|endoftext|>"
START: Final = "<|im_start|>"
END: Final = "<|im_end|>"

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_OPERATIONS = (
    '{"type":"ADD","section":"trm","content":"',
    '{"type":"ADD","section":"mod","content":"',
    '{"type":"UPDATE","id":"',
)
FRAGMENTS: Final = (
    '{"reasoning":"',
    '","bullet_ids":["',
    '","bullet_ids":[],"final_answer":"',
    '","',
    '"],"final_answer":"',
    '"}',
    '","key_insight":"',
    '","bullet_tags":[]}',
    '","bullet_tags":[{"id":"',
    '","tag":"',
    '"},{"id":"',
    '"}]}',
    '","operations":[]}',
    *(f'","operations":[{operation}' for operation in _OPERATIONS),
    *(f'"}},{operation}' for operation in _OPERATIONS),
    '","content":"',
    " -> ",
    " = ",
    " ; ",
    " [trm-",
    " [mod-",
    " (trm-",
    " (mod-",
    " (reflection)",
    " not listed",
    " removed",
    " right",
    " wrong",
    " update",
    " same",
    "trm-",
    "mod-",
    "now ",
    "removed ",
    "(empty)",
    "\n- ",
    'Code of "',
    '" ?',
    "answer ",
    "wrong , expected ",
    " add",
    " add ; ",
    " update ; ",
    " same ; ",
    ") ",
    *(f'","operations":[{{"type":"UPDATE","id":"{slug}-' for slug in ("trm", "mod")),
    *(f'"}},{{"type":"UPDATE","id":"{slug}-' for slug in ("trm", "mod")),
)
"""Texts that are always one token, wherever they stand."""

_WORDS = (
    "PLAYBOOK ANSWER REFLECTION REFLECT CURATE right unknown helpful harmful neutral system user assistant "
    + " ".join(frame.replace("{}", "") for frame in FRAMES)
).split()
_ONLY_BEFORE = {") ": "(?=[a-z]+ -> )"}
_LATE = FRAGMENTS[-9:]
_NUMBERS = tuple(f"{number:05d}" for number in range(1000))


def build() -> PreTrainedTokenizerFast:
    """The tokenizer, made anew from the lexicon; the same on every call."""
    vocabulary: dict[str, int] = {}
    for special in (PAD, START, END):
        vocabulary[special] = len(vocabulary)
    for character in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary.setdefault(character, len(vocabulary))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    whole = (*FRAGMENTS[:-9], *_WORDS, *TERMS, *MODIFIERS, *TERM_CODES, *MODIFIER_CODES, *AMOUNTS, *_NUMBERS, *_LATE)
    for text in whole:
        vocabulary.setdefault(byte_level.pre_tokenize_str(text)[0][0], len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    fragments = "|".join(
        re.escape(text) + _ONLY_BEFORE.get(text, "") for text in sorted(FRAGMENTS, key=len, reverse=True)
    )
    pattern = Regex(rf"{fragments}|[A-Za-z]+|[0-9]+|\s|[^A-Za-z0-9\s]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, additional_special_tokens=[START]
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.model_max_length = 4096
    return fast


def save(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json with the chat template inside."""
    build().save_pretrained(str(folder), save_jinja_files=False)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    # For model type qwen2, transformers 5 would load Qwen2Tokenizer, which replaces our pre-tokenizer and
    # drops ignore_merges. With an (empty) auto_map it takes the class named here. No remote code exists.
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings["auto_map"] = {"AutoTokenizer": [None, None]}
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
