"""The environment that vLLM needs before it is imported. What the user has set stays as it is."""

from __future__ import annotations

import logging
import os
import warnings

ALWAYS = {
    # One process: nothing can be orphaned, and the engine is up in a third of the time.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    # An empty list: plugins of other packages are not looked for at every start.
    "VLLM_PLUGINS": "",
    "TOKENIZERS_PARALLELISM": "false",
}

ON_CPU = {
    # Spinning OpenMP threads make the in-process engine many times slower as soon as anything else runs.
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "NUMBA_NUM_THREADS": "1",
}


def prepare(*, gpu: bool, local: bool) -> None:
    """Set what is not set. `local` says that the model lies on this machine, so that no hub is asked for it."""
    wanted = ALWAYS if gpu else {**ALWAYS, **ON_CPU}
    if local:
        wanted = {**wanted, "HF_HUB_OFFLINE": "1"}
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(torch|vllm|transformers)\b")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(torch|vllm|transformers|_pytest)\b")
