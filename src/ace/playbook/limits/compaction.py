"""The cost model of compaction: dead tokens in every call against computing the prefix once more.

The prefix log only grows: a bullet that is updated, merged or removed leaves lines behind that say nothing any more.
Compacting takes them out, and changes the prefix from the first of them on: the engine has to compute what follows
again, once, for the calls of the next batch share it. All prices are in prompt tokens computed:

    dead      = tokens(log) - tokens(compacted log)
    reprefill = tokens(compacted log after the first changed line) - tokens(lines of the log that are not cached yet)
    a call behind the log as it is pays  cost * dead

`cost` is what a cached token costs a call, as a share of what computing one costs. The call computes no key, value or
feed-forward for it, but attends to it with each of its own n tokens, and reads its keys and values at each of the g
that it generates. Of 2 P operations (P parameters, about 12 L d^2) attention is 4 L d n, a share of n / 6d: 0.02 for
500 tokens on a 7B model (d = 3584). Reading 57 kB (28 layers, 2 x 512 values of 2 bytes) 200 times takes 3.4 us at
3.35 TB/s, where computing the token takes about 30 us at half of an H100's peak: 0.11. Hence 0.1. It grows with the
length of the answers. Memory is in it where the cache is full: a dead token holds a block's place in it only once, as
the prefix is shared by all calls.

When is the right moment? Nobody knows how many bullets will be changed next. So the log is kept until what its dead
tokens have cost since the last compaction, and will have cost after the next batch, exceeds one `reprefill`: that is
never more than about twice what the best plan would have paid (the ski-rental argument), and where dead tokens
accumulate evenly it is the best fixed period. And only where the calls that are still to come repay it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ace.playbook.playbook import Playbook, PrefixLine
from ace.playbook.render import LineFormats, render_line


@dataclass(frozen=True, slots=True)
class CompactionCost:
    """In tokens: what every call carries for nothing, and what a compaction now makes the engine compute more."""

    dead: int
    reprefill: int


def compaction_cost(
    cached: Playbook, playbook: Playbook, count_tokens: Callable[[str], int], formats: LineFormats
) -> CompactionCost:
    """Weigh a compaction of `playbook`; an engine's cache has the lines of its prefix log that `cached` has too."""
    compact = playbook.compacted().prefix
    cached_lines = _shared(cached.prefix, playbook.prefix)
    reused_lines = min(cached_lines, _shared(cached.prefix, compact))

    def tokens(*lines: PrefixLine) -> int:
        return count_tokens("\n".join(render_line(line, formats) for line in lines)) if lines else 0

    return CompactionCost(
        dead=max(tokens(*playbook.prefix) - tokens(*compact), 0),
        reprefill=max(tokens(*compact[reused_lines:]) - tokens(*playbook.prefix[cached_lines:]), 0),
    )


def pays_to_compact(cost: CompactionCost, *, paid: float, next_calls: float, calls_ahead: float, price: float) -> bool:
    """Decide whether to compact now.

    `paid` is what dead tokens have cost since the last compaction, `next_calls` and `calls_ahead` are the calls
    expected until the next chance and until the end of the run, `price` is that of a cached token; see the module.
    """
    if not cost.dead:
        return False
    a_call = price * cost.dead
    return paid + a_call * next_calls > cost.reprefill and a_call * calls_ahead > cost.reprefill


def _shared(one: tuple[PrefixLine, ...], other: tuple[PrefixLine, ...]) -> int:
    """Count the lines that both begin with."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
