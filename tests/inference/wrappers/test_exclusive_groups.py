"""Under any order of adding and removing, one group runs at a time, none starves, and something always runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ace.inference.wrappers.exclusive_groups import ExclusiveGroups

Step = tuple[str, int]
STEPS = st.lists(st.tuples(st.sampled_from("abc-"), st.integers(0, 30)), max_size=120)
"""An item is added to a group, or ("-", n): the n-th of the items that run or wait is removed."""


class Schedule:
    """What runs and waits, by the items' groups, and the order in which items started."""

    def __init__(self, most: int) -> None:
        self.groups: ExclusiveGroups[str, int] = ExclusiveGroups(most)
        self.group_of: dict[int, str] = {}
        self.running: list[int] = []
        self.waiting: list[int] = []
        self.joined = 0
        """Items that joined the current group since another one waits."""

    def follow(self, steps: list[Step]) -> None:
        for group, number in steps:
            if group == "-":
                self.remove(number)
            else:
                self.add(group)
            self.check()

    def add(self, group: str) -> None:
        item = len(self.group_of)
        self.group_of[item] = group
        kept = bool(self.running) and self.groups.current == group
        others = any(self.group_of[one] != group for one in self.waiting)
        self.waiting.append(item)
        started = self.groups.add(group, item)
        self.joined = self.joined + len(started) if kept and others else 0 if started and not kept else self.joined
        self.start(started)

    def remove(self, number: int) -> None:
        present = self.running + self.waiting
        if present:
            item = present[number % len(present)]
            (self.running if item in self.running else self.waiting).remove(item)
            drained = not self.running
            started = self.groups.remove(item)
            assert started == () or drained or {self.group_of[one] for one in self.waiting} == {self.groups.current}
            self.joined = 0 if started else self.joined
            self.start(started)

    def start(self, items: tuple[int, ...]) -> None:
        assert list(items) == sorted(items)
        for item in items:
            self.waiting.remove(item)
            self.running.append(item)

    def check(self) -> None:
        assert {self.group_of[item] for item in self.running} <= {self.groups.current}, "one group at a time"
        assert self.running or not self.waiting, "something runs where something waits"
        for item in self.waiting:
            assert all(self.group_of[one] != self.group_of[item] or one < item for one in self.running), "in order"


@given(STEPS, st.integers(0, 4))
def test_one_party_at_a_time_and_only_so_many_join_while_others_wait(steps: list[Step], most: int) -> None:
    schedule = Schedule(most)
    for step in steps:
        schedule.follow([step])
        assert schedule.joined <= most


@given(STEPS, st.sampled_from("abc"), st.integers(0, 4))
def test_whoever_waits_has_the_turn_after_one_of_each_other_party(steps: list[Step], group: str, most: int) -> None:
    """However many items the others add, as long as those that run end."""
    schedule = Schedule(most)
    schedule.follow(steps)
    schedule.add(group)
    item = len(schedule.group_of) - 1
    seen = [schedule.groups.current]
    for _ in range(1000):
        if item in schedule.running:
            break
        for other in "abc".replace(group, ""):
            schedule.add(other)
        schedule.remove(0)
        if schedule.groups.current != seen[-1]:
            seen.append(schedule.groups.current)
    assert item in schedule.running
    assert len(seen) <= 4, "its own group, the two others, and its own again"


def test_a_group_goes_on_while_no_other_waits() -> None:
    groups: ExclusiveGroups[str, int] = ExclusiveGroups(1)
    assert [groups.add("a", item) for item in range(3)] == [(0,), (1,), (2,)]
    assert groups.add("b", 3) == ()
    assert groups.add("a", 4) == (4,)
    assert groups.add("a", 5) == (), "one joined since b waits"
    assert groups.remove(0, 1, 2) == ()
    assert (groups.remove(4), groups.current) == ((3,), "b")
    assert (groups.remove(3), groups.current) == ((5,), "a")
    assert (groups.remove(5), groups.current) == ((), "a")
    assert groups.add("a", 6) == (6,)


def test_when_the_waiting_items_are_removed_the_group_goes_on() -> None:
    groups: ExclusiveGroups[str, int] = ExclusiveGroups(0)
    assert groups.add("a", 0) == (0,)
    assert groups.add("b", 1) == groups.add("a", 2) == ()
    assert groups.remove(1) == (2,)
    assert groups.add("a", 3) == (3,)
