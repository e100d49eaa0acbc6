"""Real engines side by side, each in a process of its own: answers, deaths, and what is left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from vllm_model import build_model

from ace.config import ModelSettings
from ace.errors import ConfigError, EngineDeadError, ModelNotFoundError, ProviderStartError
from ace.inference import Backend, create_backend
from ace.inference.serving.remote.wire_protocol import Start
from ace.inference.serving.replicas.child_backend import PROGRAM, Child
from ace.types import Message, Request, Sampling

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RUN = """
import sys, time
from ace.config import ModelSettings
from ace.inference import create_backend

create_backend(ModelSettings(provider="vllm", model=sys.argv[1], max_model_len=512, replicas=2, warm=False))
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def two(model: Path) -> Iterator[Backend]:
    backend = create_backend(settings(model))
    yield backend
    asyncio.run(backend.close())
    assert replicas_of(psutil.Process()) == []


def settings(model: Path, **more: object) -> ModelSettings:
    return ModelSettings.model_validate(
        {"provider": "vllm", "model": str(model), "max_model_len": 512, "replicas": 2, "warm": False, **more}
    )


def requests(number: int, tokens: int = 24) -> list[Request]:
    sampling = Sampling(max_tokens=tokens, temperature=0.0, top_p=1.0, ignore_eos=True)
    return [Request((Message("user", f"the word {n} is listed"),), sampling) for n in range(number)]


def replicas_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if PROGRAM in child.cmdline()]


def test_two_engines_answer_as_one_does_and_both_of_them_work(two: Backend) -> None:
    async def main() -> None:
        together = await asyncio.gather(*map(two.complete, requests(8)))
        alone = [await two.complete(request) for request in requests(8)]
        assert [answer.text for answer in together] == [answer.text for answer in alone]

    asyncio.run(main())
    first, second = replicas_of(psutil.Process())
    assert first.cpu_times().user > 1 and second.cpu_times().user > 1
    meter = two.meter()
    assert meter is not None and meter.steps > 8 * 24 and meter.step_s > 0
    assert two.count_tokens("the word") > 0
    assert two.info.device == "cpu" or two.info.memory_bytes is not None
    assert "2 engines side by side" in two.info.reason


def test_an_engine_that_is_killed_is_replaced_and_all_are_answered(two: Backend) -> None:
    async def main() -> None:
        asked = [asyncio.ensure_future(two.complete(request)) for request in requests(8, tokens=300)]
        await asyncio.sleep(0.2)
        victim = replicas_of(psutil.Process())[0]
        victim.kill()
        answers = await asyncio.gather(*asked)
        assert {answer.usage.completion_tokens for answer in answers} == {300}
        assert victim.pid not in {replica.pid for replica in replicas_of(psutil.Process())}
        assert len(replicas_of(psutil.Process())) == 2

    asyncio.run(main())


def test_what_keeps_an_engine_from_starting_is_told_and_no_process_is_left(model: Path, two: Backend) -> None:
    before = len(replicas_of(psutil.Process()))
    with pytest.raises(ConfigError) as error:
        create_backend(settings(model, engine_args={"blok_size": 32}))
    assert error.value.under("models.main").message.startswith("models.main.engine_args.blok_size: found 32")
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        create_backend(settings(model / "not" / "there"))
    assert len(replicas_of(psutil.Process())) == before


def test_a_process_that_dies_while_it_starts_is_told(model: Path) -> None:
    child = Child(Start(settings(model, replicas=1), "vllm", "asked for", 1.0), {})
    newest(psutil.Process()).kill()
    with pytest.raises(ProviderStartError, match="was ended by SIGKILL"):
        child.backend()


def newest(process: psutil.Process) -> psutil.Process:
    return max(replicas_of(process), key=psutil.Process.create_time)


def test_one_that_is_killed_while_it_works_is_told(model: Path) -> None:
    async def main() -> None:
        backend = Child(Start(settings(model, replicas=1), "vllm", "asked for", 1.0), {}).backend()
        asked = asyncio.ensure_future(backend.complete(requests(1, tokens=400)[0]))
        await asyncio.sleep(0.1)
        newest(psutil.Process()).kill()
        with pytest.raises(EngineDeadError, match=r"the engine of .* was ended by SIGKILL"):
            await asked
        await backend.close()

    asyncio.run(main())


def test_they_end_with_the_process_that_started_them(model: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN, str(model)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            replicas = replicas_of(psutil.Process(process.pid))
            assert len(replicas) == 2
        finally:
            process.kill()
    gone, alive = psutil.wait_procs(replicas, timeout=15)
    assert len(gone) == 2 and not alive
