"""API keys: read from the environment or from a file that only its owner can read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from ace._util.masking import AROUND
from ace.config import ModelSettings
from ace.errors import ConfigError

_ONE_KEY = re.compile(r"[\x21-\x7e]+")
_SCHEME = re.compile(r"(?i)^(?:authorization:\s*)?(?:bearer|basic)\s")


def api_key(settings: ModelSettings) -> str | None:
    """The key for the model's endpoint, None where its variable is not set or blank.

    White space, quotes and invisible characters around a pasted key are left out. ConfigError, which never repeats the
    key, for one that no HTTP header can hold, and for a file that is missing, empty, or readable by others.
    """
    if settings.api_key_file is not None:
        return _read(Path(settings.api_key_file).expanduser())
    key = os.environ.get(settings.api_key_env, "").strip(AROUND)
    if key and (problem := _problem(key)):
        raise ConfigError.at(
            "api_key_env",
            settings.api_key_env,
            f"a variable that holds one key of visible ASCII characters; the value of this one {problem}",
            hint=f"export {settings.api_key_env}=... again, with the key alone",
        )
    return key or None


def _problem(key: str) -> str | None:
    """Describe why a key cannot be sent in a header, without repeating it."""
    if _SCHEME.match(key):
        return "begins with the name of a scheme, such as 'Bearer', which does not belong to the key"
    if _ONE_KEY.fullmatch(key):
        return None
    odd = next(character for character in key if not _ONE_KEY.fullmatch(character))
    return f"has the character U+{ord(odd):04X} in it, at position {key.index(odd) + 1}"


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError.at(
                    "api_key_file",
                    str(path),
                    f"a file that only its owner can read; this one has mode {mode:04o}",
                    hint=f"chmod 600 {path}",
                )
            key = file.read(10_000).strip(AROUND)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError.at("api_key_file", str(path), f"a readable file with the API key ({reason})") from None
    if not key or (problem := _problem(key)):
        content = f"; what stands in this one {problem}" if key else "; this one is empty"
        raise ConfigError.at("api_key_file", str(path), f"a file with one key in it{content}")
    return key
