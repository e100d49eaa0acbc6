"""The built-in kinds of data, by the name that `task.name` gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ace.config import TaskSettings
from ace.tasks.builtin.entities import FINER_139, FINER_ORD, Entities
from ace.tasks.builtin.finance import Finer, Formula
from ace.tasks.builtin.python_program import Program
from ace.tasks.builtin.question_answer import Choices, Plain
from ace.tasks.builtin.reasoning import Gsm8k, MultipleChoice
from ace.tasks.builtin.structured import Structured
from ace.tasks.data.data_kind import Kind


def _plain(settings: TaskSettings) -> Kind:
    return Choices(settings) if settings.choices else Plain(settings)


KINDS: Mapping[str, Callable[[TaskSettings], Kind]] = {
    "jsonl": _plain,
    "csv": _plain,
    "parquet": _plain,
    "hf": _plain,
    "finer": lambda settings: Finer(),
    "formula": lambda settings: Formula(),
    "finer_ord": lambda settings: Entities(FINER_ORD),
    "finer_139": lambda settings: Entities(FINER_139),
    "gsm8k": lambda settings: Gsm8k(),
    "multiple_choice": lambda settings: MultipleChoice(),
    "json": Structured,
    "code": Program,
}
