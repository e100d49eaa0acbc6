"""The settings of a run: frozen pydantic models in which an unknown key is an error.

Every field has a working default except the task and the models. `RunSettings.digest` identifies what was run.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin
from urllib.parse import urlsplit, urlunsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ace.types import ROLES, RoleName

Provider = Literal["auto", "vllm", "huggingface", "openai", "ray", "scripted"]
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
    "python",
]
GraderName = Literal["exact", "normalized", "fuzzy", "numeric", "contains", "list", "choice", "regex"]
Labels = Literal["given", "none", "forbidden"]
SpeculativeMethod = Literal["none", "ngram", "draft", "suffix", "auto"]
Method = Literal["ace", "rewrite", "icl", "empty"]


HIDDEN = "a text that is not repeated here"
_SECRET = re.compile(r"(?i)(?:^|[_.-])(?:api_?key|key|token|secret|password|passwd|authorization)(?:_env)?$")


def names_a_secret(key: str) -> bool:
    """Whether what stands under this key may be a secret, put there by mistake: messages then leave it out."""
    return _SECRET.search(key) is not None


def refused(key: str, found: object, allowed: str, *, nearest: str | None = None) -> PydanticCustomError:
    """A problem at `key`, relative to the model whose validator raises it; "" is the value itself."""
    facts = {"key": key, "found": found, "allowed": allowed, "nearest": nearest}
    return PydanticCustomError("refused", "{key} must be {allowed}", facts)


def _kinds(annotation: Any) -> set[Any]:
    """The types of a union, `Annotated` or not; those that a container holds are not meant."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    return {annotation} if isinstance(annotation, type) else set()


class Settings(BaseModel):
    """Base of all: unknown keys are refused, values are never changed after checking."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `on` are booleans, which pydantic takes for 1."""
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        if isinstance(value, bool) and bool not in kinds and (int in kinds or float in kinds):
            raise refused("", value, "a number")
        return value


class PriceSettings(Settings):
    """Money for a million tokens, in a currency of your choice. `cached`: prompt tokens from the server's cache."""

    input: float = Field(ge=0.0)
    output: float = Field(ge=0.0)
    cached: float | None = Field(default=None, ge=0.0)


class SpeculativeSettings(Settings):
    """Speculative decoding: a cheap guess of the next `tokens` tokens, which the model checks in one step.

    `ngram` guesses what followed the last words earlier in the prompt (matches of `lookup_min` to `lookup_max` tokens),
    `draft` asks the small model `model`, `suffix` looks in earlier answers, too. `auto` takes what
    `ace bench speculative` measured to pay on this machine. Where None stands, the method's own preset holds.
    """

    method: SpeculativeMethod = "none"
    model: str | None = Field(default=None, min_length=1)
    tokens: int | None = Field(default=None, ge=1, le=32)
    lookup_min: int | None = Field(default=None, ge=1)
    lookup_max: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> Self:
        if self.method == "draft" and self.model is None:
            raise refused("model", None, "the model that drafts, with method 'draft'")
        allowed = _SPECULATIVE_KEYS[self.method]
        for key in ("model", "tokens", "lookup_min", "lookup_max"):
            if key not in allowed and getattr(self, key) is not None:
                takes = f", which takes {', '.join(allowed)}" if allowed else ""
                raise refused(key, getattr(self, key), f"nothing, with method '{self.method}'{takes}")
        if self.lookup_min is not None and self.lookup_max is not None and self.lookup_min > self.lookup_max:
            raise refused("lookup_min", self.lookup_min, f"at most lookup_max, {self.lookup_max}")
        return self


_SPECULATIVE_KEYS: dict[str, tuple[str, ...]] = {
    "none": (),
    "auto": (),
    "ngram": ("tokens", "lookup_min", "lookup_max"),
    "draft": ("model", "tokens"),
    "suffix": ("tokens",),
}


