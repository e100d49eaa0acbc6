"""Early stopping: when reflecting on a sample ends, and what is kept of why."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro_runs import all_roles, micro_model, role_of, settings

from ace.config import EarlyStopSettings
from ace.engine import RunSummary, run
from ace.engine.learning.early_stopping import Insights, is_covered, is_proven, is_repetition
from ace.inference import ScriptedBackend
from ace.playbook import Add, Bullet, Counters, Delta, NgramEmbedder, Playbook, Section, apply
from ace.prompts import load_pack
from ace.store import OutcomeRecord, RunStore
from ace.types import Request

ON = EarlyStopSettings(enabled=True)
EMPTY = Playbook.empty((Section("str", "Strategies"),))
HELD = apply(EMPTY, Delta((Add("str", "Round the interest at the last step, never before it."),))).playbook


def stops(insights: Sequence[str], playbook: Playbook = EMPTY, separator: str = "", **changes: Any) -> list[str | None]:
    pack = replace(load_pack("standard"), insight_separator=separator)
    insights_so_far = Insights(ON.model_copy(update=changes), NgramEmbedder(), playbook, pack.split_insights)
    return [insights_so_far.stop(insight) for insight in insights]


def test_new_insights_go_on() -> None:
    assert stops(["Check the sign.", "Convert months to years first.", "Use the closing balance."]) == [None] * 3


def test_the_same_words_end_it_at_once() -> None:
    assert stops(["Check the sign.", "Check  the\nsign."]) == [None, "converged"]


ALIKE = [
    "Convert the months to years before the growth formula is applied to the opening balance of the account.",
    "Convert the months to years before the growth formula is applied to the opening balance of an account.",
    "Convert months to years before the growth formula is applied to the opening balance of the account.",
]


def test_alike_insights_end_it_after_patience() -> None:
    assert stops(ALIKE) == [None, None, "converged"]
    assert stops(ALIKE, patience=1) == [None, "converged", "converged"]
    assert stops([ALIKE[0], ALIKE[1], "Use the closing balance.", ALIKE[2]]) == [None] * 4


@pytest.mark.parametrize(
    "other",
    [
        "Apply the growth formula before converting years to months of the opening balance in that account.",
        ALIKE[0] + " Then check the sign. Then round. Then compare with the table. Then say the unit. Then stop.",
        "- Convert months\n- years\n- the growth formula\n- is applied\n- to the opening balance",
    ],
    ids=["turned round", "longer", "a list"],
)
def test_what_is_only_similar_goes_on(other: str) -> None:
    assert not is_repetition(ALIKE[0], other, NgramEmbedder(), ON)


def test_what_the_playbook_holds_ends_it() -> None:
    held = HELD.bullets[0].content
    assert stops([held], HELD) == ["already_known"]
    assert stops([held], HELD, duplicates=False) == [None]
    assert stops([held.replace("last", "first")], HELD) == [None]
    assert stops([""], HELD) == ["already_known"]  # the reflector has nothing to say
    assert stops([f"{held} ; Check the sign."], HELD, separator=" ; ") == [None]
    assert stops([f"{held} ; {held}"], HELD, separator=" ; ") == ["already_known"]
    assert not is_covered(["Check the sign.", "Check the sign."], HELD, NgramEmbedder(), 0.9)


def test_it_is_off_by_default() -> None:
    insights = Insights(EarlyStopSettings(), NgramEmbedder(), HELD, load_pack("standard").split_insights)
    assert [insights.stop(text) for text in ["same", "same", HELD.bullets[0].content]] == [None] * 3


def test_proven_bullets() -> None:
    def book(*counters: Counters) -> Playbook:
        return Playbook.of(
            [Bullet(f"str-{i:05d}", "str", f"b{i}", c) for i, c in enumerate(counters, 1)], EMPTY.sections
        )

    good, bad, new = Counters(helpful=2), Counters(helpful=9, harmful=1), Counters(helpful=1)
    assert is_proven(book(good, good), ["str-00001", "str-00002"], 2)
    assert not is_proven(book(good, bad), ["str-00001", "str-00002"], 2)
    assert not is_proven(book(good, new), ["str-00001", "str-00002"], 2)
    assert not is_proven(book(good), ["str-00001", "str-00009"], 2)  # one that is not there
    assert not is_proven(book(good), [], 2)
    assert not is_proven(book(good), ["str-00001"], None)


def learn(
    folder: Path, answers: Any = micro_model, **changes: Any
) -> tuple[RunSummary, list[OutcomeRecord], Counter[str]]:
    backend = ScriptedBackend(answers)
    summary = asyncio.run(run(settings(folder, cache="none", **changes), backends=all_roles(backend)))
    with RunStore.open(f"sqlite:///{folder}/ace.db", create=False) as store:
        outcomes = list(store.outcomes(summary.run))
    return summary, outcomes, Counter(role_of(request) for request in backend.requests)


def stubborn(request: Request) -> str:
    """Never right, and always of the same opinion about it."""
    if role_of(request) == "generator":
        return json.dumps({"reasoning": "", "bullet_ids": [], "final_answer": "?"})
    if role_of(request) == "reflector":
        return json.dumps({"reasoning": "", "key_insight": "look again", "bullet_tags": []})
    return json.dumps({"reasoning": "", "operations": []})


def test_a_stubborn_model_is_not_asked_for_ever(tmp_path: Path) -> None:
    whole, outcomes, calls = learn(tmp_path, stubborn, adaptation__max_rounds=5)
    assert {outcome.stop for outcome in outcomes} == {"rounds"} and calls["reflector"] == 5 * len(outcomes)
    folder = tmp_path / "stopping"
    folder.mkdir()
    early, outcomes, calls = learn(folder, stubborn, adaptation__max_rounds=5, adaptation__early_stop={"enabled": True})
    assert {(outcome.stop, outcome.rounds) for outcome in outcomes} == {("converged", 2)}
    assert calls["reflector"] == 2 * len(outcomes)
    assert early.stops == {"converged": len(outcomes)}
    assert whole.accuracy_after == early.accuracy_after == 0.0


def test_proven_rules_are_not_reflected_on_again(tmp_path: Path) -> None:
    _, _, before = learn(tmp_path, adaptation__epochs=4)
    folder = tmp_path / "stopping"
    folder.mkdir()
    summary, outcomes, after = learn(folder, adaptation__epochs=4, adaptation__early_stop={"enabled": True})
    assert summary.accuracy_after == 1.0
    assert summary.stops["bullets_proven"] > 0
    assert after["reflector"] < before["reflector"]
    assert after["reflector"] == sum(outcome.rounds for outcome in outcomes) + sum(
        outcome.stop == "right" and outcome.rounds == 0 for outcome in outcomes
    )


@pytest.mark.slow
def test_a_sample_may_cost_so_many_tokens(tmp_path: Path) -> None:
    """What a call costs is known when it is answered, so that one goes over the limit."""
    costs = {}
    for tokens in (1, 100, 10_000):
        folder = tmp_path / str(tokens)
        folder.mkdir()
        stop = {"enabled": True, "tokens": tokens, "duplicates": False, "cosine": 1.0, "patience": 9}
        _, outcomes, calls = learn(folder, undecided, adaptation__max_rounds=4, adaptation__early_stop=stop)
        assert {outcome.stop for outcome in outcomes} == {"rounds" if tokens == 10_000 else "budget"}
        costs[tokens] = calls["reflector"] / len(outcomes)
    assert costs[1] == 1.0
    assert 1.0 < costs[100] < 4.0 == costs[10_000]


def undecided(request: Request) -> str:
    """Never right, and of another opinion each time."""
    if role_of(request) != "reflector":
        return stubborn(request)
    return json.dumps({"reasoning": "", "key_insight": f"look at {request.digest[-6:]}", "bullet_tags": []})
