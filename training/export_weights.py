"""Turn a training checkpoint into shipped weights: `python -m training.export_weights --help`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import GenerationConfig, Qwen2ForCausalLM

from training.initialise_weights import SHAPES, configuration
from training.micro_tokenizer import build, save


def export(name: str, checkpoint: Path, folder: Path) -> None:
    """Write config, bfloat16 weights, tokenizer and chat template, loadable by transformers and vLLM."""
    tokenizer = build()
    model = Qwen2ForCausalLM(configuration(SHAPES[name], tokenizer))
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder))
    save(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(SHAPES))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    export(args.model, args.checkpoint, args.folder)


if __name__ == "__main__":
    main()
