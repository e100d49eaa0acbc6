"""Warm engines: a real server on a thread of its own, scripted backends behind it, and clients that find them."""

from __future__ import annotations

import asyncio
import socket
import stat
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ace.config import ModelSettings
from ace.errors import EngineDeadError, PromptTooLongError, ProviderStartError, RequestRejectedError
from ace.inference import ScriptedBackend
from ace.inference.backend import Backend
from ace.inference.engine_identity import Identity, engine_digest
from ace.inference.serving.remote import RemoteBackend
from ace.inference.serving.remote.wire_protocol import Failure, Handshake, WireError, from_client
from ace.inference.serving.warm import find_warm
from ace.inference.serving.warm.discovery import handshake
from ace.inference.serving.warm.engine_control import stop_all, survey
from ace.inference.serving.warm.socket_paths import runtime_folder, socket_path, sockets
from ace.inference.serving.warm.warm_server import serve_engines
from ace.inference.wrappers.supervisor import SupervisedBackend
from ace.types import Completion, Message, Request, Sampling

SETTINGS = ModelSettings(provider="vllm", model="micro-target")


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own, with a short path, as a socket needs."""
    with tempfile.TemporaryDirectory(prefix="ace-t-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.delenv("ACE_WARM", raising=False)
        yield Path(folder)


@contextmanager
def serving(backend: Backend, settings: ModelSettings = SETTINGS) -> Iterator[Handshake]:
    """A server of `backend` for `settings`, on a thread with a loop of its own."""
    up = threading.Event()
    said: list[Handshake] = []
    held: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stopping = asyncio.Event()
        held.append((asyncio.get_running_loop(), stopping))

        def ready(hello: Handshake) -> None:
            said.append(hello)
            up.set()

        await serve_engines([(settings, "vllm")], lambda _: backend, ready, stopping)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield said[0]
    finally:
        loop, stopping = held[0]
        if not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        assert not thread.is_alive()


class Slow(ScriptedBackend):
    """Answers nothing, and notes what was given up."""

    def __init__(self) -> None:
        super().__init__(lambda request: "")
        self.begun, self.given_up = threading.Semaphore(0), threading.Semaphore(0)

    async def complete(self, request: Request) -> Completion:
        self.begun.release()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.given_up.release()
            raise
        raise AssertionError("a minute is over")


class Failing(ScriptedBackend):
    """Fails with the error it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__(lambda request: "")
        self._error = error

    async def complete(self, request: Request) -> Completion:
        raise self._error


def ask(text: str) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=7, stop=("\n",), seed=3), {"type": "object"})


def echo() -> ScriptedBackend:
    return ScriptedBackend(lambda request: f"so: {request.messages[0].content}")


def found(settings: ModelSettings = SETTINGS) -> RemoteBackend:
    backend, passed_over = find_warm(settings, "vllm", "asked for")
    assert backend is not None, passed_over
    return backend


def use(work: Callable[[RemoteBackend], Awaitable[None]]) -> None:
    async def main() -> None:
        backend = found()
        try:
            await work(backend)
        finally:
            await backend.close()
            await backend.close()

    asyncio.run(main())


def test_a_request_and_its_answer_come_through_whole() -> None:
    backend = echo()
    requests = [ask("Grüße 🦊 <|im_end|>"), ask("x" * 300_000)]
    with serving(backend) as hello:

        async def work(warm: RemoteBackend) -> None:
            completions = await asyncio.gather(*map(warm.complete, requests))
            assert [c.text for c in completions] == [f"so: {r.messages[0].content}" for r in requests]
            assert completions[0].usage.completion_tokens == 4
            assert warm.count_tokens("one two three") == 3
            assert f"pid {hello.pid}" in warm.info.reason
            assert warm.info == replace(hello.info, start_s=warm.info.start_s, reason=warm.info.reason)

        use(work)
    assert sorted(map(repr, backend.requests)) == sorted(map(repr, requests))
    assert backend.closed


def test_two_clients_get_their_own_answers() -> None:
    with serving(echo()):

        async def main() -> None:
            clients = [found(), found()]
            asked = [(client, f"{n}") for n in range(50) for client in clients]
            answers = await asyncio.gather(*(client.complete(ask(text)) for client, text in asked))
            assert [a.text for a in answers] == [f"so: {text}" for _, text in asked]
            for client in clients:
                await client.close()

        asyncio.run(main())
        assert [(hello.calls, hello.clients) for hello in survey()] == [(100, 1)]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (PromptTooLongError("too long", hint="h", prompt_tokens=9, max_model_len=8), PromptTooLongError),
        (RequestRejectedError("no"), RequestRejectedError),
    ],
)
def test_an_error_is_the_same_error(raised: PromptTooLongError, expected: type[PromptTooLongError]) -> None:
    with serving(Failing(raised)):

        async def work(warm: RemoteBackend) -> None:
            with pytest.raises(expected) as caught:
                await warm.complete(ask("x"))
            assert (caught.value.message, caught.value.facts) == (raised.message, raised.facts)

        use(work)


def test_only_errors_of_ours_are_rebuilt() -> None:
    assert type(Failure(1, "SystemExit", "m", "", {}).to_error()).__name__ == "InferenceError"


