"""The loop of one sample: generate, grade, then reflect and retry until the answer is right."""

from __future__ import annotations

from ace.engine.calls.call_gateway import SAMPLE_ERRORS
from ace.engine.context import RunContext
from ace.engine.events import SampleFinished
from ace.engine.feedback.attempt import Attempt, PromptedSample, attempt
from ace.engine.feedback.feedback import Signal, collect_feedback
from ace.engine.learning.early_stopping import Insights, StopReason, is_proven, is_spent
from ace.engine.learning.sample_result import SampleResult
from ace.playbook import Playbook
from ace.roles import CallRecord, Reflection, reflection_text
from ace.store.records import OutcomeRecord
from ace.types import Sample


class SampleLoop:
    """Runs one sample of a batch behind `playbook`, rendered as `prefix` (ACE, section 3).

    A wrong answer gets up to `max_rounds` reflections with a retry after each, until one is right or early stopping
    ends the rounds. A right answer gets a single reflection that tags the bullets, unless `reflect_on_success` is off
    or the bullets are proven. If correctness is unknown (without labels), the sample gets one reflection and no retry.
    """

    def __init__(self, context: RunContext, playbook: Playbook, prefix: str, sample: Sample, *, batch: int) -> None:
        self._context, self._playbook, self._sample, self._batch = context, playbook, sample, batch
        self._prompted = PromptedSample(context, prefix, sample, f"batch-{batch}")
        self._settings = context.settings.adaptation
        self._last = Attempt(())
        self._signal: Signal | None = None
        self._calls: list[CallRecord] = []
        self._reflections: list[Reflection] = []
        self._rounds = 0
        self._stalled = False
        self._error: str | None = None

    async def run(self, position: int) -> SampleResult:
        """Run the sample, which stands at `position` in its batch. Its errors are part of the result."""
        first = await self._attempt(round=0)
        if self._signal is None:
            stop: StopReason = "error"
        elif self._signal.right is False:
            stop = await self._correct()
        else:
            stop = await self._confirm(first)
        outcome = self._outcome(position, first, stop)
        self._context.listener(
            SampleFinished(self._batch, self._sample.id, outcome.first_correct, outcome.correct, self._rounds)
        )
        return SampleResult(
            sample=self._sample,
            outcome=outcome,
            calls=tuple(self._calls),
            reflections=tuple(self._reflections),
            used=first.cited,
            first_answer=first.answer,
        )

    async def _confirm(self, first: Attempt) -> StopReason:
        """Reflect once on an answer that is right, or whose correctness is unknown."""
        right = self._signal is not None and self._signal.right
        if right and not self._settings.reflect_on_success:
            return "right"
        early = self._settings.early_stop
        if right and early.enabled and is_proven(self._playbook, first.cited, early.min_helpful):
            return "bullets_proven"
        await self._reflect(round=0)
        return "right" if right else "no_signal"

    async def _correct(self) -> StopReason:
        """Reflect on a wrong answer and try again, round by round."""
        context, early = self._context, self._settings.early_stop
        insights = Insights(early, context.embedder, self._playbook, context.pack.split_insights)
        started = len(self._calls)

        def spent() -> bool:
            return is_spent((call.usage for call in self._calls[started:]), early)

        for round in range(1, self._settings.max_rounds + 1):
            if spent():
                return "budget"
            self._rounds = round
            reflection = await self._reflect(round=round)
            if reflection is None:
                return "error"
            if (reason := insights.stop(reflection.key_insight)) is not None:
                if round < self._settings.max_rounds and self._escalates_stalled():
                    continue
                return reason
            if spent():
                return "budget"
            retry = await self._attempt(round=round, reflection=reflection_text(context.pack, reflection))
            if retry.score is None or self._signal is None:
                return "error"
            if self._signal.right is not False:
                return "right" if self._signal.right else "no_signal"
        return "rounds"

    async def _attempt(self, *, round: int, reflection: str = "") -> Attempt:
        """Answer the sample and collect feedback. An attempt that failed leaves the answer before it in place."""
        answered = await attempt(self._prompted, reflection=reflection, round=round, grade=self._grade())
        self._calls.extend(answered.calls)
        if answered.score is None:
            self._error = answered.error
            return answered
        self._last = answered
        self._signal, votes = await collect_feedback(self._prompted, answered, round=round)
        self._calls.extend(votes)
        return answered

    async def _reflect(self, *, round: int) -> Reflection | None:
        """Reflect on the last answer. None, with the error recorded, where no reflection could be parsed."""
        assert self._last.output is not None and self._signal is not None
        try:
            result = await self._context.roles.reflect(
                self._prompted.prefix,
                self._sample,
                self._last.output,
                self._signal.feedback,
                purpose=self._prompted.purpose,
                round=round,
                grade=self._grade(),
                stalled=self._stalled,
            )
        except SAMPLE_ERRORS as error:
            self._error = f"{type(error).__name__}: {error}"
            return None
        self._calls.extend(result.calls)
        if result.value is None:
            self._error = f"ParseError: {result.error}"
            return None
        self._reflections.append(result.value)
        return result.value

    def _escalates_stalled(self) -> bool:
        """Let the larger model reflect in the next round, where the role has one and the smaller one stalled."""
        escalate = self._context.settings.roles.reflector.escalate
        self._stalled = escalate is not None and escalate.stalled and self._calls[-1].escalated is None
        return self._stalled

    def _grade(self) -> float | None:
        """Score of the last answer, where labels are given."""
        score = self._last.score
        return score.value if score is not None and self._context.settings.adaptation.has_labels else None

    def _outcome(self, position: int, first: Attempt, stop: StopReason) -> OutcomeRecord:
        sample, score = self._sample, self._last.score
        if first.score is None or score is None:
            return OutcomeRecord(sample.id, position, "failed", answer=first.answer, error=self._error, stop=stop)
        return OutcomeRecord(
            sample.id,
            position,
            answer=self._last.answer,
            value=score.value,
            correct=score.correct,
            rounds=self._rounds,
            first_correct=first.score.correct,
            error=self._error,
            stop=stop,
        )
