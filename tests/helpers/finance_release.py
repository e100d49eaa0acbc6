"""How the original ACE release grades FiNER and Formula, for comparison: its `eval/finance/data_processor.py`.

Written anew from its behaviour. It evaluates answers as Python; the tests hand it nothing but numbers and names.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence


def finer_counts(predicted: str, truth: str) -> tuple[int, int]:
    """Right answers and answers of one sample."""
    given = [part.lower().strip() for part in predicted.split(",")]
    wanted = [part.lower().strip() for part in truth.split(",")]
    given = (given + [""] * len(wanted))[: len(wanted)]
    return sum(_equal(one, other) for one, other in zip(given, wanted, strict=True)), len(given)


def finer_right(predicted: str, truth: str) -> bool:
    right, total = finer_counts(predicted, truth)
    return right == total


def finer_accuracy(predicted: Sequence[str], truths: Sequence[str]) -> float:
    counts = [finer_counts(one, other) for one, other in zip(predicted, truths, strict=True)]
    return sum(right for right, _ in counts) / sum(total for _, total in counts)


def formula_right(predicted: str, truth: str) -> bool:
    one, other = predicted.replace(",", ""), truth.replace(",", "")
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _equal(prediction: str, truth: str) -> bool:
    wanted: object = truth
    given: object = prediction
    try:
        wanted = ast.literal_eval(truth)
        given = ast.literal_eval(prediction.replace("$", ""))
    except (ValueError, SyntaxError):
        pass
    return given == wanted
