"""Engines side by side, each in a process of its own: answers, deaths, and what is left behind.

What becomes of the processes is tested with scripted ones; two of real engines are started once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import scripted_child
from forked import ForkedProcess
from scripted_child import scripted_settings, start_scripted, start_scripted_and_wait

from ace.errors import ConfigError, EngineDeadError, ModelNotFoundError, ProviderStartError
from ace.inference import Backend, create_backend
from ace.inference.serving.remote.wire_protocol import Start
from ace.inference.serving.replicas.child_backend import PROGRAM, Child
from ace.types import Message, Request, Sampling


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes find the scripted program."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(scripted_child.__file__).parent), *filter(None, sys.path)])
    )


def child(model: str = "a model") -> Child:
    return Child(Start(scripted_settings(model, replicas=1), "vllm", "asked for", 1.0), {}, scripted_child.PROGRAM)


@pytest.fixture
def two() -> Iterator[Backend]:
    backend = start_scripted()
    yield backend
    asyncio.run(backend.close())
    assert replicas_of(psutil.Process()) == []


def requests(number: int, tokens: int = 24) -> list[Request]:
    sampling = Sampling(max_tokens=tokens, temperature=0.0, top_p=1.0, ignore_eos=True)
    return [Request((Message("user", f"the word {n} is listed"),), sampling) for n in range(number)]


def replicas_of(process: psutil.Process, program: str = scripted_child.PROGRAM) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if program in child.cmdline()]


def newest(process: psutil.Process) -> psutil.Process:
    return max(replicas_of(process), key=psutil.Process.create_time)


def test_both_processes_answer(two: Backend) -> None:
    async def main() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*map(two.complete, requests(8)))]

    answers = asyncio.run(main())
    assert [answer.rpartition(" ")[0] for answer in answers] == [request.messages[0].content for request in requests(8)]
    assert {int(answer.rpartition(" ")[2]) for answer in answers} == {r.pid for r in replicas_of(psutil.Process())}
    assert two.count_tokens("the word") == 2
    assert two.info.reason == "asked for; 2 engines side by side"


def test_a_process_that_is_killed_is_replaced_and_all_are_answered(two: Backend) -> None:
    async def main() -> None:
        pending = [asyncio.ensure_future(two.complete(request)) for request in requests(8, tokens=300)]
        await asyncio.sleep(0.05)
        killed = replicas_of(psutil.Process())[0]
        killed.kill()
        answers = [answer.text.rpartition(" ") for answer in await asyncio.gather(*pending)]
        assert [text for text, _, _ in answers] == [request.messages[0].content for request in requests(8)]
        assert killed.pid not in {int(pid) for _, _, pid in answers}
        assert len(replicas_of(psutil.Process())) == 2

    asyncio.run(main())


def test_what_keeps_an_engine_from_starting_is_told_and_no_process_is_left() -> None:
    with pytest.raises(ConfigError) as error:
        start_scripted("wrong")
    assert error.value.under("models.main").message.startswith("models.main.engine_args.blok_size: found 32")
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        start_scripted("missing")
    assert replicas_of(psutil.Process()) == []


def test_a_process_that_dies_while_it_starts_is_told() -> None:
    starting = child("stuck")
    newest(psutil.Process()).kill()
    with pytest.raises(ProviderStartError, match="was ended by SIGKILL"):
        starting.backend()


def test_one_that_is_killed_while_it_works_is_told() -> None:
    async def main() -> None:
        backend = child().backend()
        pending = asyncio.ensure_future(backend.complete(requests(1, tokens=60_000)[0]))
        await asyncio.sleep(0.05)
        newest(psutil.Process()).kill()
        with pytest.raises(EngineDeadError, match=r"the engine of .* was ended by SIGKILL"):
            await pending
        await backend.close()

    asyncio.run(main())


def test_they_end_with_the_process_that_started_them() -> None:
    with ForkedProcess(start_scripted_and_wait) as process:
        assert process.output.readline() == "up\n"
        replicas = replicas_of(psutil.Process(process.pid))
        assert len(replicas) == 2
    gone, alive = psutil.wait_procs(replicas, timeout=15)
    assert len(gone) == 2 and not alive


@pytest.mark.engine
def test_two_real_engines_answer_as_one_does_and_both_of_them_work(tiny_model: Path) -> None:
    two = create_backend(scripted_settings(str(tiny_model), dtype="float32"))

    async def main() -> None:
        together = await asyncio.gather(*map(two.complete, requests(8)))
        alone = [await two.complete(request) for request in requests(8)]
        assert [answer.text for answer in together] == [answer.text for answer in alone]
        first, second = replicas_of(psutil.Process(), PROGRAM)
        assert first.cpu_times().user > 1 and second.cpu_times().user > 1
        meter = two.meter()
        assert meter is not None and meter.steps > 8 * 24 and meter.step_s > 0
        assert two.count_tokens("the word") > 0
        assert "2 engines side by side" in two.info.reason
        await two.close()

    asyncio.run(main())
    assert replicas_of(psutil.Process(), PROGRAM) == []
