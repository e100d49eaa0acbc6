"""`python -m benchmarks prefix`: the layouts that it compares, without an engine."""

from __future__ import annotations

import re

from ace.bench.hardware.measured_machine import Machine
from benchmarks.prefix_layouts import LAYOUTS, PrefixReport, PrefixRow, record


def test_the_layouts_ask_the_same_behind_other_playbooks() -> None:
    batches = record(48, 0)
    assert len(batches) == 3
    last = batches[-1]
    laid_out = {name: layout(last, 5) for name, layout in LAYOUTS.items()}
    users = [[request.messages[1] for request in requests] for requests in laid_out.values()]
    assert users[0] == users[1] == users[2]
    ours, counted, retrieved = ([r.messages[0].content for r in requests] for requests in laid_out.values())
    assert len(set(ours)) == len(set(counted)) == 1
    bullets = last.playbook.bullets
    assert len(bullets) > 5
    lines = counted[0].split("\n")[1:]
    assert [re.sub(r" helpful=\d+ harmful=\d+ ::", "", line) for line in lines] == [
        f"[{bullet.id}] {bullet.content}" for bullet in bullets
    ]
    assert any(bullet.counters.helpful for bullet in bullets)
    asked = [text for text, user in zip(retrieved, users[0], strict=True) if not user.content.startswith("CURATE")]
    assert {text.count("\n") for text in asked} == {5} and len(set(asked)) > 10
    for text, user in zip(asked, users[0], strict=False):
        word = user.content.split('Code of "')[1].split()[1].rstrip('"')
        held = [bullet for bullet in bullets if bullet.content.startswith(f"{word} ")]
        assert all(bullet.content in text for bullet in held)


def test_the_report_names_its_command() -> None:
    row = PrefixRow("ours", 1000.0, 100.0, 160.0, 0.9, 0.95, 1.5, 1.0)
    text = PrefixReport((row,), 200, 16, 16, 3, 7, Machine.here()).to_markdown()
    assert "`python -m benchmarks prefix --samples 200 --top 16 --tokens 16 --repetitions 3 --seed 7`" in text
    assert "| ours | 1000 | 90.0% | 95.0% | 100 | 160 | 1.50 | 1.0x |" in text
