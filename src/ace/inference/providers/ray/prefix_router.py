"""The replica for a request: one that has computed most of its prompt already, unless it has too much to do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import takewhile

from ace.types import Message

BLOCK_CHARACTERS = 512
"""About 128 tokens, the block of vLLM's prefix cache on a CPU."""

MOST_BLOCKS = 16_384
"""Blocks that a replica is taken to remember, the latest ones: about two million tokens."""

MOST_AHEAD = 8
"""Requests that a replica may have more than the least busy one, for the sake of its cache."""


def prompt_blocks(messages: Sequence[Message]) -> tuple[int, ...]:
    """Hashes of the beginnings of a conversation, a block longer each; a rest of less than a block is left out."""
    text = "\x00".join(f"{message.role}\x00{message.content}" for message in messages)
    hashes: list[int] = []
    seed = 0
    for start in range(0, len(text) - BLOCK_CHARACTERS + 1, BLOCK_CHARACTERS):
        seed = hash((seed, text[start : start + BLOCK_CHARACTERS]))
        hashes.append(seed)
    return tuple(hashes)


class ReplicaLoad:
    """Requests under way at one replica, and the beginnings of prompts that it has computed."""

    def __init__(self) -> None:
        self.under_way = 0
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def remember(self, blocks: Iterable[int]) -> None:
        """Note a prompt that is given to this replica."""
        for block in blocks:
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > MOST_BLOCKS:
            self._blocks.popitem(last=False)

    def forget(self) -> None:
        """Its engine is a new one."""
        self._blocks.clear()

    def cached_blocks(self, blocks: Iterable[int]) -> int:
        """Number of leading blocks of a prompt that it has computed."""
        return sum(1 for _ in takewhile(self._blocks.__contains__, blocks))


def choose(loads: Sequence[ReplicaLoad], blocks: Sequence[int]) -> int:
    """Index of the replica that knows most of `blocks`, among those that are not too far ahead; then the least busy."""
    least = min(load.under_way for load in loads)
    return min(
        (index for index, load in enumerate(loads) if load.under_way <= least + MOST_AHEAD),
        key=lambda index: (-loads[index].cached_blocks(blocks), loads[index].under_way, index),
    )
