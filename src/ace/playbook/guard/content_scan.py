"""All checks of the guard on one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ace.playbook.guard.answer_leaks import copied_answers
from ace.playbook.guard.personal_data import personal_spans
from ace.playbook.guard.prompt_injection import instructions_in
from ace.playbook.guard.secrets import secret_spans
from ace.playbook.guard.sensitive_spans import mask
from ace.types import Sample


@dataclass(frozen=True, slots=True)
class Scan:
    """Why a content should not be in a playbook (no reasons: it may), and the content without secrets."""

    reasons: tuple[str, ...]
    masked: str


def scan(content: str, samples: Sequence[Sample] = (), all_samples: Sequence[Sample] = ()) -> Scan:
    """Look for instructions to the model, secrets, personal data, and the answers of `samples`.

    No reason repeats a secret or an answer. `all_samples` are the task's training samples: an answer that two of them
    share is a label.
    """
    secrets, personal = secret_spans(content), personal_spans(content)
    masked = mask(content, (*secrets, *personal))
    reasons = [f"secret: {span.name}" for span in secrets]
    reasons += [f"personal data: {span.name}" for span in personal]
    reasons += [f"instruction to the model: {excerpt!r}" for excerpt in instructions_in(masked)]
    reasons += [f"answer of training sample {name}" for name in copied_answers(content, samples, all_samples)]
    return Scan(tuple(dict.fromkeys(reasons)), masked)
