"""Inference: one `Backend` protocol, a provider a file, one retry loop, and `LLMClient` as the simple way in."""

from ace.inference.backend import Backend, BackendInfo, EngineMeter
from ace.inference.bindings import Backends, Bindings, ModelBinding, Tier, bind
from ace.inference.client import ClientStats, LLMClient
from ace.inference.factory import create_backend, open_backends
from ace.inference.model_files.packaged import model_path
from ace.inference.provider_choice import resolve_auto
from ace.inference.providers.scripted import ScriptedBackend
from ace.inference.wrappers.lora_backend import LoraBackend, engine_of
from ace.inference.wrappers.retry import RetryingBackend

__all__ = [
    "Backend",
    "BackendInfo",
    "Backends",
    "Bindings",
    "ClientStats",
    "EngineMeter",
    "LLMClient",
    "LoraBackend",
    "ModelBinding",
    "RetryingBackend",
    "ScriptedBackend",
    "Tier",
    "bind",
    "create_backend",
    "engine_of",
    "model_path",
    "open_backends",
    "resolve_auto",
]
