"""`models:` - the models of a run and their providers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from ace._util.masking import SHORTEST, mask, names_a_secret
from ace.config.ray_settings import RaySettings
from ace.config.strict_model import HIDDEN, Settings, refused

Provider = Literal["auto", "vllm", "huggingface", "openai", "ray", "scripted"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
SpeculativeMethod = Literal["none", "ngram", "history", "draft", "suffix", "auto"]


class PriceSettings(Settings):
    """Money for a million tokens, in a currency of your choice. `cached`: prompt tokens from the server's cache."""

    input: float = Field(ge=0.0)
    output: float = Field(ge=0.0)
    cached: float | None = Field(default=None, ge=0.0)


class SpeculativeSettings(Settings):
    """Speculative decoding: a cheap guess of the next `tokens` tokens, which the model checks in one step.

    `ngram` guesses what followed the last words earlier in the prompt (matches of `lookup_min` to `lookup_max` tokens),
    `history` what followed them in earlier answers, `suffix` looks in both, and `draft` asks the small model `model`.
    `auto` takes what `ace bench speculative` measured to pay on this machine. Where None stands, the method's own
    preset holds.
    """

    method: SpeculativeMethod = "none"
    model: str | None = Field(default=None, min_length=1)
    tokens: int | None = Field(default=None, ge=1, le=32)
    lookup_min: int | None = Field(default=None, ge=1)
    lookup_max: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> Self:
        if self.method == "draft" and self.model is None:
            raise refused("model", None, "the model that drafts, with method 'draft'")
        allowed = _SPECULATIVE_KEYS[self.method]
        for key in ("model", "tokens", "lookup_min", "lookup_max"):
            if key not in allowed and getattr(self, key) is not None:
                takes = f", which takes {', '.join(allowed)}" if allowed else ""
                raise refused(key, getattr(self, key), f"not supported with method '{self.method}'{takes}")
        if self.lookup_min is not None and self.lookup_max is not None and self.lookup_min > self.lookup_max:
            raise refused("lookup_min", self.lookup_min, f"at most lookup_max, {self.lookup_max}")
        return self


_SPECULATIVE_KEYS: dict[str, tuple[str, ...]] = {
    "none": (),
    "auto": (),
    "ngram": ("tokens", "lookup_min", "lookup_max"),
    "history": ("tokens",),
    "draft": ("model", "tokens"),
    "suffix": ("tokens",),
}


