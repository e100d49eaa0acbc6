"""What the optional embedders ask for, and what importing the playbook does not load."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest
from pydantic import ValidationError

from ace.config import DedupSettings
from ace.errors import ProviderMissingError
from ace.playbook import NgramEmbedder, create_embedder


def test_the_default_needs_no_download() -> None:
    assert isinstance(create_embedder(DedupSettings()), NgramEmbedder)


def test_sentence_transformers_needs_a_model() -> None:
    with pytest.raises(ValidationError, match="must be the name of a model for the embedder 'sentence-transformers'"):
        DedupSettings(embedder="sentence-transformers")


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