def test_what_is_no_text_is_refused_before_it_is_sent() -> None:
    with serving(echo()):

        async def work(warm: RemoteBackend) -> None:
            with pytest.raises(RequestRejectedError, match="Unicode"):
                await warm.complete(ask("\ud800"))
            assert (await warm.complete(ask("well"))).text == "so: well"

        use(work)


def test_a_cancelled_call_and_those_of_a_client_that_leaves_are_given_up() -> None:
    slow = Slow()
    with serving(slow):

        async def work(warm: RemoteBackend) -> None:
            calls = [asyncio.create_task(warm.complete(ask(f"{n}"))) for n in range(3)]
            for _ in calls:
                assert await asyncio.to_thread(slow.begun.acquire, timeout=10)
            calls[0].cancel()
            assert await asyncio.to_thread(slow.given_up.acquire, timeout=10)
            await warm.close()
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(end) for end in ends] == [asyncio.CancelledError, EngineDeadError, EngineDeadError]

        use(work)
        for _ in range(2):
            assert slow.given_up.acquire(timeout=10)


def test_a_server_that_ends_under_way_is_a_dead_engine_which_is_replaced() -> None:
    slow = Slow()

    async def main() -> None:
        backends: Iterator[Backend] = iter([found(), echo()])
        supervised = SupervisedBackend(lambda: next(backends), max_restarts=1, hang_s=60, backoff_s=0)
        call = asyncio.create_task(supervised.complete(ask("x")))
        assert await asyncio.to_thread(slow.begun.acquire, timeout=10)
        assert await asyncio.to_thread(stop_all) == 1
        assert (await call).text == "so: x"
        assert supervised.restarts == 1

    with serving(slow):
        asyncio.run(main())
    assert find_warm(SETTINGS, "vllm", "asked for") == (None, "")


def test_a_server_whose_engine_is_dead_for_good_ends() -> None:
    with serving(Failing(EngineDeadError("dead"))):

        async def work(warm: RemoteBackend) -> None:
            with pytest.raises(EngineDeadError):
                await warm.complete(ask("x"))

        use(work)


def test_a_socket_that_a_killed_server_left_is_passed_over_and_taken() -> None:
    place = socket_path(engine_digest(SETTINGS, "vllm"))
    place.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    assert find_warm(SETTINGS, "vllm", "") == (None, "the warm engine does not answer")
    assert survey() == []
    with serving(echo()):
        assert len(survey()) == 1


def test_one_engine_is_served_once() -> None:
    with serving(echo()), pytest.raises(ProviderStartError, match="warm already"):
        asyncio.run(serve_engines([(SETTINGS, "vllm")], lambda _: echo(), lambda _: None, asyncio.Event()))


def test_an_engine_of_other_files_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    local = SETTINGS.model_copy(update={"model": str(tmp_path)})
    with serving(echo(), local):
        (tmp_path / "config.json").write_text("{ }")
        assert "with other model files" in find_warm(local, "vllm", "").passed_over


def test_an_engine_of_another_version_is_another_one() -> None:
    ours = Identity.of(SETTINGS, "vllm")
    assert ours.unlike(replace(ours, program="sha256:other")) == "by another version of ace or of its engine"
    assert ours.unlike(Identity.of(SETTINGS, "vllm")) is None


def test_what_is_asked_for_otherwise_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(echo()):
        assert find_warm(SETTINGS.model_copy(update={"warm": False}), "vllm", "") == (None, "")
        assert find_warm(SETTINGS.model_copy(update={"max_model_len": 99}), "vllm", "") == (None, "")
        assert find_warm(SETTINGS, "huggingface", "") == (None, "")
        monkeypatch.setenv("ACE_WARM", "0")
        assert find_warm(SETTINGS, "vllm", "") == (None, "")


def test_settings_that_do_not_decide_the_engine_find_it() -> None:
    cheap = SETTINGS.model_copy(update={"timeout_s": 1.0, "max_retries": 0, "provider": "auto"})
    assert Identity.of(cheap, "vllm") == Identity.of(SETTINGS, "vllm")


def test_only_the_owner_can_reach_an_engine() -> None:
    with serving(echo()):
        (place,) = sockets()
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        place.parent.chmod(0o755)
        assert find_warm(SETTINGS, "vllm", "") == (None, "")
        place.parent.chmod(0o700)
    runtime_folder().chmod(0o755)
    with pytest.raises(ProviderStartError, match="only you can enter"):
        asyncio.run(serve_engines([(SETTINGS, "vllm")], lambda _: echo(), lambda _: None, asyncio.Event()))


def test_nonsense_ends_its_own_connection_only() -> None:
    with serving(echo()):
        (place,) = sockets()
        for said in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}", b"GET / HTTP/1.1\r\n\r\n"):
            connection, _ = handshake(place)
            with connection:
                connection.sendall(said)
                assert connection.recv(1) == b""

        async def work(warm: RemoteBackend) -> None:
            assert (await warm.complete(ask("well"))).text == "so: well"

        use(work)
    with pytest.raises(WireError):
        from_client(b'{"kind": "ask", "number": 1, "request": {"messages": [["x"]]}}')
    assert list(runtime_folder().iterdir()) == [socket_path(engine_digest(SETTINGS, "vllm")).with_suffix(".lock")]