class EndpointSettings(Settings):
    """One of several endpoints that serve the same model. One of twice the weight gets twice the requests."""

    base_url: str
    weight: float = Field(default=1.0, gt=0.0)
    api_key_env: str | None = None
    """The environment variable of its API key, where it is another than the model's."""

    @field_validator("api_key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        return None if value is None else _checked_variable(value)

    @field_validator("base_url")
    @classmethod
    def _no_password_in_it(cls, value: str) -> str:
        return _checked_address(value)


class ModelSettings(Settings):
    """A model and the provider that serves it. Two equal ones share one engine.

    `speculative` is a method by name, or `SpeculativeSettings`. With `compile: true` vLLM compiles the model, which it
    does by itself on a GPU only.

    `adapter` is the folder of a LoRA adapter as PEFT saves it, and `base` the key of the model whose engine answers
    with it. Such an entry has a `price` of its own; every other key is the base's and need not be repeated.
    """

    provider: Provider = "auto"
    model: str = Field(min_length=1)
    base: str | None = None
    adapter: str | None = Field(default=None, min_length=1)
    base_url: str | None = None
    endpoints: tuple[EndpointSettings, ...] = ()
    """Several endpoints in place of `base_url`, with provider `openai`: each request goes to the least busy one."""
    hedge_after_s: float | None = Field(default=None, gt=0.0)
    """After so many seconds without an answer a second endpoint is asked, too. The first answer counts."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the API key. The key itself has no place in a config."""
    api_key_file: str | None = None
    """A file that holds the API key instead, and that only its owner can read."""
    max_model_len: int | None = Field(default=None, ge=1)
    dtype: Dtype = "auto"
    """On a CPU `auto` is bfloat16 where the processor has instructions for it, and float32 elsewhere."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0.0, le=1.0)
    """0.9 for an engine that is alone; several on one GPU divide that by the size of their models."""
    trust_remote_code: bool = False
    engine_args: dict[str, Any] = Field(default_factory=dict)
    speculative: SpeculativeSettings = SpeculativeSettings()
    compile: bool | Literal["auto"] = "auto"
    replicas: int = Field(default=1, ge=1, le=1024)
    """Number of engines of this model with provider `ray`, each in a process of its own."""
    ray: RaySettings = RaySettings()
    max_retries: int = Field(default=4, ge=0)
    """Repetitions of a call that failed for a passing reason (HTTP 429, 5xx, no connection)."""
    max_restarts: int = Field(default=4, ge=0)
    """Restarts of an engine in this process after it died."""
    timeout_s: float = Field(default=600.0, gt=0)
    """The longest that one answer of an endpoint may take, and an engine of this process may be silent."""
    max_concurrency: int = Field(default=64, ge=1)
    send_token_ids: bool = True
    """Send token ids, made here, to a vLLM server behind provider `openai`, instead of messages."""
    warm: bool = True
    """Use an engine that `ace serve-engine` keeps warm for these settings, where there is one."""
    price: PriceSettings | None = None

    @field_validator("speculative", mode="before")
    @classmethod
    def _method_by_name(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false."""
        named = "none" if value is False else value
        return {"method": named} if isinstance(named, str) else named

    @model_validator(mode="after")
    def _only_vllm_speculates(self) -> Self:
        method = self.speculative.method
        vllm_only = {"speculative": method if method not in ("none", "auto") else None, "compile": self.compile is True}
        for key, value in vllm_only.items():
            if value and self.provider not in ("auto", "vllm", "ray"):
                raise refused(key, value, f"not supported with provider '{self.provider}': only vllm has it")
        if method != "none" and "speculative_config" in self.engine_args:
            raise refused("speculative", method, "none, beside engine_args.speculative_config, which says the same")
        if self.compile != "auto" and "enforce_eager" in self.engine_args:
            raise refused("compile", self.compile, "auto, beside engine_args.enforce_eager, which says the same")
        return self

    @model_validator(mode="after")
    def _only_ray_has_replicas(self) -> Self:
        if self.provider == "ray":
            return self._check_replicas()
        if self.replicas > 1:
            raise refused("replicas", self.replicas, f"1, with provider '{self.provider}': several engines are 'ray'")
        if self.ray != RaySettings():
            raise refused("ray", self.ray.model_dump(exclude_defaults=True), "not supported without provider 'ray'")
        return self

    def _check_replicas(self) -> Self:
        if self.ray.min_replicas is not None and self.ray.min_replicas > self.replicas:
            raise refused("ray.min_replicas", self.ray.min_replicas, f"at most replicas, {self.replicas}")
        if self.ray.gpu_share < 1 and self.gpus_per_engine > 1:
            allowed = f"1, with the {self.gpus_per_engine} GPUs that engine_args gives one engine"
            raise refused("ray.gpu_share", self.ray.gpu_share, allowed)
        return self

    @property
    def gpus_per_engine(self) -> int:
        """GPUs that one engine of this model works on, by its tensor and pipeline parallel sizes."""
        sizes = [self.engine_args.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline")]
        return math.prod(size for size in sizes if isinstance(size, int) and size > 0)

    @model_validator(mode="after")
    def _only_vllm_adapts(self) -> Self:
        if self.adapter is None and self.base is not None:
            raise refused("base", self.base, "not supported without an adapter")
        if self.adapter is not None and self.provider == "openai":
            allowed = "not supported with provider 'openai': there an adapter is a model, so give its name as model"
            raise refused("adapter", self.adapter, allowed)
        if self.adapter is not None and self.provider not in ("auto", "vllm"):
            allowed = f"not supported with provider '{self.provider}': only vllm loads adapters"
            raise refused("adapter", self.adapter, allowed)
        return self

    @field_validator("api_key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str) -> str:
        return _checked_variable(value)

    @field_validator("engine_args")
    @classmethod
    def _no_secret_in_it(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse secrets: these arguments are stored with the run and shown."""
        allowed = "not supported here: put keys into the environment (HF_TOKEN) or api_key_file"
        for name in value:
            if names_a_secret(name):
                raise refused(name, HIDDEN, allowed)
        for place, text in _texts(value):
            if mask(text) != text or (names_a_secret(place.rpartition(".")[2]) and len(text) >= SHORTEST):
                raise refused(place, HIDDEN, allowed)
        return value

    @field_validator("base_url")
    @classmethod
    def _no_password_in_it(cls, value: str | None) -> str | None:
        return None if value is None else _checked_address(value)

    @model_validator(mode="after")
    def _only_endpoints_are_balanced(self) -> Self:
        if self.endpoints and self.provider != "openai":
            raise refused("endpoints", _addresses(self), f"not supported with provider '{self.provider}'")
        if self.endpoints and self.base_url is not None:
            raise refused("base_url", self.base_url, "not supported with endpoints, which have addresses of their own")
        if len(set(_addresses(self))) < len(self.endpoints):
            raise refused("endpoints", _addresses(self), "each address once: weight gives one more of the requests")
        if self.hedge_after_s is not None and len(self.endpoints) < 2:
            raise refused("hedge_after_s", self.hedge_after_s, "not supported with less than two endpoints")
        return self


def _addresses(model: ModelSettings) -> list[str]:
    return [endpoint.base_url for endpoint in model.endpoints]


def _checked_variable(value: str) -> str:
    """The name of an environment variable, refused where it is none."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise refused("", HIDDEN, "the name of an environment variable, not the key itself")
    return value


def _checked_address(value: str) -> str:
    """An endpoint's URL. It is stored with the run and shown, so it may hold no secret."""
    value = value.strip()
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refused("", value, "http://HOST:PORT/v1 or https://...")
    if parts.username is not None or parts.query:
        safe_url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        raise refused("", "a URL with a password or a query", f"{safe_url}, and the key in api_key_file")
    if parts.path.rstrip("/").endswith("/completions"):
        address = value.rstrip("/").removesuffix("/completions").removesuffix("/chat")
        raise refused("", value, f"the address that /chat/completions is added to: {address}")
    return value


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in nested mappings and lists, with the dotted key under which it stands."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, place)
