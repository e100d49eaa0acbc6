"""torchvision, torchaudio and torchcodec, hidden where they were built for another torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIBRARIES: Mapping[str, str] = {
    "torchvision": "_C.*",
    "torchaudio": "lib/*torchaudio.*",
    "torchcodec": "libtorchcodec_*",
}
"""The compiled part of each package, without which its import fails, as a pattern below the package's folder."""


def hide_unusable_addons() -> None:
    """Make the addons whose compiled part this torch cannot load look as if they were not installed.

    A registry's builds are for CUDA; pip installs them beside a CPU build of torch, and then `import transformers`
    fails with "operator torchvision::nms does not exist". A text model needs none of them, and transformers and vLLM
    do without a package that is not there. An addon that loads, or that was imported already, is left alone.

    Call this before transformers or vllm is imported. It imports torch, where torch is installed.
    """
    for name in LIBRARIES:
        if name not in sys.modules and not _usable(name):
            sys.modules[name] = None  # type: ignore[assignment] # `import` and `find_spec` take None for "not there"


def describe_hidden_addons() -> str:
    """Say which addons are hidden in this process, in a few words; empty for none."""
    hidden = [name for name in LIBRARIES if sys.modules.get(name, name) is None]
    return f"without {', '.join(hidden)}, which were built for another torch" if hidden else ""


def _usable(name: str) -> bool:
    """Return True if `name` is not installed, has no compiled part where one is expected, or has one that loads."""
    spec = find_spec(name)
    if spec is None or spec.origin is None or find_spec("torch") is None:
        return True
    libraries = sorted(Path(spec.origin).parent.glob(LIBRARIES[name]))
    return not libraries or any(_loads(library) for library in libraries)


def _loads(library: Path) -> bool:
    ops: Any = import_module("torch").ops
    try:
        ops.load_library(library)
    except OSError:
        return False
    return True
