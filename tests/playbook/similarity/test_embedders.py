"""What the optional embedders ask for, and what importing the playbook does not load."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from ace.config import DedupSettings
from ace.errors import ConfigError, ProviderMissingError
from ace.playbook import NgramEmbedder, create_embedder


def test_the_default_needs_no_download() -> None:
    assert isinstance(create_embedder(DedupSettings()), NgramEmbedder)


@pytest.mark.parametrize("embedder", ["sentence-transformers", "vllm"])
def test_the_others_need_a_model(embedder: str) -> None:
    with pytest.raises(ConfigError, match=r"playbook\.dedup\.model"):
        create_embedder(DedupSettings.model_validate({"embedder": embedder}))


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="sentence-transformers is installed")
def test_a_missing_package_is_named_with_its_command() -> None:
    with pytest.raises(ProviderMissingError) as caught:
        create_embedder(DedupSettings(embedder="sentence-transformers", model="any"))
    assert "pip install 'sentence-transformers'" in str(caught.value)
    assert caught.value.facts["package"] == "sentence-transformers"


def test_importing_the_playbook_loads_nothing_heavy() -> None:
    code = (
        "import sys, ace.playbook; "
        "print(*{'numpy', 'pydantic', 'torch', 'vllm', 'transformers', 'sqlalchemy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
