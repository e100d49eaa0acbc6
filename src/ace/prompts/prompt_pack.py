"""A prompt pack: one folder of text files, loaded, checked and hashed.

`pack.yaml` holds what is not a prompt; `preamble.txt`, `generator.txt`, `reflector.txt` and `curator.txt` are the
texts (their one trailing newline is not part of them). Every role sees the same system message - preamble, then the
playbook - so that the engine's prefix cache serves it to all three; what differs is in the one user message.
A preamble that names `$instructions` begins with what the task says to every sample.

The newest version of a packaged pack is in the folder of its name, an earlier one in `NAME-VERSION`.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ace.errors import PromptPackError
from ace.playbook.playbook import Section
from ace.playbook.render import LineFormats
from ace.prompts.manifest import OPERATIONS, AnswerRules, Manifest, read_manifest
from ace.prompts.template import PromptTemplate
from ace.types import ROLES, JsonLayout, Message, RoleName

__all__ = ["OPERATIONS", "PromptPack", "find_pack", "load_pack", "packaged_packs"]

PLACEHOLDERS: Mapping[RoleName, frozenset[str]] = {
    "generator": frozenset({"question", "context", "reflection", "ids", "reasons"}),
    "reflector": frozenset({"question", "context", "reasoning", "answer", "feedback", "target", "bullets", "ids"}),
    "curator": frozenset({"insights", "sections", "stats", "ids"}),
}
"""Placeholders of each role's text; `$ids` are those of the bullets that the prompt shows, nothing where it has none.
`$reasons` is given where the generator is to reason."""

REFLECTION_PLACEHOLDERS = frozenset(
    {"error_identification", "root_cause_analysis", "correct_approach", "key_insight", "insight"}
)
"""Placeholders of `insight` and `reflection` in pack.yaml; `$insight` is one part of the key insight."""

_REQUIRED: Mapping[RoleName, frozenset[str]] = {
    "generator": frozenset({"question"}),
    "reflector": frozenset({"question", "answer"}),
    "curator": frozenset({"insights"}),
}
_FILES = ("pack.yaml", "preamble.txt", "generator.txt", "reflector.txt", "curator.txt")


@dataclass(frozen=True, slots=True)
class PromptPack:
    """The texts of the roles' prompts. `digest` is `sha256:` and the hash over the pack's files.

    `preamble` is the text before the playbook, made of `opening` by `for_task`. `one_line` folds the texts of samples
    and answers, `omit` names answer fields that the pack does not ask for, `operations` the ones its curator may
    propose, `sections` those that an empty playbook begins with. `answers` bounds what guided answers hold, and `again`
    asks for an answer that was cut off or cannot be read. `reasons` says whether the generator reasons before it
    answers.
    """

    name: str
    version: int
    digest: str
    preamble: str
    opening: PromptTemplate
    templates: Mapping[RoleName, PromptTemplate]
    retry: PromptTemplate | None
    insight: PromptTemplate
    reflection: PromptTemplate
    formats: LineFormats
    insight_separator: str = ""
    together: PromptTemplate | None = None
    together_sample: PromptTemplate | None = None
    together_insight: PromptTemplate | None = None
    again: str = ""
    answers: AnswerRules | None = None
    reasons: bool = True
    one_line: bool = False
    omit: frozenset[str] = frozenset()
    operations: tuple[str, ...] = OPERATIONS
    sections: tuple[Section, ...] = field(default=())

    @property
    def layout(self) -> JsonLayout:
        """The white space of guided answers."""
        return self.answers.layout if self.answers is not None else "compact"

    @property
    def shows_instructions(self) -> bool:
        """True if the task's instructions are in the preamble; otherwise they belong to each sample's context."""
        return "instructions" in self.opening.placeholders

    def split_insights(self, text: str) -> list[str]:
        """Split a reflection's text into its insights, by the pack's separator if it has one."""
        parts = text.split(self.insight_separator) if self.insight_separator else [text]
        return [part for part in map(str.strip, parts) if part]

    def for_task(self, instructions: str) -> PromptPack:
        """The pack with the task's instructions in its preamble, where it shows them there."""
        return replace(self, preamble=self.opening.fill({"instructions": instructions.strip()}))

    def without_reasoning(self) -> PromptPack:
        """The pack for a generator that answers at once. PromptPackError where its text always asks for reasoning."""
        if "reasons" not in self.templates["generator"].placeholders:
            raise PromptPackError(f"prompt pack '{self.name}' has no text for a generator without reasoning")
        return replace(self, reasons=False)

    def messages(self, role: RoleName, playbook: str, values: Mapping[str, str]) -> tuple[Message, ...]:
        """The conversation for one call; `values` must hold every placeholder that the role's text names.

        The system message depends on the pack and the rendered `playbook` alone.
        """
        if self.one_line and role != "curator":  # a curator's values are lists that `curate` made of folded lines
            values = {name: " ".join(value.split()) for name, value in values.items()}
        if role == "generator":
            values = {**values, "reasons": "yes" if self.reasons else ""}
        user = self.templates[role].fill(values)
        if role == "generator" and self.retry is not None and values["reflection"].strip():
            user += self.retry.fill(values)
        return Message("system", f"{self.preamble}\n{playbook}"), Message("user", user)

    def joint_messages(self, samples: Sequence[Mapping[str, str]]) -> tuple[Message, ...]:
        """The reflector's conversation about several samples that share a target; PromptPackError without a text."""
        if self.together is None or self.together_sample is None:
            raise PromptPackError(f"prompt pack '{self.name}' has no text for several samples together")
        texts = "\n".join(self.together_sample.fill(sample) for sample in samples)
        system = f"{self.preamble}\n{self.formats.empty}"
        return Message("system", system), Message("user", self.together.fill({"samples": texts}))


