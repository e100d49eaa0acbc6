"""Taking turns, under any order of asking and leaving: one party at a time, nobody starves, nothing idles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ace.inference.wrappers.exclusive_groups import ExclusiveGroups

Step = tuple[str, int]
STEPS = st.lists(st.tuples(st.sampled_from("abc-"), st.integers(0, 30)), max_size=120)
"""A party asks, or ("-", n): the n-th of the items that run or wait leaves."""


class Played:
    """Turns as they went: what runs and waits, by the items' parties, and the order in which items started."""

    def __init__(self, most: int) -> None:
        self.turns: ExclusiveGroups[str, int] = ExclusiveGroups(most)
        self.party: dict[int, str] = {}
        self.running: list[int] = []
        self.waiting: list[int] = []
        self.joined = 0
        """Items that joined a turn since somebody else waited for it to end."""

    def play(self, steps: list[Step]) -> None:
        for party, number in steps:
            if party == "-":
                self.leave(number)
            else:
                self.ask(party)
            self.check()

    def ask(self, party: str) -> None:
        item = len(self.party)
        self.party[item] = party
        kept = bool(self.running) and self.turns.current == party
        others = any(self.party[one] != party for one in self.waiting)
        self.waiting.append(item)
        started = self.turns.ask(party, item)
        self.joined = self.joined + len(started) if kept and others else 0 if started and not kept else self.joined
        self.start(started)

    def leave(self, number: int) -> None:
        present = self.running + self.waiting
        if present:
            item = present[number % len(present)]
            (self.running if item in self.running else self.waiting).remove(item)
            drained = not self.running
            started = self.turns.leave(item)
            assert started == () or drained or {self.party[one] for one in self.waiting} == {self.turns.current}
            self.joined = 0 if started else self.joined
            self.start(started)

    def start(self, items: tuple[int, ...]) -> None:
        assert list(items) == sorted(items)
        for item in items:
            self.waiting.remove(item)
            self.running.append(item)

    def check(self) -> None:
        assert {self.party[item] for item in self.running} <= {self.turns.current}, "one party at a time"
        assert self.running or not self.waiting, "something runs where something waits"
        for item in self.waiting:
            assert all(self.party[one] != self.party[item] or one < item for one in self.running), "in order"


@given(STEPS, st.integers(0, 4))
def test_one_party_at_a_time_and_only_so_many_join_while_others_wait(steps: list[Step], most: int) -> None:
    played = Played(most)
    for step in steps:
        played.play([step])
        assert played.joined <= most


@given(STEPS, st.sampled_from("abc"), st.integers(0, 4))
def test_whoever_waits_has_the_turn_after_one_of_each_other_party(steps: list[Step], party: str, most: int) -> None:
    """However much the others ask for, as long as what runs ends some day."""
    played = Played(most)
    played.play(steps)
    played.ask(party)
    item = len(played.party) - 1
    seen = [played.turns.current]
    for _ in range(1000):
        if item in played.running:
            break
        for other in "abc".replace(party, ""):
            played.ask(other)
        played.leave(0)
        if played.turns.current != seen[-1]:
            seen.append(played.turns.current)
    assert item in played.running
    assert len(seen) <= 4, "its own turn, those of the two others, and its own again"


def test_a_turn_is_kept_while_nobody_else_waits() -> None:
    turns: ExclusiveGroups[str, int] = ExclusiveGroups(1)
    assert [turns.ask("a", item) for item in range(3)] == [(0,), (1,), (2,)]
    assert turns.ask("b", 3) == ()
    assert turns.ask("a", 4) == (4,)
    assert turns.ask("a", 5) == (), "one joined since b waits"
    assert turns.leave(0, 1, 2) == ()
    assert (turns.leave(4), turns.current) == ((3,), "b")
    assert (turns.leave(3), turns.current) == ((5,), "a")
    assert (turns.leave(5), turns.current) == ((), "a")
    assert turns.ask("a", 6) == (6,)


def test_when_those_who_waited_give_up_the_turn_goes_on() -> None:
    turns: ExclusiveGroups[str, int] = ExclusiveGroups(0)
    assert turns.ask("a", 0) == (0,)
    assert turns.ask("b", 1) == turns.ask("a", 2) == ()
    assert turns.leave(1) == (2,)
    assert turns.ask("a", 3) == (3,)
