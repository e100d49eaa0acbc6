"""Totals of a run's events, for progress displays."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from ace.engine.events import (
    BatchCommitted,
    BatchStarted,
    CallClosed,
    CallFailed,
    CallFinished,
    CallOpened,
    EngineReady,
    EvaluationFinished,
    EvaluationProgress,
    EvaluationStarted,
    Event,
    RunContinued,
    RunPaused,
    RunStarted,
    SampleFinished,
)
from ace.engine.failures import failure_kind

_PHASES = (
    EngineReady,
    RunStarted,
    BatchStarted,
    BatchCommitted,
    EvaluationStarted,
    EvaluationFinished,
    RunPaused,
    RunContinued,
)
"""Events at which something else begins to run."""


class Tally:
    """Adds up events. Accuracy counts the first answers of the batches, failed samples as not right."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._adapting_since = self._phase_since = clock()
        self._resumed_at = 0
        self._in_flight: dict[int, tuple[int, int]] = {}
        self._prompt = self._cached = 0
        self.batches = self.batches_done = 0
        self.samples_done = self.first_right = self.completion_tokens = 0
        self.engines = 0
        """Engines that are up."""
        self.open_calls: Counter[str] = Counter()
        """Calls that a backend has, by role."""
        self.evaluations: dict[str, EvaluationProgress] = {}
        """Evaluations that go on, by label."""
        self.paused = False
        self.failures: Counter[str] = Counter()
        """Failed calls by kind of error."""
        self.calls: Counter[str] = Counter()
        """Answered calls by role."""
        self.curve: list[float] = []
        """Share of right first answers by batch."""
        self.newest: deque[str] = deque(maxlen=2)
        """The newest texts of bullets."""
        self.insight = ""
        """The last insight of a reflection."""

    def add(self, event: Event) -> None:
        """Add one event."""
        if isinstance(event, _PHASES):
            self._phase_since = self._clock()
        match event:
            case EngineReady():
                self.engines += 1
            case CallOpened(role=role):
                self.open_calls[role] += 1
            case CallClosed(role=role):
                self.open_calls[role] -= 1
            case EvaluationStarted(label=label, samples=samples):
                self.evaluations[label] = EvaluationProgress(label, 0, samples, 0)
            case EvaluationProgress(label=label):
                self.evaluations[label] = event
            case EvaluationFinished(label=label):
                self.evaluations.pop(label, None)
            case RunPaused() | RunContinued():
                self.paused = isinstance(event, RunPaused)
            case RunStarted(batches=batches, resumed_at=resumed_at):
                self._began = self._adapting_since = self._clock()
                self.batches, self.batches_done, self._resumed_at = batches, resumed_at, resumed_at
            case CallFinished(role=role, usage=usage):
                self.calls[role] += 1
                self._prompt += usage.prompt_tokens
                self._cached += usage.cached_tokens
                self.completion_tokens += usage.completion_tokens
            case CallFailed(error=error):
                self.failures[failure_kind(error)] += 1
            case BatchStarted(index=index, samples=samples):
                if index == self._resumed_at:
                    self._adapting_since = self._clock()
                self._in_flight[index] = (0, samples)
            case SampleFinished(batch=batch, first_correct=first_correct):
                finished, size = self._in_flight[batch]
                self._in_flight[batch] = (finished + 1, size)
                self.samples_done += 1
                self.first_right += first_correct is True
            case BatchCommitted(index=index, first_correct=first, samples=samples, texts=texts, insight=insight):
                self.batches_done = index + 1
                self.curve.append(first / samples if samples else 0.0)
                self.newest.extend(texts)
                self.insight = insight or self.insight
                self._in_flight.pop(index, None)
            case _:
                pass

    @property
    def batches_in_flight(self) -> Mapping[int, tuple[int, int]]:
        """Batches that are not committed, with their finished samples and their size."""
        return self._in_flight

    @property
    def phase_s(self) -> float:
        """Seconds since the last batch, evaluation or pause began or ended."""
        return self._clock() - self._phase_since

    @property
    def progress(self) -> float:
        """Finished batches, with parts of those in flight."""
        return self.batches_done + sum(finished / (size + 1) for finished, size in self._in_flight.values())

    @property
    def accuracy(self) -> float | None:
        """Share of the samples so far whose first answer was right."""
        return self.first_right / self.samples_done if self.samples_done else None

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of the prompt tokens that came from the prefix cache."""
        return self._cached / self._prompt if self._prompt else None

    @property
    def tokens_per_s(self) -> float | None:
        """Generated tokens a second since the run began."""
        elapsed = self._clock() - self._began
        return self.completion_tokens / elapsed if elapsed > 0 and self.completion_tokens else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated rest of the adaptation at the speed so far. None before anything is done."""
        done = self.progress - self._resumed_at
        if done <= 0 or not self.batches:
            return None
        return (self._clock() - self._adapting_since) / done * (self.batches - self.progress)
