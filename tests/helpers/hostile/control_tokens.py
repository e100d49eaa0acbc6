"""A tokenizer that knows control tokens of several families, and what a sequence of ids has of them."""

from __future__ import annotations

from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(template: str | None = CHATML) -> Any:
    """Every byte a token, and control tokens of several families: special ones, and `<think>`, which is not special."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "[/INST]"])
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in ("<think>", "</think>", "  ")])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = template
    return fast


def controls(tokenizer: Any, ids: list[int]) -> list[str]:
    """The added tokens among `ids`."""
    return [str(tokenizer.added_tokens_decoder[i]) for i in ids if i in tokenizer.added_tokens_decoder]
