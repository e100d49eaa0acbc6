"""Sampling parameters for vLLM. Imports vllm: only the stepping thread's work may import this module."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from ace.inference.text.answer_grammar import bounded_grammar, guidance_schema
from ace.types import TOKEN_SHARE, Request

_vllm: Any = import_module("vllm.sampling_params")
_CHECKED: dict[tuple[str, str, str], Any] = {}
_CHECKED_LIMIT = 256


class ValidatedOnce(_vllm.SamplingParams):  # type: ignore[misc]
    """Sampling parameters whose schema vLLM checks the first time that it sees it, not with every request.

    A check compiles the grammar once more: 2 ms of the stepping thread for each request of a role. The method is
    private to vLLM; where a version names it otherwise, vLLM merely checks every time.
    """

    def _validate_structured_outputs(self, model_config: Any, config: Any, tokenizer: Any) -> None:
        guided = self.structured_outputs
        if guided is None or config is None:
            return
        key = (str(config.backend), str(guided.json), str(guided.grammar))
        checked = _CHECKED.get(key)
        if checked is not None:
            guided._backend, guided._backend_was_auto = checked._backend, checked._backend_was_auto
            return
        super()._validate_structured_outputs(model_config, config, tokenizer)
        if len(_CHECKED) >= _CHECKED_LIMIT:
            _CHECKED.clear()
        _CHECKED[key] = guided


def sampling_params(request: Request, room: int, *, bounded: bool = True) -> Any:
    """`request.sampling` and its schema for vLLM; at most `room` tokens, which is what the context has left.

    Texts end at their share of the tokens if `bounded`: llguidance takes no such grammar back where drafts are refused.
    """
    sampling = request.sampling
    arguments: dict[str, Any] = {
        "max_tokens": min(sampling.max_tokens, room),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p if sampling.temperature > 0 else 1.0,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "ignore_eos": sampling.ignore_eos,
        "output_kind": _vllm.RequestOutputKind.FINAL_ONLY,
    }
    if request.schema is not None:
        arguments["structured_outputs"] = _guided(request, arguments["max_tokens"], bounded)
    if "skip_clone" in ValidatedOnce.__struct_fields__:
        arguments["skip_clone"] = True
    return ValidatedOnce(**arguments)


def _guided(request: Request, max_tokens: int, bounded: bool) -> Any:
    schema = request.schema or {}
    if bounded and any(TOKEN_SHARE in field for field in schema.get("properties", {}).values()):
        grammar = bounded_grammar(json.dumps(schema), request.layout, max_tokens)
        return _vllm.StructuredOutputsParams(grammar=grammar)
    return _vllm.StructuredOutputsParams(json=json.dumps(guidance_schema(schema, request.layout)))
