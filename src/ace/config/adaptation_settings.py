"""`adaptation:` - the loop."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ace.config.strict_model import Settings, refused

Labels = Literal["given", "none", "forbidden"]
Method = Literal["ace", "rewrite", "icl", "empty"]


class EarlyStopSettings(Settings):
    """When reflecting on a sample ends before `max_rounds`; off by default, as in the paper's loop.

    `cosine`, `phrases` and `structure` are the least similarity of two insights in a row, `patience` how often in a
    row. With `duplicates` an insight that dedup would drop ends it. With `min_helpful` a right answer is not reflected
    on if each bullet that it cites was tagged helpful at least that often, and never harmful. `tokens` limits the cost
    of one sample's reflections and retries, prompt and completion together; it is exceeded by one call at most.
    """

    enabled: bool = False
    cosine: float = Field(default=0.9, ge=0.0, le=1.0)
    phrases: float = Field(default=0.6, ge=0.0, le=1.0)
    structure: float = Field(default=0.7, ge=0.0, le=1.0)
    patience: int = Field(default=2, ge=1)
    duplicates: bool = True
    min_helpful: int | None = Field(default=2, ge=1)
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
    """Signals in the place of labels. An answer whose form the task finds wrong is tried again.

    With `consistency` an answer counts as right if at least the share `accept` of the drawn ones equal it, and as wrong
    up to `reject`. With `agreement` it counts as right if the other model answers the same, else as wrong. Where both
    are set, both must agree.
    """

    form: bool = True
    """Use the task's observation of an answer as a signal: its form, or the output of its code."""
    consistency: ConsistencySettings | None = None
    agreement: AgreementSettings | None = None


class AdaptationSettings(Settings):
    """The loop. `curator_groups: auto` curates the reflections of a batch in about the square root of their number.

    With `reflect_together` above 1, the samples of each target that a first answer of the batch missed are reflected on
    together, up to that many in one call, and the phrases that tell them from other targets become one insight.
    `max_rounds: 0` leaves out the reflections on each of them alone.

    With `curation: append` no curator is asked: each insight becomes a bullet as it is, and dedup and trials decide.

    With `try_bullets` up to that many samples of a batch are answered once more behind its new and changed bullets,
    before these are committed. One whose citing answers correct no more samples than they break, and are not all right,
    is left out, and counted with the skipped operations.

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
    reflect_together: int = Field(default=1, ge=1)
    try_bullets: int = Field(default=0, ge=0)
    curation: Literal["model", "append"] = "model"
    curator_groups: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    curator_reduce: bool = False
    validate_each_epoch: bool = True
    labels: Labels = "given"
    signals: SignalSettings = SignalSettings()
    shuffle: bool = True

    @property
    def has_labels(self) -> bool:
        """True if the loop may learn from targets."""
        return self.labels == "given"

    @model_validator(mode="after")
    def _signals_without_labels(self) -> Self:
        for name in ("consistency", "agreement"):
            if self.labels == "given" and getattr(self.signals, name) is not None:
                raise refused(
                    f"signals.{name}", "settings", "not supported with labels 'given': the grade is the signal"
                )
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
