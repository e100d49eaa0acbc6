"""Lookup of a model's folder by its name, before an engine is imported.

vLLM and transformers ask the hub for every file on their own and, without a network, keep asking for a minute or two.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from ace.config import ModelSettings
from ace.errors import ModelNotFoundError
from ace.inference.model_files.model_folder import check_not_gguf
from ace.inference.model_files.packaged import model_path

_FILES = ["*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja"]
_DUPLICATES = ["consolidated*", "original/*", "onnx/*", "metal/*"]


def local_folder(settings: ModelSettings) -> str:
    """The folder of the model, downloaded where a hub id is not cached yet. A URL is left to vLLM.

    ModelNotFoundError where there is no such folder, no such hub id, no licence, or no way to the hub.
    """
    check_not_gguf(settings)
    name = model_path(settings.model)
    if Path(name).is_dir() or "://" in name or os.environ.get("VLLM_USE_MODELSCOPE", "0").lower() in ("1", "true"):
        return name
    hub: Any = import_module("huggingface_hub")
    errors: Any = import_module("huggingface_hub.errors")
    patterns = list(_FILES)
    if settings.engine_args.get("load_format") != "dummy":
        patterns.append("*.safetensors")
    if settings.trust_remote_code:
        patterns.append("*.py")
    try:
        return str(
            hub.snapshot_download(
                name,
                revision=settings.engine_args.get("revision"),
                allow_patterns=patterns,
                ignore_patterns=_DUPLICATES,
            )
        )
    except errors.GatedRepoError as error:
        raise _missing(name, "its licence has to be accepted on the hub", "then set HF_TOKEN") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise _missing(
            name, "no folder here and no such model on the hub", "check the spelling; a private model needs HF_TOKEN"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise _missing(
            name,
            "no folder here, not in the hub's cache, and the hub cannot be reached",
            "give a folder, or download it where there is a network: hf download " + name,
        ) from error


def _missing(name: str, why: str, hint: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"no model '{name}': {why}", hint=hint, model=name)
