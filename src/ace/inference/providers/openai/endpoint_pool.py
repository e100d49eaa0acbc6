"""Several endpoints of one model behind one backend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ace.config import ModelSettings
from ace.errors import ConfigError, TransientError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.balancer import Balancer, EndpointFigures, EndpointState
from ace.inference.providers.openai.endpoint import OpenAIBackend, connect
from ace.inference.rate_limits import exhausted_wait
from ace.types import Completion, Request

PROBE_S = 5.0
"""The longest that an endpoint may take to say that it is there again."""
LEAST_PAUSE_S = 0.05
LIMITED_S = 1.0
"""How long an endpoint rests that refused a request for a rate limit and does not say for how long."""


def create(settings: ModelSettings, reason: str) -> OpenAIBackend | EndpointPool:
    """A client for the endpoint, or one for each of several; nothing is sent yet.

    ConfigError if a hosted endpoint's key is neither in the environment nor in a file, or is none, and for arguments
    that the client does not take.
    """
    if not settings.endpoints:
        return connect(settings, reason)
    backends: dict[str, OpenAIBackend] = {}
    for number, endpoint in enumerate(settings.endpoints):
        own = {"base_url": endpoint.base_url, "api_key_env": endpoint.api_key_env or settings.api_key_env}
        try:
            backends[endpoint.base_url] = connect(settings.model_copy(update=own), reason)
        except ConfigError as error:
            raise error.under(f"endpoints.{number}") from None
    return EndpointPool(backends, [one.weight for one in settings.endpoints], hedge_after_s=settings.hedge_after_s)


class EndpointPool:
    """Asks one of several endpoints. A failure is the caller's to repeat, which then goes to another endpoint.

    With `hedge_after_s` a request that takes longer is also sent to a second endpoint, and the first answer counts.
    """

    def __init__(
        self, backends: Mapping[str, OpenAIBackend], weights: Sequence[float], *, hedge_after_s: float | None = None
    ) -> None:
        self._backends = dict(backends)
        self._balancer = Balancer(list(zip(backends, weights, strict=True)))
        self._hedge_after_s = hedge_after_s
        first = next(iter(backends.values()))
        self.info: BackendInfo = replace(first.info, device=", ".join(backends))
        for endpoint in self._balancer.endpoints:
            self._backends[endpoint.address].watch = partial(self._heed, endpoint)

    async def complete(self, request: Request) -> Completion:
        if self._hedge_after_s is None:
            return await self._ask(request)
        return await self._hedged(request, self._hedge_after_s)

    def count_tokens(self, text: str) -> int:
        return next(iter(self._backends.values())).count_tokens(text)

    def meter(self) -> EngineMeter | None:
        return None

    @property
    def endpoint_figures(self) -> tuple[EndpointFigures, ...]:
        """The figures of each endpoint since the start."""
        return self._balancer.figures

    async def close(self) -> None:
        for backend in self._backends.values():
            await backend.close()

    async def _ask(
        self, request: Request, passed_over: Collection[str] = (), chosen: list[EndpointState] | None = None
    ) -> Completion:
        """Ask one endpoint. TransientError where it fails, at once to be repeated where another one may be chosen."""
        endpoint = await self._choose(passed_over)
        if chosen is not None:
            chosen.append(endpoint)
        started = time.perf_counter()
        settled = False
        try:
            completion = await self._backends[endpoint.address].complete(request)
            self._balancer.answered(endpoint, time.perf_counter() - started)
            settled = True
            return completion
        except TransientError as error:
            settled = True
            if error.facts.get("status") == 429:
                self._balancer.limited(endpoint, error.facts.get("retry_after_s") or LIMITED_S)
            else:
                self._balancer.failed(endpoint, unreachable=bool(error.facts.get("unreachable")))
            if self._balancer.wait_s() == 0.0 and len(self._backends) > 1:
                error.facts["retry_after_s"] = 0.0
            raise
        finally:
            if not settled:
                self._balancer.dropped(endpoint)

    async def _choose(self, passed_over: Collection[str]) -> EndpointState:
        """Wait until an endpoint may be chosen. One whose circuit is open must first show that it is there.

        TransientError where all circuits are open and stay open over the shortest of their pauses.
        """
        waited = False
        while True:
            endpoint = self._balancer.choose(passed_over)
            if endpoint is not None and (not endpoint.is_open or await self._is_there(endpoint)):
                return endpoint
            if all(one.is_open for one in self._balancer.endpoints):
                if waited:
                    message = f"none of the endpoints answers: {self.info.device}"
                    raise TransientError(message, unreachable=True)
                waited = True
            await asyncio.sleep(max(self._balancer.wait_s(), LEAST_PAUSE_S))

    async def _is_there(self, endpoint: EndpointState) -> bool:
        """Return True if the endpoint of a trial answers at all, so that no request is spent on one that does not."""
        try:
            alive = await self._backends[endpoint.address].is_alive(PROBE_S)
        except BaseException:
            self._balancer.dropped(endpoint)
            raise
        if not alive:
            self._balancer.failed(endpoint)
        return alive

    async def _hedged(self, request: Request, after_s: float) -> Completion:
        """Ask a second endpoint where the first is slow. The first answer counts, and the other request is given up."""
        chosen: list[EndpointState] = []
        first = asyncio.create_task(self._ask(request, (), chosen))
        tasks = [first]
        try:
            await asyncio.wait(tasks, timeout=after_s)
            if not first.done() and chosen and len(self._backends) > 1:
                second = asyncio.create_task(self._second(request, chosen[0].address))
                tasks.append(second)
            return await _first_success(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _second(self, request: Request, first: str) -> Completion:
        chosen: list[EndpointState] = []
        try:
            return await self._ask(request, (first,), chosen)
        finally:
            for endpoint in chosen:
                self._balancer.hedged(endpoint)

    def _heed(self, endpoint: EndpointState, headers: Mapping[str, str]) -> None:
        """Let an endpoint rest whose answer says that a limit is used up."""
        if (wait := exhausted_wait(headers)) is not None:
            self._balancer.pause(endpoint, wait)


async def _first_success(tasks: Sequence[asyncio.Task[Completion]]) -> Completion:
    """The first result; the last error where there is none."""
    pending = set(tasks)
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        succeeded = [task for task in done if not task.cancelled() and task.exception() is None]
        if succeeded or not pending:
            return (succeeded or list(done))[0].result()
