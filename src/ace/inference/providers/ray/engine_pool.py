"""`EnginePool`: vLLM engines on a Ray cluster behind the protocol of one backend.

Actors, not Ray Serve's LLM deployments: those speak OpenAI's HTTP API, which takes no token ids with a schema's layout,
reports no engine meter, and pins its own vLLM. An actor holds the engine that provider `vllm` has in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from ace.config import ModelSettings
from ace.errors import EngineDeadError, RequestQuarantinedError
from ace.inference.backend import BackendInfo, EngineMeter
from ace.inference.providers.ray.engine_actor import LoadEngine, load_vllm
from ace.inference.providers.ray.heartbeat import Heartbeat
from ace.inference.providers.ray.prefix_router import choose, prompt_blocks
from ace.inference.providers.ray.ray_cluster import connected, has_gpus
from ace.inference.providers.ray.replica import Replica
from ace.inference.providers.ray.replica_resources import ReplicaResources
from ace.inference.providers.ray.replica_start import ReplicaStart, wait_until_up
from ace.types import Completion, Message, Request, Sampling

WARM_PREFIXES = 4
"""Latest prefixes that a replica is given which joins."""

LOSSES = 2
"""Lost replicas after which a request is asked alone, for it may be what kills them."""

COUNT_S = 60.0
"""How long counting the tokens of a text may take."""

CLOSE_S = 30.0
"""How long an engine on several GPUs may take to end its processes."""


def create(settings: ModelSettings, reason: str = "asked for", *, load: LoadEngine = load_vllm) -> EnginePool:
    """Connect to the cluster, start the replicas, and wait until `ray.min_replicas` of them are up.

    ConfigError for what this machine or the cluster does not have, ProviderStartError where the cluster cannot be
    reached or gives no room in time; otherwise what starting an engine raises. `load` starts each replica's engine.
    """
    began = time.perf_counter()
    with contextlib.ExitStack() as cluster:
        cluster.enter_context(connected(settings.ray, settings.replicas))
        gpus = has_gpus(settings)
        resources = ReplicaResources.of(settings, gpus=gpus)
        start = ReplicaStart(settings, resources, load, gpus=gpus)
        replicas = [start(number) for number in range(settings.replicas)]
        cluster.callback(_end_all, replicas)
        cluster.callback(Heartbeat(replicas, settings.ray.heartbeat_timeout_s).stop)
        wait_until_up(replicas, start)
        up = [each.up for each in replicas if each.up is not None]
        nodes = len({each.node for each in up})
        info = replace(
            up[0].info,
            provider="ray",
            start_s=time.perf_counter() - began,
            reason=f"{reason}; {len(up)} of {len(replicas)} engines up, on {nodes} {'node' if nodes == 1 else 'nodes'}",
        )
        own_processes = gpus and settings.gpus_per_engine > 1
        join_s = settings.ray.start_timeout_s
        return EnginePool(info, replicas, cluster.pop_all(), own_processes=own_processes, join_s=join_s)


class EnginePool:
    """Answers each request on one replica. A request whose replica is lost is repeated on another one."""

    def __init__(
        self,
        info: BackendInfo,
        replicas: Sequence[Replica],
        cluster: contextlib.ExitStack,
        *,
        own_processes: bool,
        join_s: float,
    ) -> None:
        self.info = info
        self._replicas = list(replicas)
        self._ready = [replica for replica in replicas if replica.up is not None]
        self._cluster = cluster
        self._own_processes, self._join_s = own_processes, join_s
        self._joining: dict[Replica, asyncio.Task[None]] = {}
        self._prefixes: OrderedDict[Message, None] = OrderedDict()
        self._alone = asyncio.Lock()
        self._last_loss = EngineDeadError(f"the engines of {info.model} were closed", model=info.model)

    async def complete(self, request: Request) -> Completion:
        """Like an engine's own.

        EngineDeadError once no replica is left, RequestQuarantinedError for a request that was under way at the loss of
        three replicas, at the last one alone.
        """
        self._let_all_join()
        blocks = prompt_blocks(request.messages)
        losses = 0
        while losses < LOSSES:
            replica = await self._choose(blocks)
            self._warm_others(request, replica)
            try:
                return await replica.complete(request)
            except EngineDeadError as loss:
                losses += not replica.silent  # no request makes a network or a machine silent
                self._lose(replica, loss)
        return await self._complete_alone(request)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, by the tokenizer of a replica. Blocks for a round trip. EngineDeadError without any."""
        for replica in self._ready:
            with contextlib.suppress(EngineDeadError):
                return replica.count_tokens(text, COUNT_S)
        raise self._last_loss

    def meter(self) -> EngineMeter:
        """Combine all replicas, see `EngineMeter.concurrent`."""
        return EngineMeter.concurrent(replica.meter() for replica in self._replicas)

    async def close(self) -> None:
        for task in self._joining.values():
            task.cancel()
        self._joining.clear()
        ready, self._ready = self._ready, []
        if self._own_processes:
            await asyncio.gather(*(replica.close(CLOSE_S) for replica in ready))
        await asyncio.to_thread(self._cluster.close)
        self._replicas.clear()

    async def _choose(self, blocks: Sequence[int]) -> Replica:
        """Choose a replica that is up. Waits for one where all are being started again."""
        deadline = time.monotonic() + self._join_s
        while not self._ready:
            left_s = deadline - time.monotonic()
            if not self._joining or left_s <= 0:
                raise self._last_loss
            await asyncio.wait(self._joining.values(), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        free = [replica for replica in self._ready if not replica.reserved] or self._ready
        replica = free[choose([each.load for each in free], blocks)]
        replica.load.remember(blocks)
        return replica

    async def _complete_alone(self, request: Request) -> Completion:
        """Answer a request on a replica that has nothing else to do."""
        async with self._alone:
            while True:
                replica = await self._choose(())
                replica.reserved = True
                try:
                    await replica.wait_until_idle()
                    return await replica.complete(request)
                except EngineDeadError as loss:
                    self._lose(replica, loss)
                    if not replica.silent:
                        raise RequestQuarantinedError(
                            f"{LOSSES + 1} replicas were lost with this request under way, the last one with nothing "
                            f"beside it: {loss.message}",
                            digest=request.digest,
                        ) from loss
                finally:
                    replica.reserved = False

    def _lose(self, replica: Replica, loss: EngineDeadError) -> None:
        """Take a replica out until Ray has started it again."""
        if replica in self._ready:
            self._ready.remove(replica)
            self._last_loss = loss
            replica.mark_lost()
            self._let_join(replica)

    def _let_all_join(self) -> None:
        """Wait in the background for every replica that is not up: also those of an event loop that has ended."""
        for replica in self._replicas:
            task = self._joining.get(replica)
            if replica not in self._ready and (task is None or task.done()):
                self._let_join(replica)

    def _let_join(self, replica: Replica) -> None:
        self._joining[replica] = asyncio.get_running_loop().create_task(self._join(replica))

    async def _join(self, replica: Replica) -> None:
        """Add a replica when it is up, warm; drop it where it will never be."""
        try:
            await replica.wait_for_restart()
        except EngineDeadError as loss:
            self._last_loss = loss
            self._replicas.remove(replica)
            replica.end()
        else:
            for prefix in self._prefixes:
                replica.send(_warm_up(prefix))
            self._ready.append(replica)
        self._joining.pop(replica, None)

    def _warm_others(self, request: Request, replica: Replica) -> None:
        """Have every replica compute a prefix, such as a new version of the playbook, when it is first seen."""
        prefix = request.messages[0]
        if len(request.messages) < 2 or prefix in self._prefixes:
            return
        self._prefixes[prefix] = None
        while len(self._prefixes) > WARM_PREFIXES:
            self._prefixes.popitem(last=False)
        for other in self._ready:
            if other is not replica:
                other.load.remember(prompt_blocks((prefix,)))
                other.send(_warm_up(prefix))


def _warm_up(prefix: Message) -> Request:
    """The shortest call that leaves `prefix` in a replica's cache."""
    return Request((prefix, Message("user", "")), Sampling(max_tokens=1, temperature=0.0))


def _end_all(replicas: Sequence[Replica]) -> None:
    for replica in replicas:
        replica.end()
