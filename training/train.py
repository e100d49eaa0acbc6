"""Train a micro model: `python -m training.train --help`.

Checkpoints (resumable) and a JSONL log go to --work; `export.py` turns a checkpoint into shipped weights.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from training.initialise_weights import SHAPES, initialise
from training.lookup_probe import probe
from training.micro_tokenizer import build
from training.training_batch import Batch, collate, row
from training.training_data import Source

_STAGES = ((0.06, 10), (0.16, 24), (1.0, 48))
"""(share of the training time, most bullets in a playbook)."""
_PROBED = (8, 24, 40)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(SHAPES), default="target")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--minutes", type=float, default=40.0, help="training time; the schedule spans it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=4, help="playbooks in a batch")
    parser.add_argument("--length", type=int, default=768, help="tokens in a row")
    parser.add_argument("--muon", type=float, default=0.002, help="learning rate of the matrices")
    parser.add_argument("--adam", type=float, default=1e-3, help="learning rate of embeddings and vectors")
    parser.add_argument("--circuit", type=float, default=5e-4, help="learning rate of the built-in circuit")
    parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint-minutes", type=float, default=3.0)
    return parser.parse_args()


def optimizers(model: Qwen2ForCausalLM, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """Muon for free matrices; AdamW for the rest, slower for the attention that carries the circuit."""
    free: list[Tensor] = []
    circuit: list[Tensor] = []
    other: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if any(f"layers.{layer}.self_attn" in name for layer in (0, 1, 2)):
            circuit.append(parameter)
        elif parameter.ndim == 2 and "layers" in name:
            free.append(parameter)
        else:
            other.append(parameter)
    all_optimizers = [
        torch.optim.Muon(free, lr=args.muon, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(other, lr=args.adam, betas=(0.9, 0.98), weight_decay=0.0),
        torch.optim.AdamW(circuit, lr=args.circuit, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    for optimizer in all_optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return all_optimizers


def schedule(step: int, share: float) -> float:
    """Short warm-up, constant, linear decay over the last half of the time."""
    return min(1.0, (step + 1) / 40) * (1.0 if share < 0.5 else max(0.02, (1.0 - share) / 0.5))


class Feeder:
    """Makes batches in a background thread; the share of training done sets the playbook's size."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, args: argparse.Namespace, seed: int) -> None:
        self._tokenizer, self._args = tokenizer, args
        self._source = Source(seed)
        self._ready: queue.Queue[Batch] = queue.Queue(maxsize=3)
        self.share = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            most = next(bullets for until, bullets in _STAGES if self.share <= until)
            self._source.most_bullets = most
            batch_rows = [row(self._source, self._tokenizer, self._args.length) for _ in range(self._args.rows)]
            self._ready.put(collate(batch_rows, self._args.length, self._tokenizer.pad_token_id))

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self._ready.get()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = build()
    model = initialise(SHAPES[args.model], tokenizer, seed=args.seed)
    model.set_attn_implementation(args.attention)
    all_optimizers = optimizers(model, args)
    checkpoint = args.work / "checkpoint.pt"
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(all_optimizers, state["optimizers"] or [], strict=False):
            optimizer.load_state_dict(saved)
        step, spent = state["step"], state["spent"]
        for optimizer, peak in zip(all_optimizers, (args.muon, args.adam, args.circuit), strict=True):
            for group in optimizer.param_groups:
                group["peak"] = peak
    run(model, all_optimizers, tokenizer, args, step, spent)


def run(
    model: Qwen2ForCausalLM,
    all_optimizers: list[torch.optim.Optimizer],
    tokenizer: PreTrainedTokenizerFast,
    args: argparse.Namespace,
    step: int,
    spent: float,
) -> None:
    compiled = torch.compile(model.model, dynamic=False)
    feeder = Feeder(tokenizer, args, args.seed * 1_000_003 + step)
    total, mean, tokens = args.minutes * 60, 0.0, 0
    last, saved = time.monotonic(), spent
    for batch in feeder:
        share = min(1.0, spent / total)
        feeder.share = share
        scale = schedule(step, share)
        for optimizer in all_optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * scale
        loss = learn(model, compiled, all_optimizers, batch)
        step += 1
        tokens += batch.ids.numel()
        mean = loss if mean == 0.0 else 0.97 * mean + 0.03 * loss
        now = time.monotonic()
        spent, last = spent + (now - last), now
        if step % 50 == 0:
            log(args.work, step=step, spent=round(spent), loss=round(mean, 4), tokens=tokens)
        done = spent >= total
        if done or spent - saved > args.checkpoint_minutes * 60:
            save(args.work / "checkpoint.pt", model, all_optimizers, step, spent)
            model.eval()
            for bullets in _PROBED:
                measured: dict[str, Any] = dict(probe(model, tokenizer, bullets))
                log(args.work, step=step, spent=round(spent), bullets=bullets, **measured)
            model.train()
            saved, last = spent, time.monotonic()
        if done:
            return


def learn(model: Qwen2ForCausalLM, compiled: Any, all_optimizers: list[torch.optim.Optimizer], batch: Batch) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = compiled(
            input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False
        ).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[batch.where])
    loss = torch.nn.functional.cross_entropy(logits.float(), batch.targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in all_optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(loss.item())


def save(
    path: Path, model: Qwen2ForCausalLM, all_optimizers: list[torch.optim.Optimizer], step: int, spent: float
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in all_optimizers],
        "step": step,
        "spent": spent,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def log(folder: Path, **entry: Any) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