class ModelSettings(Settings):
    """A model and the provider that serves it. Two equal ones share one engine.

    `speculative` is a method by name, or `SpeculativeSettings`. With `compile: true` vLLM compiles the model, which it
    does by itself on a GPU only.

    `adapter` is the folder of a LoRA adapter as PEFT saves it, and `base` the key of the model whose engine answers
    with it. Such an entry has a `price` of its own; every other key is the base's and need not be repeated.
    """

    provider: Provider = "auto"
    model: str = Field(min_length=1)
    base: str | None = None
    adapter: str | None = Field(default=None, min_length=1)
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the API key. The key itself has no place in a config."""
    api_key_file: str | None = None
    """A file that holds the API key instead, and that only its owner can read."""
    max_model_len: int | None = Field(default=None, ge=1)
    dtype: str = "auto"
    gpu_memory_utilization: float | None = Field(default=None, gt=0.0, le=1.0)
    """0.9 for an engine that is alone; several on one GPU divide that by the size of their models."""
    trust_remote_code: bool = False
    engine_args: dict[str, Any] = Field(default_factory=dict)
    speculative: SpeculativeSettings = SpeculativeSettings()
    compile: bool | Literal["auto"] = "auto"
    sleep: bool = False
    """Give the GPU to other models that sleep while they are asked: for models that do not fit on it together."""
    max_retries: int = Field(default=4, ge=0)
    """How often a call is repeated that failed for a passing reason (HTTP 429, 5xx, no connection)."""
    max_restarts: int = Field(default=4, ge=0)
    """How often an engine in this process is started again after it died."""
    timeout_s: float = Field(default=600.0, gt=0)
    """The longest that one answer of an endpoint may take, and an engine of this process may be silent."""
    max_concurrency: int = Field(default=64, ge=1)
    warm: bool = True
    """Whether an engine that `ace serve-engine` keeps warm for these settings is used, where there is one."""
    price: PriceSettings | None = None

    @field_validator("speculative", mode="before")
    @classmethod
    def _method_by_name(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false."""
        named = "none" if value is False else value
        return {"method": named} if isinstance(named, str) else named

    @model_validator(mode="after")
    def _only_vllm_speculates(self) -> Self:
        method = self.speculative.method
        asked = {"speculative": method if method not in ("none", "auto") else None, "compile": self.compile is True}
        asked["sleep"] = self.sleep
        for key, found in asked.items():
            if found and self.provider not in ("auto", "vllm"):
                raise refused(key, found, f"nothing, with provider '{self.provider}': only vllm has it")
        if method != "none" and "speculative_config" in self.engine_args:
            raise refused("speculative", method, "none, beside engine_args.speculative_config, which says the same")
        if self.compile != "auto" and "enforce_eager" in self.engine_args:
            raise refused("compile", self.compile, "auto, beside engine_args.enforce_eager, which says the same")
        return self

    @model_validator(mode="after")
    def _only_vllm_adapts(self) -> Self:
        if self.adapter is None and self.base is not None:
            raise refused("base", self.base, "nothing, without the adapter that its engine is to answer with")
        if self.adapter is not None and self.provider == "openai":
            allowed = "nothing, with provider 'openai': there an adapter is a model, so give its name as model"
            raise refused("adapter", self.adapter, allowed)
        if self.adapter is not None and self.provider not in ("auto", "vllm"):
            allowed = f"nothing, with provider '{self.provider}': only vllm loads adapters"
            raise refused("adapter", self.adapter, allowed)
        return self

    @field_validator("api_key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise refused("", HIDDEN, "the name of an environment variable, not the key itself")
        return value

    @field_validator("engine_args")
    @classmethod
    def _no_secret_in_it(cls, value: dict[str, Any]) -> dict[str, Any]:
        """What stands here is stored with the run and shown."""
        for name in value:
            if names_a_secret(name):
                raise refused(name, HIDDEN, "nothing here: put keys into the environment (HF_TOKEN) or api_key_file")
        return value

    @field_validator("base_url")
    @classmethod
    def _no_password_in_it(cls, value: str | None) -> str | None:
        """The URL is stored with the run and shown, so it may hold no secret."""
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise refused("", value, "http://HOST:PORT/v1 or https://...")
            if parts.username is not None or parts.query:
                shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
                raise refused("", "a URL with a password or a query", f"{shown}, and the key in api_key_file")
        return value


class EscalationSettings(Settings):
    """When a role asks the larger model `model`, a key of `models`, in the place of its own.

    Before its own model is asked, for a prompt of more than `prompt_tokens` tokens, or that does not fit; and, for
    the generator's retries and the reflector, where the answer at hand was graded at most `score`, or from round
    `rounds` on. After its own model was asked, once more: where its answer cannot be read (`parse_failure`), where the
    reflector would be stopped early beside an answer that is still wrong (`stalled`), and where the curation and the
    playbook say less than the share `said` of the insights, by the rules of dedup.
    """

    model: str
    parse_failure: bool = True
    stalled: bool = True
    score: float | None = Field(default=None, ge=0.0, le=1.0)
    rounds: int | None = Field(default=None, ge=1)
    prompt_tokens: int | None = Field(default=None, ge=1)
    said: float | None = Field(default=None, gt=0.0, le=1.0)


class RoleSettings(Settings):
    """Which of `models` plays the role, how its answers are sampled, and when a larger model is asked instead."""

    model: str = "main"
    escalate: EscalationSettings | None = None
    max_tokens: int = Field(default=2048, ge=1)
    temperature: float = Field(default=0.1, ge=0.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)


class RolesSettings(Settings):
    """The three roles."""

    generator: RoleSettings = RoleSettings()
    reflector: RoleSettings = RoleSettings()
    curator: RoleSettings = RoleSettings()

    @model_validator(mode="after")
    def _escalation_fits_the_role(self) -> Self:
        for role in ROLES:
            if (escalate := self.of(role).escalate) is None:
                continue
            for key, roles in _ESCALATED_BY.items():
                if role not in roles and getattr(escalate, key) is not None:
                    allowed = f"nothing: this is for the {' and the '.join(roles)}"
                    raise refused(f"{role}.escalate.{key}", getattr(escalate, key), allowed)
            if escalate.model in ROLES:
                raise refused(f"{role}.escalate.model", escalate.model, "a model that is not named like a role")
            if escalate.model == self.of(role).model:
                raise refused(f"{role}.escalate.model", escalate.model, "another model than the role's own")
        return self

    def of(self, role: RoleName) -> RoleSettings:
        """The settings of `role`."""
        settings: RoleSettings = getattr(self, role)
        return settings

    def model_of(self, role: RoleName, *, escalated: bool = False) -> str:
        """The key of the model that answers `role`, its own or the larger one."""
        settings = self.of(role)
        return settings.escalate.model if escalated and settings.escalate else settings.model


_ESCALATED_BY: dict[str, tuple[RoleName, ...]] = {
    "score": ("generator", "reflector"),
    "rounds": ("generator", "reflector"),
    "said": ("curator",),
}
"""The keys of `escalate` that say nothing to the other roles."""


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
    """Which field of a record holds what. A record without the `id` field is named after its file and line.

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
        for shown in ("question", "context"):
            if getattr(self, shown) == self.target:
                raise refused("target", self.target, f"another field than {shown}, which the models see")
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


class CodeSettings(Settings):
    """What a program may use when it is tested."""

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

    `micro` takes `micro` alone. `jsonl`, `csv` and `parquet` take one `path`, cut by `split`, or a file for each split.
    `hf` takes a data set's name or local folder as `path`, and `subset`. The built-in tasks take either, told apart by
    the file's ending; `path: sample` is the small sample that comes with each. `python` takes `path: file.py:factory`.

    `tolerance` is for the numeric grader, relative to the target; `threshold` is the grade from which an answer is
    right. `limit` is the most samples of any one split.
    """

    name: TaskName
    micro: MicroSettings = MicroSettings()
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
    answer_schema: dict[str, Any] = Field(default_factory=dict)
    code: CodeSettings = CodeSettings()
    appworld: AppWorldSettings = AppWorldSettings()
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _keys_fit_the_task(self) -> Self:
        allowed = _TASK_KEYS[self.name]
        for key, field in type(self).model_fields.items():
            value = getattr(self, key)
            default = field.get_default(call_default_factory=True)
            if key not in ("name", *allowed) and value != default:
                found = value.model_dump(mode="json") if isinstance(value, Settings) else value
                raise refused(key, found, f"nothing, with task '{self.name}', which takes {', '.join(allowed)}")
        return self


_FILES = ("path", "train", "validation", "test", "split", "fields", "instructions", "limit")
_GRADED = ("grader", "tolerance", "threshold")
_TASK_KEYS: dict[str, tuple[str, ...]] = {
    "micro": ("micro",),
    "jsonl": (*_FILES, *_GRADED),
    "csv": (*_FILES, *_GRADED),
    "parquet": (*_FILES, *_GRADED),
    "hf": ("path", "subset", "split", "fields", "instructions", "limit", *_GRADED),
    "finer": (*_FILES, "subset"),
    "formula": (*_FILES, "subset"),
    "finer_ord": (*_FILES, "subset"),
    "finer_139": (*_FILES, "subset"),
    "gsm8k": (*_FILES, "subset"),
    "multiple_choice": (*_FILES, "subset"),
    "json": (*_FILES, "subset", "answer_schema"),
    "code": (*_FILES, "subset", "code"),
    "appworld": ("appworld", "limit"),
    "python": ("path",),
}


class EarlyStopSettings(Settings):
    """When reflecting on a sample ends before `max_rounds`; off by default, as in the paper's loop.

    `cosine`, `phrases` and `structure` say how alike two insights in a row must be, `patience` how often in a row. With
    `known` an insight that the playbook holds already ends it. With `proven` a right answer is not reflected on where
    each bullet that it used was tagged helpful at least so often, and never harmful. `tokens` is what the reflections
    and retries of one sample may cost, prompt and completion together; it is exceeded by one call at most.
    """

    enabled: bool = False
    cosine: float = Field(default=0.9, ge=0.0, le=1.0)
    phrases: float = Field(default=0.6, ge=0.0, le=1.0)
    structure: float = Field(default=0.7, ge=0.0, le=1.0)
    patience: int = Field(default=2, ge=1)
    known: bool = True
    proven: int | None = Field(default=2, ge=1)
    tokens: int | None = Field(default=None, ge=1)


class ConsistencySettings(Settings):
    """Self-consistency: `samples` further answers are drawn, and compared with the one at hand (arXiv 2203.11171)."""

    samples: int = Field(default=4, ge=1)
    temperature: float = Field(default=0.7, gt=0.0)
    accept: float = Field(default=0.75, ge=0.0, le=1.0)
    reject: float = Field(default=0.25, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.reject >= self.accept:
            raise refused("reject", self.reject, f"less than accept, {self.accept}")
        return self


class AgreementSettings(Settings):
    """Agreement between tiers: the model that plays `role` answers the question, too."""

    role: Literal["reflector", "curator"] = "reflector"


class SignalSettings(Settings):
    """What takes the place of labels where there are none. An answer whose form the task finds wrong is tried again.

    With `consistency` it is held for right from the share `accept` of equal answers on, for wrong up to `reject`. With
    `agreement` it is held for right or wrong by what the other model answers; where both are set, both must say so.
    """

    form: bool = True
    """Whether what the task observes of an answer is heard: its form, or what its code did."""
    consistency: ConsistencySettings | None = None
    agreement: AgreementSettings | None = None


class AdaptationSettings(Settings):
    """The loop. `curator_groups: auto` curates the reflections of a batch in about the square root of their number.

    With `curator_reduce` one more curator call makes one set of changes of what several groups proposed.

    `batch_size: auto` begins with 4 samples and doubles with every batch, up to 64: as long as the playbook is empty,
    the samples of a batch all discover the same things. With an initial playbook that has bullets it begins with 16.

    With `pipeline: 1` the samples of the next batch begin while the last ones of this batch still reflect, behind a
    playbook that lacks one batch more; at most `batch_size` samples are under way. An epoch's end waits for all.

    With `labels: none` no target and no grade reaches a prompt or steers the loop; answers are graded for the report.
    `forbidden` is the same for tasks whose training samples have no targets, and makes sure of it.

    `method` is `ace`, or what it is measured against: `rewrite` has the curator write the whole playbook anew after
    each batch, `icl` fills it with questions and their answers, `empty` leaves it as it is.
    """

    method: Method = "ace"
    epochs: int = Field(default=1, ge=1)
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    pipeline: Literal[0, 1] = 0
    max_rounds: int = Field(default=3, ge=0)
    reflect_on_success: bool = True
    early_stop: EarlyStopSettings = EarlyStopSettings()
    curator_groups: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    curator_reduce: bool = False
    validate_each_epoch: bool = True
    labels: Labels = "given"
    signals: SignalSettings = SignalSettings()
    shuffle: bool = True

    @model_validator(mode="after")
    def _signals_without_labels(self) -> Self:
        for name in ("consistency", "agreement"):
            if self.labels == "given" and getattr(self.signals, name) is not None:
                raise refused(f"signals.{name}", "settings", "nothing, with labels 'given': the grade is the signal")
        return self

    @model_validator(mode="after")
    def _pipeline_has_samples(self) -> Self:
        if self.pipeline and self.method in ("icl", "empty"):
            raise refused("pipeline", self.pipeline, f"0, with method '{self.method}': no sample is reflected on")
        return self

    @model_validator(mode="after")
    def _examples_have_answers(self) -> Self:
        if self.method == "icl" and self.labels != "given":
            raise refused("labels", self.labels, "given, with method 'icl': an example is a question with its answer")
        return self


class EvaluationSettings(Settings):
    """Whether the test split is evaluated with the first playbook and with the best one."""

    before: bool = True
    after: bool = True


class DedupSettings(Settings):
    """Finding bullets that say the same, without a model call. `model` is for the other embedders."""

    enabled: bool = True
    threshold: float = Field(default=0.92, gt=0.0, le=1.0)
    embedder: Literal["ngram", "sentence-transformers", "vllm"] = "ngram"
    model: str | None = None


class GuardSettings(Settings):
    """What happens to a new bullet that holds what no playbook should: see `ace.playbook.guard`.

    `warn` lets it in and says so; `quarantine` keeps it for people to judge, out of every prompt.
    """

    policy: Literal["off", "warn", "quarantine"] = "warn"

    @field_validator("policy", mode="before")
    @classmethod
    def _off_is_no_boolean(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false."""
        return "off" if value is False else value


class WorkingSetSettings(Settings):
    """The part of a large playbook that an epoch's or an evaluation's prompts show: bullets of at most `tokens`."""

    tokens: int = Field(ge=1)


class PlaybookSettings(Settings):
    """The playbook: where it starts, and the tokens (of the generator's tokenizer) that it may never exceed.

    `compaction` is when the prefix log is written anew: at the end of each `epoch`, `never`, or whenever it pays
    (`auto`, see `ace.playbook.compaction`), where `cached_token_cost` is what a token in the prefix costs a call, as a
    share of what it costs to compute it. With `working_set` prompts show only a part of the playbook.
    """

    initial: str | None = None
    token_budget: int | None = Field(default=8192, ge=1)
    dedup: DedupSettings = DedupSettings()
    guard: GuardSettings = GuardSettings()
    compaction: Literal["auto", "epoch", "never"] = "epoch"
    cached_token_cost: float = Field(default=0.1, ge=0.0)
    working_set: WorkingSetSettings | None = None


class BudgetSettings(Settings):
    """What a run may spend over all roles; None is no limit. A run that reaches one can be resumed with more.

    `tokens` are prompt and completion tokens, `money` goes by the models' `price`, `wall_s` counts the work on batches
    and evaluations, `gpu_s` the same times the GPUs of the engines in this process.
    """

    calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    money: float | None = Field(default=None, gt=0.0)
    wall_s: float | None = Field(default=None, gt=0.0)
    gpu_s: float | None = Field(default=None, gt=0.0)


def _written(entry: Any) -> Mapping[str, Any]:
    """An entry of `models` as keys and values, whether it was checked before or not."""
    if isinstance(entry, ModelSettings):
        return entry.model_dump()
    return entry if isinstance(entry, Mapping) else {}


class RunSettings(Settings):
    """Everything that decides a run."""

    version: Literal[1] = 1
    name: str = Field(default="run", min_length=1)
    seed: int = Field(default=0, ge=0)
    mode: Literal["offline", "online", "evaluate", "probe"] = "offline"
    """Learn over epochs, learn from a stream, or only evaluate the initial playbook. `probe` is how the commands that
    evaluate many variants of a playbook record it; it cannot be asked for."""
    task: TaskSettings
    models: dict[str, ModelSettings] = Field(min_length=1)
    roles: RolesSettings = RolesSettings()
    prompts: str = "standard"
    adaptation: AdaptationSettings = AdaptationSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    playbook: PlaybookSettings = PlaybookSettings()
    budget: BudgetSettings = BudgetSettings()
    cache: Literal["none", "greedy", "all"] = "greedy"
    """Which answers are kept in the store and found there again: those at temperature 0, or sampled ones too."""
    store: str = "sqlite:///runs/ace.db"

    @field_validator("models", mode="before")
    @classmethod
    def _adapters_are_their_base(cls, value: Any) -> Any:
        """An adapter's entry gets what stands in its base's, so that it is whole by itself."""
        if not isinstance(value, Mapping):
            return value
        whole = dict(value)
        for name, entry in value.items():
            if not isinstance(entry, Mapping) or entry.get("adapter") is None:
                continue
            base = entry.get("base")
            plain = [key for key, other in value.items() if _written(other).get("adapter") is None]
            if base not in plain:
                near = next(iter(difflib.get_close_matches(str(base), plain, n=1)), None)
                allowed = f"a key of models without an adapter: {', '.join(plain) or 'there is none'}"
                raise refused(f"{name}.base", base, allowed, nearest=near)
            whole[name] = {**_written(value[base]), **entry}
        return whole

    @field_serializer("models", mode="wrap")
    def _adapters_in_short(self, models: dict[str, ModelSettings], dump: SerializerFunctionWrapHandler) -> Any:
        """An adapter's entry without what is its base's, so that the base can be varied."""
        short = ("base", "adapter", "price")
        return {
            name: entry if models[name].adapter is None else {key: entry[key] for key in short if key in entry}
            for name, entry in dump(models).items()
        }

    @model_validator(mode="after")
    def _adapters_say_what_their_base_says(self) -> Self:
        for name, model in self.models.items():
            if model.adapter is None:
                continue
            base = self.models.get(model.base or "")
            if base is None or base.adapter is not None:
                raise refused(f"models.{name}.base", model.base, "a key of models without an adapter")
            for key in ModelSettings.model_fields:
                found, held = getattr(model, key), getattr(base, key)
                if key not in ("base", "adapter", "price") and found != held:
                    shown = [one.model_dump() if isinstance(one, Settings) else one for one in (found, held)]
                    allowed = f"nothing, or {shown[1]!r}: an adapter shares the engine of its base '{model.base}'"
                    raise refused(f"models.{name}.{key}", shown[0], allowed)
        return self

    @model_validator(mode="after")
    def _roles_name_models(self) -> Self:
        for key, named in self._named().items():
            if named not in self.models:
                near = next(iter(difflib.get_close_matches(named, self.models, n=1)), None)
                raise refused(key, named, f"a key of models: {', '.join(self.models)}", nearest=near)
        return self

    @model_validator(mode="after")
    def _scores_are_labels(self) -> Self:
        for role in ROLES:
            escalate = self.roles.of(role).escalate
            if escalate and escalate.score is not None and self.adaptation.labels != "given":
                allowed = f"nothing, with labels '{self.adaptation.labels}': a grade may not steer the loop"
                raise refused(f"roles.{role}.escalate.score", escalate.score, allowed)
        return self

    @model_validator(mode="after")
    def _money_has_prices(self) -> Self:
        for name in self.models_used:
            if self.budget.money is not None and self.models[name].price is None:
                raise refused(f"models.{name}.price", None, "input and output, because budget.money is set")
        return self

    @property
    def models_used(self) -> tuple[str, ...]:
        """The keys of the models that the roles name, their own before the larger ones, each once."""
        return tuple(dict.fromkeys(self._named().values()))

    @property
    def engines_used(self) -> tuple[str, ...]:
        """The keys of the models that the run loads: of an adapter, its base's. Two of them may still be equal."""
        return tuple(dict.fromkeys(map(self.engine_of, self.models_used)))

    def engine_of(self, name: str) -> str:
        """The key of the model that answers for `name`: its base where it is an adapter, else itself."""
        return self.models[name].base or name

    @property
    def models_escalated(self) -> tuple[str, ...]:
        """The keys of the larger models, each once."""
        larger = [self.roles.of(role).escalate for role in ROLES]
        return tuple(dict.fromkeys(escalate.model for escalate in larger if escalate is not None))

    def _named(self) -> dict[str, str]:
        """The models that the roles name, each by where it is named."""
        own = {f"roles.{role}.model": self.roles.of(role).model for role in ROLES}
        larger = {f"roles.{role}.escalate.model": self.roles.of(role).escalate for role in ROLES}
        return own | {key: escalate.model for key, escalate in larger.items() if escalate is not None}

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the resolved settings' canonical JSON, but for the budget: it decides how far a run
        goes, not where to."""
        body = json.dumps(self.model_dump(mode="json", exclude={"budget"}), sort_keys=True, ensure_ascii=False)
        return "sha256:" + hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()

    def to_yaml(self) -> str:
        """The resolved settings as YAML that `load_settings` reads back."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        return text
