"""Evaluation of a frozen playbook on Parquet files of any size, by engines on a Ray cluster.

The input is cut into blocks of rows. Ray Data hands them to actors, each with engines of its own. A block's answers are
one file, written whole: after a crash or a lost node, what has its file is not asked again, and nothing is there twice.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from ace._util.extras import missing_package
from ace._util.files import replace_file
from ace._util.hashing import digest
from ace._util.install_commands import install_command
from ace.config import RaySettings, RunSettings
from ace.engine import run
from ace.errors import ConfigError, DataError, ProviderMissingError
from ace.experiments.outcomes import evaluated
from ace.inference import Backends, open_backends
from ace.playbook import Playbook
from ace.store import OutcomeRecord, RunStore
from ace.tasks.data_task_loader import task_of_records

T = TypeVar("T")
OpenBackends = Callable[[RunSettings], AbstractAsyncContextManager[Backends]]
"""Opens the engines of one actor."""

MANIFEST, SUCCESS = "_manifest.json", "_SUCCESS.json"


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `start` to `stop` of row group `group`, and the row of the file with which the group begins."""

    file: str
    group: int
    first: int
    start: int
    stop: int

    @property
    def part(self) -> str:
        """The name of the file with its answers."""
        stem = Path(self.file).stem
        return f"part-{stem}-{self.first + self.start:012d}-{digest(self.file).removeprefix('sha256:')[:8]}.parquet"


@dataclass(frozen=True, slots=True)
class ParquetEvaluation:
    """Totals over all blocks. `reused` of them had their answers before."""

    samples: int
    correct: int
    failed: int
    blocks: int
    reused: int

    @property
    def accuracy(self) -> float:
        """Share of right answers; a sample that failed is not right."""
        return self.correct / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class EngineActors:
    """The actors: how many, and what each takes of the cluster at `ray.address`."""

    ray: RaySettings
    count: int = 1
    gpus: float = 0.0


def evaluate_parquet(
    settings: RunSettings,
    playbook: Playbook,
    inputs: Sequence[Path],
    output: Path,
    *,
    actors: EngineActors,
    block_rows: int = 1024,
    progress: Callable[[int, int], None] = lambda done, blocks: None,
    opened: OpenBackends = open_backends,
) -> ParquetEvaluation:
    """Answer and grade every row of `inputs` with `playbook`, and write the answers into the folder `output`.

    `settings` say the kind of data, its fields, the prompts, the generator and the models. The folder then has a file
    `part-*.parquet` for each block, with id, status, answer, value, correct and error of its samples, and
    `_SUCCESS.json` with the totals, written last. Repeated after an interruption, the call goes on.

    ConfigError for a folder that has answers to another evaluation, DataError for what cannot be read,
    ProviderMissingError without ray; otherwise what `ace.engine.run` raises.
    """
    try:
        import ray.data
    except ImportError as error:
        command = install_command("ray")
        raise missing_package("evaluation of Parquet files needs", "ray", provider="ray", command=command) from error
    from ace.inference.providers.ray import connected

    blocks = list(_blocks(inputs, block_rows))
    output.mkdir(parents=True, exist_ok=True)
    _claim(output, settings, playbook, inputs, block_rows)
    missing = [block for block in blocks if not (output / block.part).is_file()]
    if missing:
        with connected(actors.ray, actors.count):
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            data = ray.data.from_items([asdict(block) for block in missing], override_num_blocks=len(missing))
            threads = {"env_vars": {"OMP_NUM_THREADS": str(int(actors.ray.cpus))}}
            answered = data.map(
                BlockEvaluator,
                fn_constructor_args=(settings.model_dump_json(), playbook, str(output.resolve()), opened),
                compute=ray.data.ActorPoolStrategy(size=actors.count),
                num_cpus=actors.ray.cpus,
                num_gpus=actors.gpus,
                resources=dict(actors.ray.resources),
                runtime_env=None if actors.gpus else threads,
            )
            for done, _ in enumerate(answered.iter_rows(), len(blocks) - len(missing) + 1):
                progress(done, len(blocks))
    total = _totals(output, blocks, reused=len(blocks) - len(missing))
    replace_file(output / SUCCESS, json.dumps({**asdict(total), "accuracy": total.accuracy}, indent=2) + "\n")
    return total


