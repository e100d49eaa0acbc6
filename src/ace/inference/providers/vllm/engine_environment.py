"""Environment variables to set before vllm is imported. Variables that the user has set stay."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from ace._util.machine import available_cores

SMALL_MODEL_BYTES = 512 << 20
"""Below this, a second core costs more in hand-over than it brings."""

_ALWAYS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives on our stepping thread, not in a process of its own
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",  # at WARNING a start on a CPU writes nine lines over the progress display
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork of a process with threads may hang
}
_ON_CPU = {
    "OMP_WAIT_POLICY": "PASSIVE",  # libgomp spins otherwise: 25 times slower as soon as anything else runs
    "NUMBA_NUM_THREADS": "1",
}


def prepare_environment(*, cpu: bool, threads: int) -> None:
    """Set what is not set yet. `threads` is for the CPU's matrix kernels."""
    variables = {**_ALWAYS, **_ON_CPU, "OMP_NUM_THREADS": str(threads)} if cpu else _ALWAYS
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    # For what vllm says before it configures its own logging.
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"].upper())


def threads_for(model: str) -> int:
    """One thread for a small model on disk, every core that we may use for any other."""
    weights = sum(file.stat().st_size for file in Path(model).glob("*.safetensors"))
    return 1 if 0 < weights < SMALL_MODEL_BYTES else available_cores()


def limit_threads() -> None:
    """Make this thread obey OMP_NUM_THREADS even where torch was imported before it was set."""
    count = os.environ.get("OMP_NUM_THREADS", "")
    if count.isdecimal():
        # vLLM replaces `torch.set_num_threads` by a function that does nothing.
        import_module("torch")._C.set_num_threads(int(count))


def shield_llvmlite() -> None:
    """Let an engine start where numba is loaded already, by the user or by an engine with n-gram speculation.

    vLLM on a CPU reads the `__dict__` of every object of every module while it registers its kernels. llvmlite's
    library, asked for it, answers with a C function of that name, on which vLLM fails (0.32: "'_lib_fn_wrapper' object
    has no attribute 'get'"). The library looks names up in a table of its own first: there it finds an empty dict.
    """
    library = getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None)
    table = getattr(library, "_fntab", None)
    if isinstance(table, dict):
        table["__dict__"] = {}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep other packages' deprecation warnings off the terminal while they are imported and started."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
