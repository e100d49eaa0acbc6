"""Inference: one `Backend` protocol, a provider a file, one retry loop, and `LLMClient` as the simple way in."""

from ace.inference.adapted import AdaptedBackend, engine_of
from ace.inference.auto import resolve_auto
from ace.inference.backend import Backend, BackendInfo, EngineMeter, MeteredBackend
from ace.inference.client import ClientStats, LLMClient
from ace.inference.models import model_path
from ace.inference.registry import create_backend, open_backends
from ace.inference.retry import RetryingBackend
from ace.inference.scripted import ScriptedBackend
from ace.inference.tiers import Backends, Tiers

__all__ = [
    "AdaptedBackend",
    "Backend",
    "BackendInfo",
    "Backends",
    "ClientStats",
    "EngineMeter",
    "LLMClient",
    "MeteredBackend",
    "RetryingBackend",
    "ScriptedBackend",
    "Tiers",
    "create_backend",
    "engine_of",
    "model_path",
    "open_backends",
    "resolve_auto",
]
