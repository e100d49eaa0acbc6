"""Baselines in the same harness: examples in the prompt, and a full rewrite of the playbook.

Both fill the playbook in other ways. Rendering, budgets, evaluation and the store are the same for all methods.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ace._util.hashing import derive_seed
from ace.engine.context import RunContext
from ace.engine.learning.curation import CuratedBatch, Curator
from ace.engine.learning.sample_result import SampleResult
from ace.playbook import Add, Delta, Playbook, Provenance, Remove, apply, dedup_delta
from ace.playbook.render import render
from ace.roles import Reflection
from ace.types import Sample

EXAMPLES = "shots"
"""Slug of the section that holds the examples of a playbook without sections."""


def few_shot(context: RunContext, playbook: Playbook, samples: Sequence[Sample], *, batch: int) -> CuratedBatch:
    """Fill the playbook with questions and their answers (in-context learning), as many as the token budget allows.

    No model is called. The run's seed decides the order of the samples.
    """
    order = [sample for sample in samples if sample.target is not None]
    random.Random(derive_seed(context.settings.seed, "examples")).shuffle(order)
    prompts = [context.task.prompt(sample) for sample in order]
    shared = len({material for _, material in prompts}) == 1  # what all samples share is not part of an example
    texts = [
        " ".join(f"{question if shared or not material else f'{material} {question}'} => {sample.target}".split())
        for sample, (question, material) in zip(order, prompts, strict=True)
    ]
    operations: list[Add] = []
    section = playbook.sections[-1].slug if playbook.sections else EXAMPLES
    for sample, text in zip(order, texts, strict=True):
        provenance = Provenance(run=context.run, batch=batch, sample=sample.id, role="curator", model="")
        operations.append(Add(section=section, content=text, reason="an example", provenance=provenance))
    return _as_many_as_fit(context, playbook, operations)


def _as_many_as_fit(context: RunContext, playbook: Playbook, operations: Sequence[Add]) -> CuratedBatch:
    """Apply as many of `operations`, from the first, as the token budget allows."""
    budget = context.token_budget

    def fits(count: int) -> bool:
        filled = apply(playbook, Delta(tuple(operations[:count]))).playbook
        return budget is None or context.count_tokens(render(filled, context.pack.formats)) <= budget

    low, high = 0, len(operations)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    delta = Delta(tuple(operations[:low]))
    applied = apply(playbook, delta)
    return CuratedBatch(applied.playbook, delta, applied.skipped, ())


async def rewrite(
    context: RunContext, playbook: Playbook, results: Sequence[SampleResult], *, batch: int
) -> CuratedBatch:
    """Rewrite the whole playbook after a batch, as Dynamic Cheatsheet does (arXiv 2504.07952).

    The curator sees an empty playbook and, as insights, all bullets and all insights of the batch. Bullets that it
    leaves out are lost. Where its answer cannot be parsed, the old playbook stays.
    """
    curator = Curator(context, playbook, results, batch=batch)
    insightful = [result for result in results if result.reflections and result.reflections[-1].key_insight.strip()]
    if not insightful:
        return curator.unchanged()
    blank = Playbook.empty(sections=playbook.sections)
    bullets = [Reflection(key_insight=bullet.content) for bullet in playbook.bullets]
    proposed = await curator.propose(
        blank,
        context.render(blank),
        [*bullets, *(result.reflections[-1] for result in insightful)],
        touched=(),
        samples=[result.sample for result in insightful],
        number=0,
    )
    written = Delta(tuple(operation for operation in proposed.operations if isinstance(operation, Add)))
    if not written.operations:
        return curator.unchanged()
    written = curator.guard.admit(blank, written)
    if context.settings.playbook.dedup.enabled:
        written = dedup_delta(blank, written, context.embedder, context.settings.playbook.dedup.threshold).delta
    removed = tuple(Remove(id=bullet.id, reason="rewritten") for bullet in playbook.bullets)
    return curator.apply(Delta((*removed, *written.operations)))
