"""Embedders: texts to vectors. The default needs no download."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from ace._util.extras import missing_package

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ace.config import DedupSettings

    Vectors = npt.NDArray[np.float32]

_WORD = re.compile(r"\w+")


class Embedder(Protocol):
    """Anything that turns texts into vectors."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """An array of shape (len(texts), dimensions), float32, each row of length 1 (or 0 for a text without words)."""


class NgramEmbedder:
    """Hashed words and character n-grams (3 to 5) with sublinear counts: near-duplicates by wording, no model.

    It cannot tell a synonym from an antonym, so texts that swap a word are alike to it: `dedup_delta` looks again.
    """

    def __init__(self, dimensions: int = 1024) -> None:
        self._dimensions = dimensions
        self._one = lru_cache(maxsize=20_000)(self._embed_one)

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        if not texts:
            return np.zeros((0, self._dimensions), dtype=np.float32)
        return np.stack([self._one(text) for text in texts])

    def _embed_one(self, text: str) -> Vectors:
        import numpy as np

        codes, counts = np.unique(_features(text), return_counts=True)
        weights = (1.0 + np.log(counts)) * np.where(codes >> np.uint64(63), 1.0, -1.0)
        places = (codes % np.uint64(self._dimensions)).astype(np.intp)
        vector = np.bincount(places, weights, minlength=self._dimensions)
        norm = np.linalg.norm(vector)
        return (vector / norm if norm else vector).astype(np.float32)


class SentenceTransformerEmbedder:
    """Any sentence-transformers model."""

    def __init__(self, model: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            command = "pip install 'sentence-transformers'"
            purpose, package = "playbook.dedup.embedder 'sentence-transformers' needs", "sentence-transformers"
            raise missing_package(purpose, package, provider=package, command=command) from error
        self._model: Any = SentenceTransformer(model, model_kwargs={"use_safetensors": True})

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def create_embedder(settings: DedupSettings) -> Embedder:
    """The embedder that `playbook.dedup` names. ProviderMissingError where its package is not installed."""
    return NgramEmbedder() if settings.model is None else SentenceTransformerEmbedder(settings.model)


def _features(text: str) -> npt.NDArray[np.uint64]:
    """A 64-bit code for every word and for every run of 3 to 5 characters, the same on every machine."""
    import numpy as np

    words = _WORD.findall(text.casefold())
    letters = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    parts = [np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words], dtype=np.uint64)]
    for size in (3, 4, 5):
        codes = np.full(max(len(letters) - size + 1, 0), size, dtype=np.uint64)
        for offset in range(size):
            codes = codes * np.uint64(0x100000001B3) + letters[offset : offset + len(codes)]
        parts.append(codes)
    codes = np.concatenate(parts) * np.uint64(0x9E3779B97F4A7C15)
    return codes ^ (codes >> np.uint64(29))
