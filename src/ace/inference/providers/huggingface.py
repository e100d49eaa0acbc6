"""transformers in this process: for debugging, CPUs and small runs, and the baseline of every benchmark.

Calls that wait together are answered as one left-padded batch, each with its own sampling and seed. There is no prefix
cache and no guided decoding here.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation import TopPLogitsWarper
from transformers.utils import logging as transformers_logging

from ace._util.futures import settle_from_thread
from ace._util.torch_addons import describe_hidden_addons
from ace.config import ModelSettings
from ace.errors import (
    AceError,
    ConfigError,
    EngineDeadError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderStartError,
    RequestRejectedError,
)
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.model_folder import DEFAULT_MAX_MODEL_LEN, check_folder
from ace.inference.precision import Precision, cpu_precision
from ace.inference.text.chat_encoder import ChatEncoder
from ace.types import Completion, FinishReason, Request, Sampling, Usage

CLOSE_S = 60.0
"""How long closing waits for the batch under way."""


def create(settings: ModelSettings, reason: str) -> HuggingFaceBackend:
    """Load a model and its tokenizer. Blocks until it is there. ConfigError, ModelNotFoundError, ProviderStartError."""
    started = time.perf_counter()
    if "use_safetensors" in settings.engine_args:
        value = settings.engine_args["use_safetensors"]
        raise ConfigError.at("engine_args.use_safetensors", value, "not supported here: other formats can run code")
    path = local_folder(settings)
    check_folder(path, settings)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = cpu_precision(settings.dtype) if device == "cpu" else _gpu_precision(settings.dtype)
    dtype = getattr(torch, precision.dtype)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    options = {"local_files_only": Path(path).is_dir(), "trust_remote_code": settings.trust_remote_code}
    arguments = dict(settings.engine_args)
    dummy = arguments.pop("load_format", None) == "dummy"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        if dummy:
            with torch.device(device):
                model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path, **options), dtype=dtype)
        else:
            model = AutoModelForCausalLM.from_pretrained(
                path, dtype=dtype, use_safetensors=True, **options, **arguments
            )
    except OSError as error:
        text = " ".join(str(error).split())[:300]
        raise ModelNotFoundError(f"no model '{settings.model}': {text}", model=settings.model) from error
    except Exception as error:  # loading a model can fail in any of a dozen libraries
        raise ProviderStartError(f"transformers could not load '{settings.model}': {error}") from error
    model = model.to(device).eval()
    limit = settings.max_model_len or min(DEFAULT_MAX_MODEL_LEN, model.config.max_position_embeddings)
    chat = ChatEncoder(tokenizer)
    info = BackendInfo(
        provider="huggingface",
        model=settings.model,
        device=device,
        max_model_len=limit,
        structured_outputs=False,
        start_s=time.perf_counter() - started,
        reason="; ".join(filter(None, (reason, str(precision), describe_hidden_addons(), chat.remark))),
    )
    return HuggingFaceBackend(model, tokenizer, chat, info, most=min(settings.max_concurrency, 64))


def _gpu_precision(dtype: str) -> Precision:
    return Precision("bfloat16", "a GPU's default") if dtype == "auto" else Precision(dtype, "asked for")


@dataclass(frozen=True, slots=True)
class _Job:
    """One call that waits for its place in a batch."""

    ids: Sequence[int]
    sampling: Sampling
    room: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Completion]
    arrived: float


class HuggingFaceBackend:
    """One worker thread takes whatever calls wait, up to `most`, and generates for them together."""

    def __init__(self, model: Any, tokenizer: Any, chat: ChatEncoder, info: BackendInfo, *, most: int) -> None:
        self.info = info
        self._model = model
        self._tokenizer = tokenizer
        self._chat = chat
        self._most = most
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        eos = model.generation_config.eos_token_id
        self._eos = set(eos if isinstance(eos, list) else [eos])
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._meter = EngineMeter()
        self._thread = threading.Thread(target=self._run, name="ace-huggingface", daemon=True)
        self._thread.start()

    async def complete(self, request: Request) -> Completion:
        """Raises PromptTooLongError before the model sees the request; EngineDeadError if generation itself fails."""
        if self._closed:
            raise EngineDeadError("the huggingface backend is closed")
        ids = self._chat.encode(request.messages)
        if not ids:
            raise RequestRejectedError("the prompt is empty")
        limit = self.info.max_model_len or len(ids) + request.sampling.max_tokens
        if len(ids) >= limit:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens, and the model's context holds {limit} with the answer",
                hint="raise max_model_len if the model allows it, or lower playbook.token_budget",
                prompt_tokens=len(ids),
                max_model_len=limit,
            )
        loop = asyncio.get_running_loop()
        job = _Job(ids, request.sampling, limit - len(ids), loop, loop.create_future(), time.perf_counter())
        self._jobs.put(job)
        return await job.future

    def count_tokens(self, text: str) -> int:
        return self._chat.count(text)

    def meter(self) -> EngineMeter:
        """Batches that were generated, and their seconds."""
        return self._meter

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join, CLOSE_S)
            self._model = None

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            time.sleep(0.002)  # calls of one moment arrive one after the other: let them come together
            batch = [first]
            while len(batch) < self._most and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    self._jobs.put(None)  # what came before the closing is still answered
                    break
                batch.append(job)
            self._answer([job for job in batch if not job.future.cancelled()])

    def _answer(self, batch: Sequence[_Job]) -> None:
        if not batch:
            return
        try:
            completions: Sequence[Completion | AceError] = self._generate(batch)
        except Exception as error:  # whatever it was, those who wait must hear of it
            completions = [EngineDeadError(f"transformers failed: {type(error).__name__}: {error}")] * len(batch)
        for job, completion in zip(batch, completions, strict=True):
            settle_from_thread(job.loop, job.future, completion)

    def _generate(self, batch: Sequence[_Job]) -> list[Completion]:
        started = time.perf_counter()
        width = max(len(job.ids) for job in batch)
        ids = torch.tensor([[self._pad] * (width - len(job.ids)) + list(job.ids) for job in batch])
        mask = torch.tensor([[0] * (width - len(job.ids)) + [1] * len(job.ids) for job in batch])
        limits = [min(job.sampling.max_tokens, job.room) for job in batch]
        watch = _Watch(width, torch.tensor(limits))
        with torch.inference_mode():
            generated = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=max(limits),
                pad_token_id=self._pad,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                logits_processor=self._processors([job.sampling for job in batch]),
                stopping_criteria=StoppingCriteriaList([watch]),
                return_dict_in_generate=True,
            )
            rows = generated.sequences[:, width:].tolist()
        ended = time.perf_counter()
        self._meter += EngineMeter(1, ended - started, _kv_bytes(generated.past_key_values))
        return [
            self._completion(job, row[:limit], started, watch.first, ended)
            for job, row, limit in zip(batch, rows, limits, strict=True)
        ]

    def _processors(self, samplings: Sequence[Sampling]) -> Any:
        processors: list[Any] = [SampledDraw(samplings, self._model.device)]
        if endless := [row for row, sampling in enumerate(samplings) if sampling.ignore_eos]:
            processors.insert(0, _NoEnd(endless, sorted(token for token in self._eos if token is not None)))
        return LogitsProcessorList(processors)

    def _completion(self, job: _Job, row: list[int], started: float, first: float, ended: float) -> Completion:
        tokens = list(takewhile(lambda token: token not in self._eos, row))
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        cut = [text.index(stop) for stop in job.sampling.stop if stop in text]
        reason: FinishReason = "stop" if cut or len(tokens) < len(row) else "length"
        usage = Usage(
            prompt_tokens=len(job.ids),
            completion_tokens=min(len(tokens) + 1, len(row)),
            queue_s=started - job.arrived,
            ttft_s=first - job.arrived,
            total_s=ended - job.arrived,
        )
        return Completion(text[: min(cut)] if cut else text, reason, usage, self.info.model)


def _kv_bytes(cache: Any) -> int:
    """Bytes of the keys and values of all layers, padding included."""
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


class _NoEnd(LogitsProcessor):  # type: ignore[misc]  # Any to the type checker
    """Never lets the rows end before their limit."""

    def __init__(self, rows: Sequence[int], ends: Sequence[int]) -> None:
        self._rows, self._ends = torch.tensor(rows)[:, None], torch.tensor(ends, dtype=torch.long)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[self._rows, self._ends] = -torch.inf
        return scores


class SampledDraw(LogitsProcessor):  # type: ignore[misc]  # Any to the type checker
    """Makes the largest score of each row a draw by that row's own sampling, whatever else is in the batch.

    The Gumbel-max trick: argmax(logits / temperature + Gumbel noise) is distributed as softmax(logits / temperature).
    """

    def __init__(self, samplings: Sequence[Sampling], device: torch.device) -> None:
        self._rows = [
            (row, sampling, TopPLogitsWarper(sampling.top_p), _generator(sampling.seed, device))
            for row, sampling in enumerate(samplings)
            if sampling.temperature > 0
        ]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for row, sampling, top_p, generator in self._rows:
            filtered = top_p(input_ids[row : row + 1], scores[row : row + 1].float() / sampling.temperature)
            noise = -torch.empty_like(filtered).exponential_(generator=generator).log()
            scores[row : row + 1] = (filtered + noise).to(scores.dtype)
        return scores


def _generator(seed: int | None, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


class _Watch(StoppingCriteria):  # type: ignore[misc]  # Any to the type checker
    """Ends each row at its own limit, and notes when the first token was there."""

    def __init__(self, prompt: int, limits: torch.Tensor) -> None:
        self._prompt, self._limits = prompt, limits
        self.first = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.first = self.first or time.perf_counter()
        return (input_ids.shape[1] - self._prompt >= self._limits).to(input_ids.device)
