"""The choice among endpoints, by a clock of the test's own."""

from __future__ import annotations

from collections import Counter

import pytest

from ace.inference.balancer import FIRST_PAUSE_S, Balancer, EndpointState


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def balancer(clock: Clock) -> Balancer:
    return Balancer([("a", 1.0), ("b", 1.0)], clock=clock)


def taken(balancer: Balancer, *passed_over: str) -> EndpointState:
    chosen = balancer.choose(passed_over)
    assert chosen is not None
    return chosen


def test_running_requests_follow_the_weights() -> None:
    balancer = Balancer([("small", 1.0), ("large", 3.0)])
    assert Counter(taken(balancer).address for _ in range(40)) == {"small": 10, "large": 30}


def test_a_circuit_opens_after_failures_in_a_row_and_closes_after_a_good_trial(
    balancer: Balancer, clock: Clock
) -> None:
    for _ in range(3):
        balancer.failed(taken(balancer, "b"))
    assert {taken(balancer).address for _ in range(5)} == {"b"}
    clock.now += FIRST_PAUSE_S
    trial = taken(balancer, "b")
    assert balancer.choose(["b"]) is None  # one trial at a time
    balancer.answered(trial, 0.1)
    assert taken(balancer).address == "a"
    assert balancer.figures[0].openings == 1


def test_an_answer_between_failures_keeps_the_circuit_closed(balancer: Balancer) -> None:
    for _ in range(5):
        balancer.failed(taken(balancer, "b"))
        balancer.answered(taken(balancer, "b"), 0.1)
    assert taken(balancer, "b").address == "a"


def test_pauses_double_with_every_trial_that_fails(balancer: Balancer, clock: Clock) -> None:
    balancer.failed(taken(balancer, "b"), unreachable=True)
    for pause in (1.0, 2.0, 4.0):
        assert balancer.choose(["b"]) is None
        clock.now += pause
        balancer.failed(taken(balancer, "b"))
    assert balancer.figures[0].openings == 1


def test_an_endpoint_that_asked_for_time_gets_none_until_then(balancer: Balancer, clock: Clock) -> None:
    balancer.limited(taken(balancer, "b"), 7.0)
    assert taken(balancer).address == "b"
    assert balancer.choose(["b"]) is None
    clock.now += 7.0
    assert taken(balancer, "b").address == "a"
    assert (balancer.figures[0].limited, balancer.figures[0].failures) == (1, 0)


def test_the_wait_is_that_of_the_endpoint_that_is_free_first(balancer: Balancer) -> None:
    balancer.limited(taken(balancer, "b"), 7.0)
    assert balancer.wait_s() == 0.0
    balancer.limited(taken(balancer, "a"), 3.0)
    assert balancer.wait_s() == 3.0


def test_a_request_that_was_given_up_says_nothing(balancer: Balancer) -> None:
    for _ in range(10):
        balancer.dropped(taken(balancer, "b"))
    assert balancer.figures[0] == balancer.figures[0].__class__("a")
    assert taken(balancer).address == "a"
