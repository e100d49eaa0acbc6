"""An optimizer of DSPy that grows a playbook: `ACE(metric=...).compile(program, trainset=...)`.

The program takes the generator's place in the loop; a language model of DSPy, or an engine of ours, reflects and
curates. The compiled program carries the playbook in the instructions of its predictors, so that it is saved and loaded
as any program is.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from ace.api import adapt
from ace.config import DEFAULT_STORE, merged
from ace.errors import ConfigError, DataError, RequestRejectedError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.integrations.dspy_models import LMBackend, estimate_tokens
from ace.integrations.live_playbook import PlaybookSource, playbook_of
from ace.playbook import Playbook, render
from ace.prompts import load_pack
from ace.roles.json_schema import rendered_ids
from ace.tasks import Splits
from ace.types import Completion, Request, Sample, Score, Usage

_REFLECTION = re.compile(r"<reflection>\n(.*)\n</reflection>", re.DOTALL)


class ACE(Teleprompter):  # type: ignore[misc] # the package is Any where it is not installed
    """Grows a playbook for a program.

    `metric(example, prediction)` gives a bool, a number in [0, 1], or an object with `score` and `feedback`.
    `reflection` reflects and curates: a language model of DSPy (by default that of `dspy.settings`) or one of our
    backends. `settings` are further keys of a config, such as `{"adaptation": {"max_rounds": 2}}`.
    """

    def __init__(
        self,
        metric: Callable[..., Any],
        *,
        reflection: Any = None,
        epochs: int = 1,
        batch_size: int = 8,
        store: str = DEFAULT_STORE,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._metric, self._reflection = metric, reflection
        self._epochs, self._batch_size, self._store, self._seed = epochs, batch_size, store, seed
        self._settings = dict(settings or {})

    def compile(
        self,
        student: Any,
        *,
        trainset: Sequence[Any],
        teacher: Any = None,
        valset: Sequence[Any] | None = None,
        playbook: Playbook | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return a copy of `student` with the playbook in its instructions; its `ace_result` tells about the run.

        `valset` chooses the best version. `playbook` is where it starts. ConfigError where there is no model to
        reflect, and for a `teacher`.
        """
        if teacher is not None:
            raise ConfigError.at("teacher", teacher, "None: the reflector is ACE's teacher")
        reflection = self._reflection or dspy.settings.lm
        if reflection is None:
            raise ConfigError.at("reflection", None, "a language model of DSPy or a backend, or dspy.configure(lm=...)")
        task = ProgramTask(student, self._metric, trainset, valset or ())
        values = merged({"name": "dspy", "prompts": "standard", "cache": "none"}, self._settings)
        result = adapt(
            task,
            model=ProgramBackend(student, task),
            reflection=reflection if hasattr(reflection, "count_tokens") else LMBackend(reflection),
            playbook=playbook,
            epochs=self._epochs,
            batch_size=self._batch_size,
            seed=self._seed,
            store=self._store,
            settings=values,
        )
        pack = load_pack(values["prompts"]).for_task(task.instructions)
        text = f"{pack.preamble}\n{render(result.playbook, pack.formats)}"
        compiled = _with_notes(student, _notes(text, task.instructions))
        compiled._compiled = True
        compiled.ace_result = result
        return compiled


def with_playbook(program: Any, playbook: PlaybookSource) -> Any:
    """Copy `program` with a playbook in its instructions: a playbook, its file, or a function that gives one."""
    return _with_notes(program, playbook_of(playbook)().as_system_prompt())


class ProgramTask:
    """Examples as samples: their inputs are the question, and the metric grades what the program made of them."""

    name = "dspy"

    def __init__(
        self, program: Any, metric: Callable[..., Any], train: Sequence[Any], validation: Sequence[Any]
    ) -> None:
        self._metric = metric
        self._examples: dict[str, Any] = {}
        self.predictions: dict[tuple[str, str], Any] = {}
        """What the program made of a question, by question and answer."""
        self.instructions = "\n\n".join(dict.fromkeys(p.signature.instructions for p in program.predictors()))
        self.splits = Splits(self._samples(train, "train"), self._samples(validation, "validation"))

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        example, prediction = self._examples[sample.question], self.predictions[sample.question, answer]
        verdict = self._metric(example, prediction)
        value = float(getattr(verdict, "score", verdict))
        if not 0 <= value <= 1:
            raise DataError(f"the metric gave {value!r} for sample {sample.id!r}, allowed: 0 to 1", sample=sample.id)
        feedback = str(getattr(verdict, "feedback", "") or "")
        return Score(value, value == 1.0, feedback or ("right" if value == 1.0 else "wrong"))

    def find(self, text: str) -> tuple[str, Any]:
        """The question in `text`, and its example. RequestRejectedError where there is none."""
        question = max((question for question in self._examples if question in text), key=len, default=None)
        if question is None:
            raise RequestRejectedError("the request is about none of the examples")
        return question, self._examples[question]

    def _samples(self, examples: Sequence[Any], split: str) -> tuple[Sample, ...]:
        samples = []
        for number, example in enumerate(examples, 1):
            question = _text(example.inputs().toDict())
            self._examples[question] = example
            samples.append(Sample(f"{split}-{number}", question, _text(example.labels().toDict()) or None))
        return tuple(samples)


class ProgramBackend:
    """A program of DSPy in the generator's place: it gets the notes of a request in its instructions."""

    def __init__(self, program: Any, task: ProgramTask) -> None:
        self._program, self._task = program, task
        self._context = contextvars.copy_context()  # with what `dspy.context` set where the optimizer was called
        self.info = BackendInfo("dspy", type(program).__name__, "none", None, True, 0.0)

    async def complete(self, request: Request) -> Completion:
        """RequestRejectedError where the program raises."""
        started = time.perf_counter()
        question, example = self._task.find(request.messages[-1].content)
        notes = _notes(request.messages[0].content, self._task.instructions)
        if reflection := _REFLECTION.search(request.messages[-1].content):
            notes = f"{notes}\n\nAn earlier answer to this was wrong. This was found out about it:\n{reflection[1]}"
        program = _with_notes(self._program, notes)
        try:
            context = self._context.copy()
            prediction = await asyncio.to_thread(lambda: context.run(program, **example.inputs()))
        except Exception as error:  # it is the user's code, which may raise anything
            raise RequestRejectedError(f"the program failed: {error!r}") from error
        outputs = {name: value for name, value in prediction.items() if name != "reasoning"}
        answer = _text(outputs)
        self._task.predictions[question, answer] = prediction
        reasoning = str(prediction.get("reasoning") or "")
        text = json.dumps({"reasoning": reasoning, "bullet_ids": [], "final_answer": answer}, ensure_ascii=False)
        return Completion(text, "stop", Usage(total_s=time.perf_counter() - started), self.info.model)

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    def meter(self) -> EngineMeter | None:
        return None

    async def close(self) -> None:
        return None


def _notes(text: str, instructions: str) -> str:
    """The part of a system message after the instructions; "" where it has no bullet."""
    return text.removeprefix(instructions).strip() if rendered_ids(text) else ""


def _with_notes(program: Any, notes: str) -> Any:
    copy = program.deepcopy()
    for predictor in copy.predictors() if notes else ():
        instructions = f"{predictor.signature.instructions}\n\n{notes}".strip()
        predictor.signature = predictor.signature.with_instructions(instructions)
    return copy


def _text(fields: Mapping[str, Any]) -> str:
    """One field as its value, several as `name: value` lines."""
    if len(fields) == 1:
        return str(next(iter(fields.values())))
    return "\n".join(f"{name}: {value}" for name, value in fields.items())