def packaged_packs() -> tuple[str, ...]:
    """Names of the packs that come with ace, sorted."""
    return tuple(sorted(entry.name for entry in _packaged().iterdir() if entry.joinpath("pack.yaml").is_file()))


def load_pack(name_or_path: str | Path) -> PromptPack:
    """The packaged pack of that name, or else the one in that folder. PromptPackError names the file at fault."""
    name = str(name_or_path)
    names = packaged_packs()
    if name in names:
        return _load_packaged(name)
    folder = Path(name_or_path)
    if folder.is_dir():
        return _load(folder, str(folder))
    near = difflib.get_close_matches(name, names, n=1)
    message = f"no prompt pack '{name}': not a folder, and ace brings {', '.join(names)}"
    raise PromptPackError(message + (f"; did you mean '{near[0]}'?" if near else ""), file=name)


def find_pack(name: str, digest: str) -> PromptPack | None:
    """The packaged version of the pack called `name` whose files have that digest, None where there is none."""
    versions = (_load_packaged(folder) for folder in packaged_packs())
    return next((pack for pack in versions if (pack.name, pack.digest) == (name, digest)), None)


def _packaged() -> Traversable:
    return files("ace.prompts") / "packs"


@cache
def _load_packaged(name: str) -> PromptPack:
    return _load(_packaged() / name, name)


def _load(folder: Traversable, source: str) -> PromptPack:
    texts = {name: _read(folder, source, name) for name in _FILES}
    manifest = read_manifest(texts["pack.yaml"], f"{source}/pack.yaml")
    templates = {
        role: PromptTemplate(
            texts[f"{role}.txt"].removesuffix("\n"),
            source=f"{source}/{role}.txt",
            allowed=PLACEHOLDERS[role],
            required=_REQUIRED[role],
        )
        for role in ROLES
    }
    if not manifest.retry and "reflection" not in templates["generator"].placeholders:
        raise PromptPackError(
            f"{source}/generator.txt: placeholder $reflection is missing",
            file=f"{source}/generator.txt",
            placeholder="reflection",
            hint="name it there, or set `retry` in pack.yaml",
        )
    opening = PromptTemplate(
        texts["preamble.txt"].removesuffix("\n"), source=f"{source}/preamble.txt", allowed={"instructions"}
    )
    return PromptPack(
        name=manifest.name,
        version=manifest.version,
        digest=_digest(texts),
        preamble=opening.fill({"instructions": ""}),
        opening=opening,
        templates=templates,
        retry=_retry(manifest, source),
        insight=_reflection_text(manifest.insight, f"{source}/pack.yaml, insight"),
        reflection=_reflection_text(manifest.reflection, f"{source}/pack.yaml, reflection"),
        formats=_formats(manifest, f"{source}/pack.yaml"),
        insight_separator=manifest.insight_separator,
        together=_together(manifest.together, source, "together", {"samples"}, "samples"),
        together_sample=_together(
            manifest.together_sample, source, "together_sample", {"question", "context"}, "question"
        ),
        together_insight=_together(manifest.together_insight, source, "together_insight", {"case", "target"}, "case"),
        again=manifest.again.strip(),
        answers=manifest.answers,
        one_line=manifest.one_line,
        omit=frozenset(manifest.omit),
        operations=tuple(name for name in OPERATIONS if name in manifest.operations),
        sections=tuple(Section(slug=entry.slug, title=entry.title) for entry in manifest.sections),
    )


def _read(folder: Traversable, source: str, name: str) -> str:
    r"""The file's text with newlines as `\n`, so that a pack has one digest on every system."""
    try:
        return folder.joinpath(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptPackError(f"{source}/{name} cannot be read: {error}", file=f"{source}/{name}") from error


def _retry(manifest: Manifest, source: str) -> PromptTemplate | None:
    if not manifest.retry:
        return None
    source = f"{source}/pack.yaml, retry"
    return PromptTemplate(
        manifest.retry, source=source, allowed=PLACEHOLDERS["generator"], required=frozenset({"reflection"})
    )


def _together(text: str, source: str, key: str, allowed: set[str], required: str) -> PromptTemplate | None:
    if not text:
        return None
    source = f"{source}/pack.yaml, {key}"
    return PromptTemplate(text.removesuffix("\n"), source=source, allowed=allowed, required={required})


def _reflection_text(text: str, source: str) -> PromptTemplate:
    return PromptTemplate(text.removesuffix("\n"), source=source, allowed=REFLECTION_PLACEHOLDERS)


def _formats(manifest: Manifest, source: str) -> LineFormats:
    lines = manifest.formats
    both = frozenset({"id", "content"})
    for key, required in (("bullet", both), ("updated", both), ("removed", frozenset({"id"}))):
        PromptTemplate(getattr(lines, key), source=f"{source}, formats.{key}", allowed=both, required=required)
    return LineFormats(bullet=lines.bullet, updated=lines.updated, removed=lines.removed, empty=lines.empty)


def _digest(texts: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in _FILES:
        content = texts[name].encode()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return "sha256:" + digest.hexdigest()
