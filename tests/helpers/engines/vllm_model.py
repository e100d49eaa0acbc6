"""A Qwen2 of a hundred thousand random weights with a byte-level tokenizer and ChatML, and LoRA adapters for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ace.inference import Backend

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HIDDEN, INTERMEDIATE, LAYERS = 64, 128, 2
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def build_model(folder: Path, *, seed: int = 0, context: int = 1024) -> Path:
    """Write config, weights and tokenizer into `folder`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(['{"answer": "the word is listed", "note": "one two three"}'] * 4, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHATML
    fast.save_pretrained(folder)

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=320,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=context,
        initializer_range=0.2,  # wide, so that the largest logit leads clearly and greedy answers repeat
        eos_token_id=fast.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen2"
    return folder


def build_adapter(folder: Path, *, seed: int = 0, rank: int = 4) -> Path:
    """Write an adapter as PEFT saves it into `folder`, large enough to change every answer."""
    import torch
    from safetensors.torch import save_file

    shapes = {
        "self_attn.q_proj": (HIDDEN, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HIDDEN),
        "mlp.down_proj": (INTERMEDIATE, HIDDEN),
    }
    random = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(LAYERS):
        for module, (width, height) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            weights[f"{name}.lora_A.weight"] = torch.randn(rank, width, generator=random) * 0.3
            weights[f"{name}.lora_B.weight"] = torch.randn(height, rank, generator=random) * 0.3
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": sorted(module.rpartition(".")[2] for module in shapes),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def lose_device(backend: Backend) -> None:
    """What a lost device looks like: the next forward pass of the engine raises."""
    from ace.inference.providers.vllm import VllmBackend

    def break_model(engine: Any) -> None:
        engine.model_executor.driver_worker.worker.model_runner.model = None

    assert isinstance(backend, VllmBackend)
    backend.run_on_engine(break_model).result()
