"""`task:` - the source of the samples and the grader of answers."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ace.config.strict_model import Settings, refused

TaskName = Literal[
    "micro",
    "jsonl",
    "csv",
    "parquet",
    "hf",
    "finer",
    "formula",
    "finer_ord",
    "finer_139",
    "gsm8k",
    "multiple_choice",
    "json",
    "code",
    "appworld",
    "routing",
    "verifiers",
    "inspect",
    "python",
]


GraderName = Literal["exact", "normalized", "fuzzy", "numeric", "contains", "list", "choice", "regex"]


class SplitSettings(Settings):
    """Cutting one file into splits: shares that add up to at most 1, by `seed`."""

    train: float = Field(default=0.6, ge=0.0, le=1.0)
    validation: float = Field(default=0.2, ge=0.0, le=1.0)
    test: float = Field(default=0.2, ge=0.0, le=1.0)
    seed: int = 0

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        total = self.train + self.validation + self.test
        if not 0.0 < total <= 1.0 + 1e-9:
            raise refused("", round(total, 9), "shares train + validation + test above 0 and at most 1 together")
        return self


class FieldSettings(Settings):
    """Names of a record's fields. A record without the `id` field is named after its file and line.

    Where `question` and `context` name the same field, it is the question, and there is no context. `choices` is for
    multiple choice, `tests` for code, `tokens` and `tags` for entities.
    """

    id: str = "id"
    question: str = "question"
    target: str = "target"
    context: str = "context"
    choices: str = "choices"
    tests: str = "tests"
    tokens: str = "tokens"
    tags: str = "ner_tags"

    @model_validator(mode="after")
    def _target_is_hidden(self) -> Self:
        for visible in ("question", "context"):
            if getattr(self, visible) == self.target:
                raise refused("target", self.target, f"another field than {visible}, which the models see")
        return self


class MicroSettings(Settings):
    """The micro world: a seed decides words, codes, sentences and splits.

    Harder ones, to study correction and forgetting: in the middle of the training samples the share `drift` of the
    words gets other codes, and the share `expiring` loses theirs, so that `unknown` is right from then on; validation
    and test ask for what holds at the end. Train with `adaptation.shuffle: false`, so that time goes on. `distractors`
    are sentences about other items that stand before the one that is asked about.
    """

    seed: int = Field(default=0, ge=0)
    terms: int = Field(default=16, ge=1)
    modifiers: int = Field(default=8, ge=1)
    train: int = Field(default=40, ge=0)
    validation: int = Field(default=24, ge=0)
    test: int = Field(default=64, ge=0)
    drift: float = Field(default=0.0, ge=0.0, le=1.0)
    expiring: float = Field(default=0.0, ge=0.0, le=1.0)
    distractors: int = Field(default=0, ge=0, le=8)

    @model_validator(mode="after")
    def _a_word_changes_once(self) -> Self:
        if self.drift + self.expiring > 1.0:
            raise refused("drift", self.drift, f"at most {1.0 - self.expiring:g}, beside expiring {self.expiring:g}")
        return self


RoutingLevel = Literal["easy", "medium", "hard"]


class RoutingSettings(Settings):
    """Support tickets of an invented company: a seed decides rules, codes, wordings and splits.

    `easy`: one fact decides each of 5 codes. `medium`: 8 codes, most of which two facts decide together. `hard`: 12
    codes, tickets with more facts than matter, and an exception that overrules all rules but one.
    """

    seed: int = Field(default=0, ge=0)
    level: RoutingLevel = "easy"
    train: int = Field(default=60, ge=0, le=2000)
    validation: int = Field(default=20, ge=0, le=2000)
    test: int = Field(default=60, ge=0, le=2000)


class CodeSettings(Settings):
    """Limits of a program under test."""

    timeout_s: float = Field(default=10.0, gt=0.0, le=600.0)
    memory_mb: int = Field(default=512, ge=64)


class AppWorldSettings(Settings):
    """Environment servers of AppWorld (`appworld serve environment`), and its data folder.

    A server holds one world at a time: so many samples are worked on at once as there are servers.
    """

    servers: tuple[str, ...] = ("http://127.0.0.1:8000",)
    root: str | None = None
    max_steps: int = Field(default=40, ge=1)
    timeout_s: float = Field(default=120.0, gt=0.0)
    experiment: str = "ace"


class TaskSettings(Settings):
    """Where the samples come from and how answers are graded.

    `micro` takes `micro` alone, and `routing` takes `routing`. `jsonl`, `csv` and `parquet` take one `path`, cut by
    `split`, or a file for each split. `hf` takes a data set's name or local folder as `path`, and `subset`. The
    built-in tasks take either, told apart by the file's ending; `path: sample` is the small sample that comes with
    each. `python` takes `path: file.py:factory`. `verifiers` takes an environment's name as `path`, `inspect` a task's
    name or `file.py@task`; both take `arguments`.

    `tolerance` is for the numeric grader, relative to the target; `threshold` is the grade from which an answer is
    right. `choices` are all answers that there are: the instructions end with them, the engine is guided to one of
    them, and no other target is accepted. `limit` is the most samples of any one split.
    """

    name: TaskName
    micro: MicroSettings = MicroSettings()
    routing: RoutingSettings = RoutingSettings()
    path: str | None = None
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    subset: str | None = None
    split: SplitSettings = SplitSettings()
    fields: FieldSettings = FieldSettings()
    instructions: str = ""
    grader: GraderName = "exact"
    tolerance: float = Field(default=0.0, ge=0.0)
    threshold: float = Field(default=1.0, gt=0.0, le=1.0)
    choices: tuple[str, ...] = ()
    answer_schema: dict[str, Any] = Field(default_factory=dict)
    code: CodeSettings = CodeSettings()
    appworld: AppWorldSettings = AppWorldSettings()
    arguments: dict[str, Any] = Field(default_factory=dict)
    limit: int | None = Field(default=None, ge=1)

    @field_validator("choices")
    @classmethod
    def _choices_differ(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        if len(choices) == 1 or len(set(choices)) < len(choices) or not all(choice.strip() for choice in choices):
            raise refused("", list(choices), "two texts or more, none of them empty or twice")
        return choices

    @model_validator(mode="after")
    def _keys_fit_the_task(self) -> Self:
        allowed = _TASK_KEYS[self.name]
        for key, field in type(self).model_fields.items():
            value = getattr(self, key)
            default = field.get_default(call_default_factory=True)
            if key not in ("name", *allowed) and value != default:
                resolved = value.model_dump(mode="json") if isinstance(value, Settings) else value
                raise refused(key, resolved, f"not supported with task '{self.name}', which takes {', '.join(allowed)}")
        return self


_FILES = ("path", "train", "validation", "test", "split", "fields", "instructions", "limit")


_PLAIN = ("grader", "tolerance", "threshold", "choices")


_TASK_KEYS: dict[str, tuple[str, ...]] = {
    "micro": ("micro",),
    "routing": ("routing",),
    "jsonl": (*_FILES, *_PLAIN),
    "csv": (*_FILES, *_PLAIN),
    "parquet": (*_FILES, *_PLAIN),
    "hf": ("path", "subset", "split", "fields", "instructions", "limit", *_PLAIN),
    "finer": (*_FILES, "subset"),
    "formula": (*_FILES, "subset"),
    "finer_ord": (*_FILES, "subset"),
    "finer_139": (*_FILES, "subset"),
    "gsm8k": (*_FILES, "subset"),
    "multiple_choice": (*_FILES, "subset"),
    "json": (*_FILES, "subset", "answer_schema"),
    "code": (*_FILES, "subset", "code"),
    "appworld": ("appworld", "limit"),
    "verifiers": ("path", "arguments", "split", "threshold", "limit"),
    "inspect": ("path", "arguments", "split", "threshold", "limit"),
    "python": ("path",),
}
