"""Which replica a request goes to."""

from __future__ import annotations

import pytest

from ace.types import Message

pytestmark = pytest.mark.ray


def blocks(*contents: str) -> tuple[int, ...]:
    from ace.inference.providers.ray.prefix_router import prompt_blocks

    return prompt_blocks([Message("user", content) for content in contents])


def test_prompts_share_the_blocks_of_their_common_beginning() -> None:
    first, second = blocks("a" * 2000, "x" * 600), blocks("a" * 2000, "y" * 600)
    common = sum(a == b for a, b in zip(first, second, strict=True))
    assert common == 3 and len(first) == 5
    assert blocks("short") == ()


def test_the_replica_that_knows_most_of_a_prompt_is_chosen_until_it_has_too_much_to_do() -> None:
    from ace.inference.providers.ray.prefix_router import MOST_AHEAD, ReplicaLoad, choose

    loads = [ReplicaLoad() for _ in range(3)]
    prompt = blocks("a" * 4000)
    assert choose(loads, prompt) == 0
    loads[0].under_way = 1
    assert choose(loads, prompt) == 1
    loads[2].remember(prompt)
    loads[2].under_way = MOST_AHEAD
    assert choose(loads, prompt) == 2
    loads[2].under_way = MOST_AHEAD + 1
    assert choose(loads, prompt) == 1
    loads[2].under_way = 0
    loads[2].forget()
    assert choose(loads, prompt) == 1


def test_a_replica_remembers_the_latest_blocks() -> None:
    from ace.inference.providers.ray.prefix_router import MOST_BLOCKS, ReplicaLoad

    load = ReplicaLoad()
    load.remember(range(MOST_BLOCKS))
    load.remember([0, MOST_BLOCKS])
    assert load.cached_blocks([0]) == 1
    assert load.cached_blocks([1]) == 0
    assert load.cached_blocks([MOST_BLOCKS]) == 1
