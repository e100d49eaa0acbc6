"""Where each of several engines side by side works: on which GPUs, or with how many of the cores."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ace._util.machine import available_cores
from ace.config import ModelSettings
from ace.inference.memory.gpus import visible_gpus
from ace.inference.model_files.packaged import model_path
from ace.inference.provider_choice import on_cpu
from ace.inference.providers.vllm.engine_environment import threads_for


@dataclass(frozen=True, slots=True)
class Placement:
    """Environment of an engine's process besides ours, and its part of the device's memory."""

    environment: Mapping[str, str]
    share: float

    @classmethod
    def of(cls, settings: ModelSettings, number: int) -> Placement:
        """For the engine `number` of the `settings.replicas`, counted from 0."""
        if not on_cpu():
            return cls.on_gpus(visible_gpus(), settings.gpus_per_engine, settings.replicas, number)
        threads_variable = os.environ.get("OMP_NUM_THREADS", "")
        together = int(threads_variable) if threads_variable.isdecimal() else available_cores()
        return cls.on_cores(together, threads_for(model_path(settings.model)), settings.replicas)

    @classmethod
    def on_gpus(cls, gpus: Sequence[str], each: int, replicas: int, number: int) -> Placement:
        """`each` GPUs of its own for every engine, until there are no more: from then on they are shared."""
        places = max(1, len(gpus) // each)
        first = number % places * each
        chosen = {"CUDA_VISIBLE_DEVICES": ",".join(gpus[first : first + each])} if gpus else {}
        return cls(chosen, 1 / math.ceil(replicas / places))

    @classmethod
    def on_cores(cls, together: int, most: int, replicas: int) -> Placement:
        """An equal part of `together` threads for every engine, at least one and at most `most`."""
        threads = max(1, min(most, together // replicas))
        return cls({"OMP_NUM_THREADS": str(threads)}, 1 / replicas)
