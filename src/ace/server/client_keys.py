"""Bearer keys of the server's clients, each with limits of its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from ace.config.strict_model import Settings
from ace.config.yaml_parser import YamlProblem, parse_yaml
from ace.errors import ConfigError
from ace.server.openai_errors import ApiError


class KeySettings(Settings):
    """A client's key, by the SHA-256 of its bytes: the file gives nobody access. None is no limit."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    requests_per_minute: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1)


class KeyFile(Settings):
    """The file of `--keys`: names of clients, and their keys."""

    keys: dict[str, KeySettings] = Field(min_length=1)


def read_keys(path: Path) -> Mapping[str, KeySettings]:
    """Read the keys by the names of their clients. ConfigError names the file and the key that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.at("--keys", str(path), f"a YAML file that can be read: {error}") from error
    try:
        return KeyFile.model_validate(parse_yaml(text)).keys
    except YamlProblem as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        allowed = "keys: {NAME: {sha256: 64 hexadecimal digits, requests_per_minute: N, concurrency: N}}"
        raise ConfigError(f"{path}: {where}: {first['msg']}; allowed: {allowed}", key=where) from None


class Client:
    """A client with its limits: a bucket that refills evenly over a minute, and a number of requests at once."""

    def __init__(self, name: str, settings: KeySettings | None = None) -> None:
        self.name = name
        self._rate = settings.requests_per_minute if settings else None
        self._concurrency = settings.concurrency if settings else None
        self._tokens = float(self._rate or 0)
        self._filled = time.monotonic()
        self._running = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Admit a request for as long as it runs. ApiError (429) with the time to wait where a limit is reached."""
        self._check_concurrency()
        self._take_token()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _check_concurrency(self) -> None:
        if self._concurrency is not None and self._running >= self._concurrency:
            raise _limited(f"{self.name} has {self._running} requests under way, its limit", 1.0, {})

    def _take_token(self) -> None:
        if self._rate is None:
            return
        now = time.monotonic()
        self._tokens = min(float(self._rate), self._tokens + (now - self._filled) * self._rate / 60)
        self._filled = now
        if self._tokens < 1:
            wait = (1 - self._tokens) * 60 / self._rate
            figures = {
                "x-ratelimit-limit-requests": str(self._rate),
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": f"{wait:.3f}s",
            }
            raise _limited(f"{self.name} may make {self._rate} requests a minute", wait, figures)
        self._tokens -= 1


class Clients:
    """The clients of a server by their keys. Without keys whoever reaches the server is one client."""

    def __init__(self, keys: Mapping[str, KeySettings] | None) -> None:
        self._anonymous = Client("anonymous") if keys is None else None
        self._by_digest = {settings.sha256: Client(name, settings) for name, settings in (keys or {}).items()}

    def identify(self, authorization: str | None) -> Client:
        """The client of an `Authorization` header. ApiError (401) where its key is none of ours."""
        if self._anonymous is not None:
            return self._anonymous
        scheme, _, key = (authorization or "").partition(" ")
        # Comparing digests tells nothing about a key, however long it takes.
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogatepass")).hexdigest()
        client = self._by_digest.get(digest) if scheme.lower() == "bearer" else None
        if client is None:
            raise ApiError(
                401,
                "no valid key in the Authorization header",
                kind="authentication_error",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return client


def _limited(message: str, wait_s: float, headers: Mapping[str, str]) -> ApiError:
    after = {"Retry-After": f"{max(1, round(wait_s))}", "retry-after-ms": f"{wait_s * 1000:.0f}"}
    return ApiError(
        429, message, kind="rate_limit_error", code="rate_limit_exceeded", headers={**after, **dict(headers)}
    )
