"""The tables of a store, for queries. `migrations.py` creates them; a test compares the two.

Every id is a number within its run, so that a run's rows are the same in every database. `step` 0 of
`playbook_versions` is the initial playbook, step i + 1 that of batch i; edits by people follow their step as `edit` 1,
2 and so on. A call or an outcome belongs to a batch or to an evaluation, never to both; a call that belongs to neither
yet is in the journal. Long texts are the last columns, because SQLite then reads the columns before them without the
texts' pages.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Double, Integer, MetaData, Table, Text

from ace.store.columns import JsonText, SafeText, UtcTime

metadata = MetaData()


def _usage_columns() -> list[Column[Any]]:
    """New columns for the fields of a `Usage`."""
    counts = ("drafted_tokens", "accepted_tokens", "draft_steps", "reasoning_tokens", "estimated_tokens")
    return [
        *(Column(name, Integer, nullable=False) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")),
        Column("queue_s", Double),
        Column("ttft_s", Double),
        Column("total_s", Double, nullable=False),
        *(Column(name, Integer, nullable=False) for name in counts),
    ]


migrations = Table(
    "schema_migrations",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("applied", UtcTime, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", SafeText, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("finished", UtcTime),
    Column("ace_version", Text, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("settings_digest", Text, nullable=False),
    Column("task", SafeText, nullable=False),
    Column("task_digest", Text, nullable=False),
    Column("pack", SafeText, nullable=False),
    Column("pack_digest", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("summary", JsonText),
    Column("best_version", Integer),
    Column("error", SafeText),
    Column("notes", JsonText),
    Column("owner_token", Text),
    Column("owner_pid", Integer),
    Column("owner_host", SafeText),
    Column("owner_process", Text),
    Column("owner_heartbeat", UtcTime),
    Column("control", Text),
    Column("paused", UtcTime),
)

batches = Table(
    "batches",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("compacted", Boolean, nullable=False),
    Column("window_info", JsonText, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime, nullable=False),
    Column("errors", JsonText),
)

playbook_versions = Table(
    "playbook_versions",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("edit", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("batch", Integer),
    Column("created", UtcTime, nullable=False),
    Column("author", SafeText),
    Column("digest", Text, nullable=False),
    Column("bullets", Integer, nullable=False),
    Column("delta", JsonText, nullable=False),
    Column("skipped", JsonText, nullable=False),
    Column("playbook", JsonText, nullable=False),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("label", SafeText, nullable=False),
    Column("split", SafeText, nullable=False),
    Column("playbook_version", Integer, nullable=False),
    Column("after_batch", Integer),
    Column("n", Integer, nullable=False),
    Column("correct", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime, nullable=False),
    Column("metrics", JsonText),
)

calls = Table(
    "calls",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("batch", Integer),
    Column("evaluation", Integer),
    Column("role", Text, nullable=False),
    Column("sample_id", SafeText),
    Column("round", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("model", SafeText, nullable=False),
    *_usage_columns(),
    Column("finish_reason", Text, nullable=False),
    Column("from_cache", Boolean, nullable=False),
    Column("escalated", Text),
    Column("parsed", Boolean, nullable=False),
    Column("error", SafeText),
    Column("text", SafeText, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("batch", Integer),
    Column("evaluation", Integer),
    Column("position", Integer, nullable=False),
    Column("sample_id", SafeText, nullable=False),
    Column("status", Text, nullable=False),
    Column("value", Double),
    Column("correct", Boolean),
    Column("rounds", Integer, nullable=False),
    Column("first_correct", Boolean),
    Column("stop", Text),
    Column("retried_in", Integer),
    Column("error", SafeText),
    Column("answer", SafeText, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("attempts", Integer, nullable=False),
    *_usage_columns(),
    Column("finish_reason", Text, nullable=False),
    Column("from_cache", Boolean, nullable=False),
    Column("escalated", Text),
    Column("text", SafeText, nullable=False),
)

completions = Table(
    "completions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("created", UtcTime, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("text", SafeText, nullable=False),
)

prompts = Table(
    "prompts",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("messages", JsonText, nullable=False),
)

prompt_texts = Table(
    "prompt_texts",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("text", SafeText, nullable=False),
)

credits = Table(
    "credits",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("probe", Text, primary_key=True),
    Column("bullet", SafeText, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("measured", UtcTime, nullable=False),
    Column("split", SafeText, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("effect", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("p_corrected", Double, nullable=False),
    Column("lost", Integer, nullable=False),
    Column("gained", Integer, nullable=False),
    Column("content", SafeText, nullable=False),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("request_id", SafeText, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("question", SafeText, nullable=False),
    Column("answer", SafeText, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("request_id", SafeText, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("correct", Boolean),
    Column("score", Double),
    Column("text", SafeText, nullable=False),
    Column("expected", SafeText),
)