class BlockEvaluator:
    """One actor: engines that answer block after block. Each block is an evaluation by the run's own loop."""

    def __init__(self, settings: str, playbook: Playbook, output: str, opened: OpenBackends) -> None:
        self._settings, self._playbook = RunSettings.model_validate_json(settings), playbook
        self._output = Path(output)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="ace-evaluation", daemon=True).start()
        self._opened = opened(self._settings)
        self._backends = self._wait(self._opened.__aenter__())

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Answer a block, given by its fields, and write its file."""
        block = Block(**row)
        outcomes = self._wait(self._evaluate(block))
        _write(self._output / block.part, outcomes)
        return {"part": block.part}

    async def _evaluate(self, block: Block) -> Sequence[OutcomeRecord]:
        task = task_of_records(self._settings.task, _rows(block), source=block.file)
        with TemporaryDirectory(prefix="ace-block-") as folder:
            store = f"sqlite:///{Path(folder) / 'ace.db'}"
            only_after = {"mode": "evaluate", "store": store, "cache": "none"}
            evaluation = self._settings.evaluation.model_copy(update={"before": False, "after": True})
            settings = self._settings.model_copy(update={**only_after, "evaluation": evaluation})
            summary = await run(settings, backends=self._backends, task=task, playbook=self._playbook)
            with RunStore.open(store, create=False) as opened:
                return tuple(evaluated(opened, summary.run).outcomes.values())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _blocks(inputs: Sequence[Path], rows: int) -> Iterator[Block]:
    """Cut files into blocks, by their metadata alone. DataError names a file that is no Parquet file."""
    stems = [path.stem for path in inputs]
    for path in inputs:
        if stems.count(path.stem) > 1:
            raise DataError(f"{path}: two input files are called {path.stem}, and ids begin with that", path=str(path))
        metadata = _opened(path).metadata
        first = 0
        for group in range(metadata.num_row_groups):
            count = metadata.row_group(group).num_rows
            for start in range(0, count, rows):
                yield Block(str(path.resolve()), group, first, start, min(start + rows, count))
            first += count


def _rows(block: Block) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The records of a block, numbered by their rows in the file from 1."""
    group = _opened(Path(block.file)).read_row_group(block.group)
    table = group.slice(block.start, block.stop - block.start)
    return enumerate(table.to_pylist(), block.first + block.start + 1)


def _opened(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ProviderMissingError("Parquet files need pyarrow", hint=install_command("ray")) from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {error}", path=str(path)) from error


def _write(path: Path, outcomes: Sequence[OutcomeRecord]) -> None:
    import pyarrow
    import pyarrow.parquet

    names = ("status", "answer", "value", "correct", "error")
    columns = {"id": [outcome.sample_id for outcome in outcomes]}
    columns |= {name: [getattr(outcome, name) for outcome in outcomes] for name in names}
    kinds = (pyarrow.string(), pyarrow.string(), pyarrow.float64(), pyarrow.bool_(), pyarrow.string())
    schema = pyarrow.schema([("id", pyarrow.string()), *zip(names, kinds, strict=True)])
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), sink)
    replace_file(path, sink.getvalue().to_pybytes())


def _claim(output: Path, settings: RunSettings, playbook: Playbook, inputs: Sequence[Path], rows: int) -> None:
    """Have the folder for this evaluation alone. ConfigError where it has another one's answers."""
    files = {str(path.resolve()): path.stat().st_size for path in inputs}
    mine = {"settings": settings.digest, "playbook": playbook.digest, "block_rows": rows, "inputs": files}
    manifest = output / MANIFEST
    if manifest.is_file():
        there = json.loads(manifest.read_text(encoding="utf-8"))
        other = [name for name, value in mine.items() if there.get(name) != value]
        if other:
            allowed = f"a folder without answers, or with those of the same {', '.join(other)}"
            raise ConfigError.at("output", str(output), allowed)
    else:
        replace_file(manifest, json.dumps(mine, indent=2) + "\n")


def _totals(output: Path, blocks: Sequence[Block], *, reused: int) -> ParquetEvaluation:
    import pyarrow.compute
    import pyarrow.parquet

    samples = correct = failed = 0
    for block in blocks:
        table = pyarrow.parquet.read_table(output / block.part, columns=["status", "correct"])
        samples += table.num_rows
        correct += pyarrow.compute.sum(table["correct"]).as_py() or 0
        failed += sum(status == "failed" for status in table["status"].to_pylist())
    return ParquetEvaluation(samples, correct, failed, len(blocks), reused)
