"""Check before an engine is loaded that the prompts fit into the models' contexts."""

from __future__ import annotations

from pathlib import Path

from ace.config import ModelSettings, PlaybookSettings, RunSettings
from ace.engine.run_inputs import RunInputs
from ace.errors import ConfigError
from ace.inference.model_files.hub import local_folder
from ace.inference.model_files.model_folder import context_limit
from ace.inference.text.chat_encoder import ChatEncoder
from ace.inference.text.token_counter import PlainTokenizer
from ace.playbook import render
from ace.types import ROLES, RoleName

_LOCAL = ("auto", "vllm", "huggingface")


def check_contexts(settings: RunSettings, inputs: RunInputs) -> None:
    """ConfigError where the task's instructions, a role's prompt without a sample, or a whole playbook fill a context.

    Models whose context or tokenizer is not known here are left to their engines: those of endpoints, and folders
    without a tokenizer.json.
    """
    for role in ROLES:
        name = settings.engine_of(settings.roles.of(role).model)
        model = settings.models[name]
        if model.provider not in _LOCAL:
            continue
        try:
            folder = local_folder(model)
        except ImportError:  # the start of the engine reports what is not installed
            continue
        limit = context_limit(folder, model)
        if limit is not None:
            _check_budget(settings.playbook, name, limit)
            _check_role(inputs, role, name, _Counter(folder, model), limit)


def _check_budget(playbook: PlaybookSettings, name: str, limit: int) -> None:
    budget = playbook.budget(limit)
    if budget is not None and budget >= limit and playbook.working_set is None:
        raise ConfigError.at(
            "playbook.token_budget",
            budget,
            f"auto, or fewer than models.{name} holds with its answer, {limit}",
            hint=f"lower it, or raise models.{name}.max_model_len if the model allows it",
        )


def _check_role(inputs: RunInputs, role: RoleName, name: str, counter: _Counter, limit: int) -> None:
    instructions = getattr(inputs.task, "instructions", "")
    if counter.fills(instructions, limit):
        raise ConfigError.at(
            "task.instructions",
            f"{counter.count(instructions)} tokens",
            f"fewer than models.{name} holds with its answer, {limit}",
            hint=f"shorten them, or raise models.{name}.max_model_len if the model allows it",
        )
    template = inputs.pack.templates[role]
    values = dict.fromkeys(template.placeholders, "")
    prefix = render(inputs.playbook, inputs.pack.formats)
    text = "\n".join(message.content for message in inputs.pack.messages(role, prefix, {"reflection": "", **values}))
    if counter.fills(text, limit):
        parts = f"pack '{inputs.pack.name}' with {len(inputs.playbook.bullets)} bullets"
        raise ConfigError.at(
            f"models.{name}.max_model_len",
            limit,
            f"more than {counter.count(text)}, the tokens of a {role}'s prompt before any sample ({parts})",
        )


class _Counter:
    """Counts with the model's own tokenizer, which is loaded only for texts that could fill the context."""

    def __init__(self, folder: str, model: ModelSettings) -> None:
        self._file = Path(model.engine_args.get("tokenizer", folder)) / "tokenizer.json"

    def fills(self, text: str, limit: int) -> bool:
        """Return True if `text` fills a context of `limit` tokens. A token has at least one byte."""
        return len(text.encode("utf-8", "replace")) >= limit and self._file.is_file() and self.count(text) >= limit

    def count(self, text: str) -> int:
        return ChatEncoder(PlainTokenizer(self._file)).count(text)
