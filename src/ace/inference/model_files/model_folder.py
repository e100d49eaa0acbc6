"""Checks of a model's folder before an engine is loaded: files, format, context length."""

from __future__ import annotations

import json
from pathlib import Path

from ace.config import ModelSettings
from ace.errors import ModelNotFoundError
from ace.inference.model_files.packaged import is_gguf

DEFAULT_MAX_MODEL_LEN = 4096
"""Tokens of prompt and answer where the settings say nothing: more costs KV cache that a playbook does not need."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json", "*.tiktoken")
"""One of these is in every folder that holds a tokenizer."""

_GGUF_HINT = (
    "serve it with llama.cpp (llama-server -m FILE --port 8080) and name that as provider: openai, base_url: "
    "http://127.0.0.1:8080/v1; or take the model's original folder with *.safetensors"
)


def check_not_gguf(settings: ModelSettings) -> None:
    """ModelNotFoundError for a GGUF file or the name of a repository of such files."""
    if is_gguf(settings.model):
        raise ModelNotFoundError(
            f"'{settings.model}' is a GGUF model, which neither vLLM nor transformers is given here",
            hint=_GGUF_HINT,
            model=settings.model,
        )


def check_folder(path: str, settings: ModelSettings) -> None:
    """ModelNotFoundError for a local folder that no engine could load; a URL is left to the engine."""
    folder = Path(path)
    if not folder.is_dir():
        return
    weights = any(folder.glob("*.safetensors"))
    if not weights and any(folder.glob("*.gguf")):
        raise ModelNotFoundError(
            f"no weights in {folder} but GGUF files, which neither vLLM nor transformers is given here",
            hint=_GGUF_HINT,
            model=settings.model,
        )
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"no model in {folder}: config.json is missing", model=settings.model)
    if settings.engine_args.get("load_format") != "dummy" and not weights:
        raise ModelNotFoundError(
            f"no weights in {folder}: there is no *.safetensors file",
            hint="other formats can run code; convert them with save_pretrained",
            model=settings.model,
        )
    if "tokenizer" not in settings.engine_args and not any(any(folder.glob(name)) for name in TOKENIZER_FILES):
        raise ModelNotFoundError(
            f"no tokenizer in {folder}: there is none of {', '.join(TOKENIZER_FILES)}",
            hint="copy the tokenizer's files into it from where the model comes from",
            model=settings.model,
        )


def context_limit(path: str, settings: ModelSettings) -> int | None:
    """Tokens of prompt and answer together, as an engine of ours takes them; None where its files do not say."""
    if settings.max_model_len is not None:
        return settings.max_model_len
    try:
        config = json.loads((Path(path) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    text = config.get("text_config", config) if isinstance(config, dict) else {}
    limit = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return min(limit, DEFAULT_MAX_MODEL_LEN) if isinstance(limit, int) and limit > 0 else DEFAULT_MAX_MODEL_LEN
