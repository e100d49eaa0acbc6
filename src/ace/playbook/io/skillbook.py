"""Reading the JSON skillbooks of the package `ace-framework` (0.7): `{"skills": {id: {...}}, "sections": {...}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ace.errors import PlaybookFormatError
from ace.playbook.bullet import Bullet, Counters, QuarantinedBullet, bullet_id
from ace.playbook.playbook import Playbook, Section
from ace.playbook.section_names import slug_for

INVALID = "its skillbook marks it as invalid"
"""The reason of bullets that come in as quarantined."""


def is_skillbook(data: object) -> bool:
    """Return True if a JSON value has the outer form of a skillbook."""
    return isinstance(data, Mapping) and "skills" in data and "schema_version" not in data


def load_skillbook(data: Mapping[str, Any], source: str) -> Playbook:
    """The playbook of a skillbook. Sections become sections by their titles, ids are given anew in the file's order.

    A skill whose status is `invalid` is quarantined. PlaybookFormatError names the skill and the key.
    """
    skills = data["skills"]
    if not isinstance(skills, Mapping):
        raise PlaybookFormatError(f"{source}: skills: {type(skills).__name__}, allowed: an object", path=source)
    slugs: dict[str, str] = {}
    bullets: list[Bullet] = []
    quarantined: list[QuarantinedBullet] = []
    for number, (key, skill) in enumerate(skills.items(), 1):
        section, content, counters = _skill(skill, f"{source}: skills.{key}", source)
        slug = slugs.setdefault(section, slug_for(section, set(slugs.values())))
        identity = bullet_id(slug, number)
        if skill.get("status", "active") == "invalid":
            quarantined.append(QuarantinedBullet(identity, slug, content, (INVALID,)))
        else:
            bullets.append(Bullet(identity, slug, content, counters))
    sections = [Section(slug, title) for title, slug in slugs.items()]
    return Playbook.of(bullets, sections, quarantined=quarantined)


def _skill(skill: object, place: str, source: str) -> tuple[str, str, Counters]:
    if not isinstance(skill, Mapping):
        raise PlaybookFormatError(f"{place}: {type(skill).__name__}, allowed: an object", path=source)
    for key in ("section", "content"):
        if not isinstance(skill.get(key), str) or not skill[key].strip():
            raise PlaybookFormatError(
                f"{place}.{key}: {skill.get(key)!r}, allowed: a text that is not empty", path=source
            )
    counts: dict[str, int] = {}
    for key in ("helpful", "harmful", "neutral"):
        count = skill.get(key, 0)
        if type(count) is not int or count < 0:
            raise PlaybookFormatError(f"{place}.{key}: {count!r}, allowed: a whole number of at least 0", path=source)
        counts[key] = count
    return skill["section"].strip(), skill["content"], Counters(**counts)
