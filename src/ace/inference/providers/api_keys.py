"""API keys: read from the environment or from a file that only its owner can read, and kept out of every text."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ace.config import ModelSettings
from ace.errors import ConfigError

HIDDEN = "[API key]"
_SHORT = 8


def api_key(settings: ModelSettings) -> str | None:
    """The key for the model's endpoint, None where its variable is not set.

    ConfigError for a file that is not there, empty, or readable by others than its owner.
    """
    if settings.api_key_file is not None:
        return _read(Path(settings.api_key_file).expanduser())
    return os.environ.get(settings.api_key_env) or None


def without_key(text: str, key: str | None) -> str:
    """`text` with the key taken out: servers quote it in error messages."""
    return text.replace(key, HIDDEN) if key is not None and len(key) >= _SHORT else text


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError.at(
                    "api_key_file",
                    str(path),
                    f"a file that only its owner can read; this one has mode {mode:04o}",
                    hint=f"chmod 600 {path}",
                )
            key = file.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError.at("api_key_file", str(path), f"a readable file with the API key ({reason})") from None
    if not key or len(key.split()) != 1 or not key.isprintable():
        raise ConfigError.at("api_key_file", str(path), "a file with one key in it")
    return key
