"""Every error that ace raises on purpose.

    AceError
    +-- ConfigError               a key or value of the settings is wrong
    +-- DataError                 a sample, data file or split is wrong
    +-- TaskError                 a task's own code failed
    +-- PlaybookError             a playbook or a delta is malformed
    |   +-- PlaybookFormatError   a playbook file cannot be read
    +-- PromptPackError           a prompt pack is missing or malformed
    +-- ParseError                a model's answer does not fit its schema
    +-- InferenceError            a provider could not do its work
    |   +-- ProviderMissingError  the provider's package is not installed
    |   +-- ProviderStartError    the engine or endpoint did not come up
    |   |   +-- ModelNotFoundError
    |   +-- EngineDeadError       the engine died under way
    |   +-- PromptTooLongError    the prompt does not fit the model's context
    |   +-- RequestRejectedError  the engine refuses this request for good
    |   |   +-- RequestQuarantinedError
    |   +-- TransientError        worth another try (timeout, 429, 5xx)
    +-- StoreError                the run store cannot do its work
    |   +-- RunNotFoundError
    |   +-- RunLockedError
    |   +-- RunNotRunningError
    |   +-- StoreVersionError
    +-- SandboxError              code of a model could not be run
    +-- InterruptedRunError       the user stopped the run; it can be resumed
    +-- BudgetReachedError        the run has spent what it may; it can be resumed with more

`retryable` says whether the same call may succeed later; `hint` says what the user can do. Every error survives
pickling: engines and runs may be in different processes. No message holds a secret, whoever wrote what it quotes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ace._util.masking import mask


class AceError(Exception):
    """Base of all. Subclasses take their facts as keyword arguments and build the message from them."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 2
    hint: str = ""

    def __init__(self, message: str, *, hint: str = "", **facts: Any) -> None:
        message = mask(message)
        super().__init__(message)
        self.message = message
        self.hint = mask(hint) if hint else type(self).hint
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.facts)


def _rebuild(cls: type[AceError], message: str, hint: str, facts: dict[str, Any]) -> AceError:
    error = cls.__new__(cls)
    AceError.__init__(error, message, hint=hint, **facts)
    return error


class ConfigError(AceError):
    """Settings are wrong. Facts: `key` (dotted path), `found`, `allowed`, `nearest`."""

    @classmethod
    def at(cls, key: str, value: object, allowed: str, *, nearest: str | None = None, hint: str = "") -> ConfigError:
        """The error for `value` at `key`.

        `allowed` describes the allowed values, or begins with "not supported" and says with what.
        """
        rule = allowed if allowed.startswith("not supported") else f"allowed: {allowed}"
        message = f"{key}: found {value!r}, {rule}"
        if nearest:
            message += f"; did you mean '{nearest}'?"
        return cls(message, hint=hint, key=key, found=value, allowed=allowed, nearest=nearest)

    def under(self, parent: str) -> ConfigError:
        """The same error, its key being one of the mapping at `parent`."""
        facts = self.facts
        key = f"{parent}.{facts['key']}"
        return ConfigError.at(key, facts["found"], facts["allowed"], nearest=facts["nearest"], hint=self.hint)


class DataError(AceError):
    """A data file, sample or split is wrong. Facts: `path`, `line` (1-based), `field`."""


class TaskError(AceError):
    """A function of a task raised something else than our errors. Facts: `sample`, `call`."""

    hint = "what was answered is kept: mend the task, then ace resume"


class PlaybookError(AceError):
    """A playbook or a delta breaks its rules."""


class PlaybookFormatError(PlaybookError):
    """A playbook file cannot be read. Facts: `path`, `line`."""


class PromptPackError(AceError):
    """A prompt pack is missing, incomplete or names an unknown placeholder."""


class ParseError(AceError):
    """A model's answer does not fit its schema. Facts: `text` (what it said), `role`."""


class InferenceError(AceError):
    """A provider could not do its work."""

    exit_code = 3


class ProviderMissingError(InferenceError):
    """The provider's package is not installed. Facts: `provider`, `package`, `command`."""


class ProviderStartError(InferenceError):
    """The engine or the endpoint did not come up."""


class ModelNotFoundError(ProviderStartError):
    """No model of that name or at that path."""


class EngineDeadError(InferenceError):
    """The engine died while requests were under way; what was committed is safe."""


class PromptTooLongError(InferenceError):
    """The prompt does not fit. Facts: `prompt_tokens`, `max_model_len`."""


class RequestRejectedError(InferenceError):
    """The engine refuses this request for good (bad schema, forbidden parameter)."""


class RequestQuarantinedError(RequestRejectedError):
    """The engine died of this request, twice. Facts: `digest`."""


class TransientError(InferenceError):
    """Worth another try: time-out, connection reset, HTTP 408, 429 and 5xx.

    Facts: `status`, `retry_after_s`, and `unreachable` where nobody answered at all.
    """

    retryable = True


class StoreError(AceError):
    """The run store cannot do its work (unwritable folder, disk full)."""


class RunNotFoundError(StoreError):
    """No run of that name in this store."""


class RunLockedError(StoreError):
    """Another process owns this run."""


class RunNotRunningError(StoreError):
    """No process runs this run, so that it cannot be paused or stopped. Facts: `run`, `status`."""


class StoreVersionError(StoreError):
    """The store or a file was written by another version of ace."""


class SandboxError(AceError):
    """The process for a model's code cannot be started: says nothing of the code."""


class InterruptedRunError(AceError):
    """The user stopped the run. Facts: `run`."""

    exit_code = 130


class BudgetReachedError(AceError):
    """The run has spent what it may. Facts: `key` (of the settings), `limit`, `spent`."""

    exit_code = 5
