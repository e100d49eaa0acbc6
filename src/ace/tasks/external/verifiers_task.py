"""An environment of `verifiers` as a task: its samples, system prompt, rubric, and turns where it has several.

Source: https://github.com/PrimeIntellect-ai/verifiers, version 0.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ace.config import SplitSettings, TaskSettings
from ace.errors import ConfigError, DataError
from ace.tasks.external.conversation import Turn, as_question, as_score, load_external, shared_instructions, text_of
from ace.tasks.splits import split_samples
from ace.tasks.task import Splits
from ace.types import Observation, Sample, Score

WORLDS = 8
"""Environments that are open at once."""
MOST_STEPS = 30
"""Steps of a sample where the environment sets no limit."""


def load_verifiers(settings: TaskSettings) -> VerifiersTask:
    """The environment that `verifiers.load_environment(path, **arguments)` gives.

    Its evaluation set is the test split, and its training set is cut into training and validation; with one set alone,
    `split` cuts that. ProviderMissingError, ConfigError for an environment with tools, DataError.
    """

    def load(name: str) -> Any:
        import verifiers

        return verifiers.load_environment(name, **settings.arguments)

    environment = load_external(settings, "verifiers", load)
    if getattr(environment, "oai_tools", None):
        allowed = "an environment without tools: the generator answers with text"
        raise ConfigError.at("task.path", settings.path, allowed)
    if not hasattr(environment, "max_turns") or environment.message_type != "chat":
        raise ConfigError.at("task.path", settings.path, "an environment of chat messages that is no group of others")
    rows = _rows(environment, settings.limit)
    instructions = shared_instructions([_texts(row["prompt"], "prompt") for row in rows])
    splits = _splits(environment, settings, instructions)
    kind = VerifiersTask if environment.max_turns == 1 else TurnsTask
    return kind(environment, splits, instructions, settings)


class VerifiersTask:
    """An environment of one turn: the answer is the completion, and the rubric's reward is the grade."""

    threads = True

    def __init__(self, environment: Any, splits: Splits, instructions: str, settings: TaskSettings) -> None:
        self.name = str(settings.path)
        self.splits = splits
        self.instructions = instructions
        self._environment, self._threshold = environment, settings.threshold

    def prompt(self, sample: Sample) -> tuple[str, str]:
        return sample.question, sample.context

    def grade(self, sample: Sample, answer: str) -> Score:
        """The rubric's reward for `answer` as the only turn."""
        rollout = _Rollout(self._environment, sample, self._threshold)
        try:
            rollout.step(answer)
            return rollout.grade()
        finally:
            rollout.close()


class TurnsTask(VerifiersTask):
    """An environment of several turns: each answer is a turn, which the environment answers."""

    worlds = WORLDS

    @property
    def max_steps(self) -> int:
        """The environment's own limit, or a default."""
        limit = int(self._environment.max_turns)
        return limit if limit > 0 else MOST_STEPS

    def open(self, sample: Sample) -> _Rollout:
        """A fresh rollout of `sample`."""
        return _Rollout(self._environment, sample, self._threshold)


class _Rollout:
    """One rollout, with an event loop of its own: the methods are coroutines, and calls come from threads."""

    def __init__(self, environment: Any, sample: Sample, threshold: float) -> None:
        self._environment, self._sample, self._threshold = environment, sample, threshold
        self._loop = asyncio.new_event_loop()
        row = dict(sample.metadata["row"])
        self._state = self._run(environment.init_state(row, None, "ace", None))
        self._state = self._run(environment.setup_state(self._state))
        self._messages = self._run(environment.get_prompt_messages(self._state))
        self._done = False

    def step(self, action: str) -> Observation:
        completion = [{"role": "assistant", "content": action}]
        turn = {
            "prompt": self._messages,
            "completion": completion,
            "response": None,
            "tokens": None,
            "reward": None,
            "advantage": None,
            "is_truncated": False,
            "trajectory_id": self._state["trajectory_id"],
            "extras": {},
        }
        self._run(self._environment.add_trajectory_step(self._state, turn))
        before = len(self._messages) + len(completion)
        self._done = bool(self._run(self._environment.is_completed(self._state)))
        if self._done:
            return Observation("done")
        self._messages = self._run(self._environment.get_prompt_messages(self._state))
        self._done = bool(self._run(self._environment.is_completed(self._state)))
        new = _texts(self._messages[before:], self._sample.id)
        return Observation("\n".join(text for _, text in new) or "done")

    @property
    def done(self) -> bool:
        return self._done

    def grade(self) -> Score:
        self._run(self._environment.render_completion(self._state))
        self._run(self._environment.rubric.score_rollout(self._state))
        reward = float(self._state["reward"] or 0.0)
        parts = ", ".join(f"{name} {value:g}" for name, value in (self._state["metrics"] or {}).items())
        return as_score(reward, self._threshold, self._sample.target, parts)

    def close(self) -> None:
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)


def _splits(environment: Any, settings: TaskSettings, instructions: str) -> Splits:
    train, test = environment.build_dataset(), environment.build_eval_dataset()
    if train is None or test is None:
        only = _samples(test if train is None else train, "", settings, instructions)
        return split_samples(only, settings.split)
    learned = settings.split.train + settings.split.validation
    train_share = settings.split.train / learned if learned else 1.0
    shares = SplitSettings(train=train_share, validation=1 - train_share, test=0.0, seed=settings.split.seed)
    cut = split_samples(_samples(train, "train-", settings, instructions), shares)
    return Splits(cut.train, cut.validation, _samples(test, "test-", settings, instructions))


def _samples(rows: Any, prefix: str, settings: TaskSettings, instructions: str) -> tuple[Sample, ...]:
    rows = rows if settings.limit is None else rows.select(range(min(settings.limit, len(rows))))
    return tuple(_sample(dict(row), f"{prefix}{number}", instructions) for number, row in enumerate(rows, 1))


def _sample(row: dict[str, Any], identity: str, instructions: str) -> Sample:
    question = as_question(_texts(row["prompt"], f"sample {identity!r}"), instructions)
    if not question.strip():
        raise DataError(f"sample {identity!r} has no question", sample=identity)
    return Sample(identity, question, str(row.get("answer") or "") or None, metadata={"row": row})


def _rows(environment: Any, limit: int | None) -> list[Any]:
    datasets = [data for data in (environment.build_dataset(), environment.build_eval_dataset()) if data is not None]
    if not datasets:
        raise DataError("the environment has no data set")
    return [row for data in datasets for row in (data if limit is None else data.select(range(min(limit, len(data)))))]


def _texts(messages: Sequence[Any], source: str) -> list[Turn]:
    return [(str(message["role"]), text_of(message.get("content"), source)) for message in messages]
