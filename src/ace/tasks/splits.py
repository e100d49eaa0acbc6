"""Splitting of samples, and the check that no sample is in two splits."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ace.config import SplitSettings
from ace.errors import DataError
from ace.tasks.task import Splits
from ace.types import Sample

Prompt = tuple[str, str]
"""A sample's question and context."""


def split_samples(samples: Sequence[Sample], settings: SplitSettings) -> Splits:
    """Cut `samples` by the settings' shares, shuffled by its seed. Samples beyond the shares are left out.

    Samples that ask the same stay together, so that a share can be missed by as many as there are of them.
    """
    groups: dict[Prompt, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(_prompt_of(sample), []).append(sample)
    order = list(groups.values())
    random.Random(settings.seed).shuffle(order)
    train = settings.train
    validation = train + settings.validation
    ends = [round(len(order) * share) for share in (train, validation, min(1.0, validation + settings.test))]
    cuts = (order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]])
    return Splits(*(tuple(sample for group in cut for sample in group) for cut in cuts))


def check_splits(splits: Splits) -> Splits:
    """DataError, naming the sample, if an id occurs twice or a whole question is in two splits."""
    ids: dict[str, str] = {}
    questions: dict[Prompt, tuple[str, str]] = {}
    for name, samples in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        for sample in samples:
            if sample.id in ids:
                where = f"twice in {name}" if ids[sample.id] == name else f"in {ids[sample.id]} and in {name}"
                raise DataError(f"sample {sample.id!r} is {where}", sample=sample.id)
            ids[sample.id] = name
            other, other_split = questions.setdefault(_prompt_of(sample), (sample.id, name))
            if other_split != name:
                raise DataError(
                    f"{other!r} in {other_split} and {sample.id!r} in {name} ask the same", sample=sample.id
                )
    return splits


def _prompt_of(sample: Sample) -> Prompt:
    return sample.question.strip(), sample.context.strip()
