"""Cutting samples into splits, and making sure that none is in two."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ace.config import SplitSettings
from ace.errors import DataError
from ace.tasks.task import Splits
from ace.types import Sample


def split_samples(samples: Sequence[Sample], settings: SplitSettings) -> Splits:
    """Cut `samples` by the settings' shares, shuffled by its seed. Samples beyond the shares are left out."""
    order = list(samples)
    random.Random(settings.seed).shuffle(order)
    first = round(len(order) * settings.train)
    second = first + round(len(order) * settings.validation)
    third = min(len(order), second + round(len(order) * settings.test))
    return Splits(tuple(order[:first]), tuple(order[first:second]), tuple(order[second:third]))


def check_splits(splits: Splits) -> Splits:
    """DataError, naming the sample, if an id or a whole question stands in two splits."""
    ids: dict[str, str] = {}
    questions: dict[tuple[str, str], tuple[str, str]] = {}
    for name, samples in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        for sample in samples:
            if ids.setdefault(sample.id, name) != name:
                raise DataError(f"sample {sample.id!r} is in {ids[sample.id]} and in {name}", sample=sample.id)
            asked = (sample.question, sample.context)
            other, held = questions.setdefault(asked, (sample.id, name))
            if held != name:
                raise DataError(f"{other!r} in {held} and {sample.id!r} in {name} ask the same", sample=sample.id)
    return splits
