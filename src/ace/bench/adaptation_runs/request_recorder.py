"""A backend that records its requests."""

from __future__ import annotations

from ace.engine.events import BatchStarted, Event
from ace.inference import Backend, EngineMeter
from ace.inference.wrappers.wrapper import WrapperBackend
from ace.types import Completion, Request


class RequestRecorder(WrapperBackend):
    """All requests and how many tokens were generated for them; those of an adaptation alone where it listens to a run.

    `batches` has a list for each batch that began, with what was asked until the next one did. `before` is what the
    engine had done when the recording began.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.batches: list[list[Request]] = [[]]
        self.tokens = 0
        self.before = self.meter()

    @property
    def requests(self) -> list[Request]:
        """Requests of all batches, in order."""
        return [request for batch in self.batches for request in batch]

    def listen(self, event: Event) -> None:
        """A run's listener: begins anew with its first batch."""
        if not isinstance(event, BatchStarted):
            return
        if event.index == 0:
            self.batches, self.tokens, self.before = [], 0, self.meter()
        self.batches.append([])

    def meter(self) -> EngineMeter:
        """Read the engine's meter; zeros where the engine is not measured."""
        return self._inner.meter() or EngineMeter()

    async def complete(self, request: Request) -> Completion:
        self.batches[-1].append(request)
        completion = await super().complete(request)
        self.tokens += completion.usage.completion_tokens
        return completion
