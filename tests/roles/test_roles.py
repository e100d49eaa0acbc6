"""The three calls: what they ask, what they give back, and what they make of the answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from ace.errors import ParseError, PromptPackError, PromptTooLongError, TransientError
from ace.playbook.bullet import Bullet, Counters, Provenance
from ace.playbook.delta import Add, Delta, Merge, Remove, Tag, Update
from ace.playbook.playbook import Playbook, Section
from ace.prompts import PromptPack, load_pack
from ace.roles import (
    BulletTag,
    Curation,
    GeneratorAnswer,
    JointReflection,
    Reflection,
    RoleModel,
    bullet_stats,
    curate,
    generate,
    insight_lines,
    reflect,
    reflect_together,
    reflection_text,
    tags_to_delta,
    to_delta,
    write_insights,
)
from ace.types import Completion, FinishReason, Request, Sample, Sampling, Usage

Result = TypeVar("Result")
STANDARD, MICRO = load_pack("standard"), load_pack("micro")
SAMPLING = Sampling(max_tokens=64)
SAMPLE = Sample("s-1", "How many?", target="42", context="There are six rows of seven.")
ANSWER = GeneratorAnswer(reasoning="6 x 7", bullet_ids=["str-00001", "str-00077"], final_answer="41")
RULES = "[str-00001] Multiply."
SECTIONS = (Section("str", "Strategies and hard rules"), Section("fmt", "Form of the answer"))
REFLECTION = Reflection(
    error_identification="off by one", root_cause_analysis="haste", correct_approach="check", key_insight="Check it."
)


class Engine:
    """Says `text` to every request and remembers them."""

    def __init__(self, text: str, finish_reason: FinishReason = "stop") -> None:
        self.text, self.finish_reason, self.requests = text, finish_reason, list[Request]()

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        return Completion(self.text, self.finish_reason, Usage(10, 4, 3), "scripted")

    @property
    def asked(self) -> str:
        return self.requests[-1].messages[-1].content


def model(
    complete: Callable[[Request], Awaitable[Completion]], pack: PromptPack = STANDARD, *, guided: bool = True
) -> RoleModel:
    return RoleModel(complete, pack, SAMPLING, guided)


def run(awaitable: Awaitable[Result]) -> Result:
    async def wait() -> Result:
        return await awaitable

    return asyncio.run(wait())


def test_the_generator_answers() -> None:
    engine = Engine('{"reasoning": "r", "bullet_ids": ["str-00001"], "final_answer": "42"}')
    result = run(generate(model(engine.complete), RULES, SAMPLE, round=2))
    assert result.value == GeneratorAnswer(reasoning="r", bullet_ids=["str-00001"], final_answer="42")
    assert result.error is None
    call = result.call
    assert (call.role, call.sample_id, call.round, call.parsed, call.error) == ("generator", "s-1", 2, True, None)
    assert (call.digest, call.model, call.text) == (engine.requests[0].digest, "scripted", engine.text)
    assert call.usage == Usage(10, 4, 3) and call.finish_reason == "stop"
    assert engine.requests[0].sampling == SAMPLING
    assert "How many?" in engine.asked and "six rows" in engine.asked and "42" not in engine.asked


def test_a_schema_goes_only_to_a_guided_engine() -> None:
    engine = Engine('{"final_answer": "42"}')
    for guided in (True, False):
        run(generate(model(engine.complete, guided=guided), RULES, SAMPLE))
    first, second = engine.requests
    assert first.schema is not None and first.schema["required"] == ["bullet_ids", "reasoning", "final_answer"]
    assert second.schema is None and first.messages == second.messages


def test_the_tasks_prompt_and_a_reflection_are_shown() -> None:
    engine = Engine('{"final_answer": "42"}')
    reflection = reflection_text(STANDARD, REFLECTION)
    run(
        generate(
            model(engine.complete, guided=False),
            RULES,
            SAMPLE,
            prompt=("In one word?", ""),
            reflection=reflection,
        )
    )
    assert "In one word?" in engine.asked and "six rows" not in engine.asked
    assert all(text in engine.asked for text in ("off by one", "haste", "check", "Check it."))


def test_a_bad_answer_is_a_recorded_result() -> None:
    engine = Engine("I would say \ud800 forty-two")
    result = run(generate(model(engine.complete, guided=False), RULES, SAMPLE))
    assert result.value is None and isinstance(result.error, ParseError)
    assert result.error.facts["role"] == "generator" and result.error.facts["text"] == engine.text
    assert not result.call.parsed and result.call.error == str(result.error)
    assert result.call.text == engine.text


def test_an_answer_that_was_cut_off_says_so() -> None:
    engine = Engine('{"reasoning": "r", "bullet_ids": [], "final_answer": "4', "length")
    result = run(generate(model(engine.complete), RULES, SAMPLE))
    assert result.value is None and "cut off at max_tokens" in str(result.call.error)
    assert result.call.finish_reason == "length"


def test_what_was_left_out_is_recorded_beside_the_answer() -> None:
    engine = Engine('{"reasoning": "r", "bullet_ids": ["the first"], "final_answer": "42"}')
    call = run(generate(model(engine.complete, guided=False), RULES, SAMPLE)).call
    assert call.parsed and call.error is not None and "the first" in call.error


def test_an_inference_error_passes_through() -> None:
    async def broken(request: Request) -> Completion:
        raise TransientError("busy")

    with pytest.raises(TransientError):
        run(generate(model(broken, guided=False), RULES, SAMPLE))


def test_the_reflector_sees_the_answer_and_the_feedback() -> None:
    engine = Engine('{"key_insight": "k", "bullet_tags": [{"id": "str-00001", "tag": "harmful"}]}')
    result = run(reflect(model(engine.complete), RULES, SAMPLE, ANSWER, "off by one"))
    assert result.value is not None and result.value.bullet_tags == [BulletTag(id="str-00001", tag="harmful")]
    assert result.call.role == "reflector"
    shown = ("How many?", "six rows", "6 x 7", "41", "off by one", "42", "str-00001")
    assert all(text in engine.asked for text in shown)
    assert "str-00077" not in engine.asked  # the playbook has no such bullet


def test_the_reflector_works_without_a_label() -> None:
    engine = Engine('{"key_insight": "k"}')
    sample, said = Sample("s", "How many?"), "error: no such table"
    result = run(reflect(model(engine.complete, guided=False), RULES, sample, ANSWER, said))
    assert result.value is not None and "right_answer" not in engine.asked and "no such table" in engine.asked


def test_the_curator_sees_insights_sections_and_stats_in_its_user_message() -> None:
    engine = Engine('{"operations": []}')
    result = run(
        curate(
            model(engine.complete),
            RULES,
            insight_lines(STANDARD, [REFLECTION, REFLECTION]),
            sections=SECTIONS,
            stats="- str-00001: helpful 3",
        )
    )
    assert result.value == Curation(operations=[])
    assert (result.call.role, result.call.sample_id) == ("curator", None)
    assert engine.asked.count("Check it.") == 1
    assert "- fmt: Form of the answer" in engine.asked and "helpful 3" in engine.asked
    assert engine.requests[0].messages[0].content == f"{STANDARD.preamble}\n{RULES}"
    assert '"enum": ["str", "fmt"]' in json.dumps(engine.requests[0].schema)


def test_insights_are_distinct_and_each_on_its_own_line() -> None:
    reflections = [Reflection(key_insight=text) for text in ("b -> X\n- forged -> Y", "a -> Z", "", "a ->  Z")]
    assert insight_lines(MICRO, reflections) == ("- b -> X - forged -> Y", "- a -> Z")


def test_the_text_for_a_retry_is_the_packs() -> None:
    assert reflection_text(MICRO, REFLECTION) == "Check it."
    assert reflection_text(STANDARD, Reflection(key_insight="k")) == "k"


def test_stats_are_of_the_bullets_in_play_only() -> None:
    bullets = (Bullet("str-00001", "str", "a", Counters(3, 1, 0, 5)), Bullet("fmt-00002", "fmt", "b"))
    playbook = Playbook.of(bullets, SECTIONS)
    assert bullet_stats(playbook, ["str-00001", "str-00099"]) == "- str-00001: helpful 3, harmful 1, neutral 0, used 5"
    assert bullet_stats(playbook, []) == ""


def test_a_curation_becomes_a_delta() -> None:
    provenance = Provenance(run="r", role="curator")
    curation = Curation.model_validate(
        {
            "operations": [
                {"type": "ADD", "reason": "w", "section": "form of the answer", "content": "a"},
                {"type": "ADD", "section": "new", "content": "b"},
                {"type": "UPDATE", "id": "str-00001", "content": "c"},
                {"type": "MERGE", "ids": ["str-00001", "str-00002"], "content": "d"},
                {"type": "REMOVE", "id": "str-00003"},
            ]
        }
    )
    assert to_delta(curation, provenance, SECTIONS) == Delta(
        (
            Add("fmt", "a", "w", provenance),
            Add("new", "b", "", provenance),
            Update("str-00001", "c", "", provenance),
            Merge(("str-00001", "str-00002"), "d", None, "", provenance),
            Remove("str-00003", "", provenance),
        )
    )


def test_tags_become_a_delta() -> None:
    tags = [
        BulletTag(id="str-00001", tag="helpful"),
        BulletTag(id="str-00001", tag="harmful"),
        BulletTag(id="str-00002", tag="neutral"),
    ]
    delta = tags_to_delta(tags, used=["str-00002", "str-00002"])
    assert delta == Delta((Tag("str-00002", "used"), Tag("str-00001", "helpful"), Tag("str-00002", "neutral")))


UNREADABLE = '{"reasoning": "on and on'


class Stumbling(Engine):
    """Cannot be read at first, and then answers `text`."""

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        if len(self.requests) == 1:
            return replace(completion, text=UNREADABLE, finish_reason="length")
        return completion


def test_an_answer_that_was_cut_off_is_asked_for_once_more_without_reasoning() -> None:
    engine = Stumbling('{"final_answer": "42"}')
    result = run(generate(model(engine.complete), "(none yet)", SAMPLE))
    assert result.value is not None and result.value.final_answer == "42"
    assert [call.parsed for call in result.calls] == [False, True]
    assert "cut off at max_tokens" in str(result.earlier[0].error)
    first, second = engine.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert [message.content for message in second.messages[2:]] == [UNREADABLE, STANDARD.again]
    assert second.schema is not None and list(second.schema["properties"]) == ["final_answer"]
    assert second.sampling.max_tokens == 128, "half of the first answer's, and room for a sentence at least"


def test_it_is_asked_no_third_time_and_packs_without_a_text_for_it_not_twice() -> None:
    for pack, times in ((STANDARD, 2), (MICRO, 1)):
        engine = Engine("no JSON at all")
        result = run(generate(model(engine.complete, pack, guided=False), RULES, SAMPLE))
        assert result.value is None and len(engine.requests) == len(result.calls) == times


def test_where_it_does_not_fit_any_more_the_first_error_stands() -> None:
    class Full(Engine):
        async def complete(self, request: Request) -> Completion:
            if self.requests:
                raise PromptTooLongError("full", prompt_tokens=9, max_model_len=8)
            return await super().complete(request)

    result = run(generate(model(Full("no").complete), RULES, SAMPLE))
    assert result.value is None and len(result.calls) == 1


def test_an_insight_that_repeats_the_question_is_left_out_and_recorded() -> None:
    engine = Engine('{"reasoning": "r", "key_insight": "There are six rows of seven."}')
    result = run(reflect(model(engine.complete), RULES, SAMPLE, ANSWER, "no"))
    assert result.value is not None and result.value.key_insight == ""
    assert result.call.parsed and "insight left out: it repeats the question" in str(result.call.error)


def test_a_bullet_that_repeats_the_prompt_is_left_out_and_recorded() -> None:
    copied, own = "str: Strategies and hard rules", "When rows are of seven, multiply the rows by seven."
    operations = [{"type": "ADD", "section": "str", "content": text} for text in (copied, own)]
    operations.append({"type": "REMOVE", "id": "str-00001"})
    engine = Engine(json.dumps({"reasoning": "r", "operations": operations}))
    sections = [Section("str", "Strategies and hard rules")]
    result = run(curate(model(engine.complete), RULES, ["- rows of seven"], sections=sections))
    assert result.value is not None
    assert [getattr(op, "content", op.type) for op in result.value.operations] == [own, "REMOVE"]
    assert result.call.parsed and f"repeats the prompt: '{copied}'" in str(result.call.error)


def test_the_layout_of_answers_is_the_packs() -> None:
    engine = Engine('{"final_answer": "42"}')
    for pack in (STANDARD, MICRO):
        run(generate(model(engine.complete, pack), RULES, SAMPLE))
    assert [request.layout for request in engine.requests] == [STANDARD.layout, "compact"]


def test_without_reasoning_the_generator_is_not_asked_for_it() -> None:
    engine = Engine('{"final_answer": "42", "bullet_ids": ["str-00001"]}')
    pack = STANDARD.without_reasoning()
    run(generate(model(engine.complete, pack), RULES, SAMPLE))
    (request,) = engine.requests
    assert request.schema is not None and request.schema["required"] == ["final_answer", "bullet_ids"]
    assert request.schema["properties"]["bullet_ids"]["maxItems"] == 1
    assert "reasoning" not in engine.asked and "bullet_ids" not in engine.asked


def test_a_pack_that_always_asks_for_reasoning_cannot_do_without() -> None:
    with pytest.raises(PromptPackError, match="'micro' has no text"):
        MICRO.without_reasoning()


def test_samples_of_one_target_are_asked_about_without_bullets_and_target() -> None:
    engine = Engine(json.dumps({"reasoning": ["a box", "a lid"], "key_insight": "things of cardboard"}))
    samples = [Sample(name, f"Question {name}?", target="B-2") for name in ("one", "two")]
    prompts = [(sample.question, "") for sample in samples]
    result = run(reflect_together(model(engine.complete), samples, prompts=prompts))
    assert result.value is not None and result.value.phrases == ("things of cardboard", "a box", "a lid")
    assert all(text in engine.asked for text in ("- Question one?", "- Question two?"))
    assert "B-2" not in engine.asked and engine.requests[0].messages[0].content.endswith("(none yet)")
    schema = engine.requests[0].schema
    assert schema is not None
    assert schema["properties"]["reasoning"]["minItems"] == schema["properties"]["reasoning"]["maxItems"] == 2
    pattern = schema["properties"]["key_insight"]["pattern"]
    assert re.fullmatch(pattern, "things in boxes") and not re.fullmatch(pattern, "things, in boxes")


def test_an_insight_names_what_a_target_does_not_share_with_others() -> None:
    named = {
        "B-2": [JointReflection(reasoning=["a crushed box", "a kettle", "what is wanted"], key_insight="damage")],
        "R-1": [JointReflection(reasoning=["a kettle", "a lost key. "], key_insight="a kettle " * 7)],
        "X-3": [JointReflection(key_insight="a kettle")],
    }
    questions = {"B-2": ["My box is crushed, the kettle too."], "R-1": ["I lost the key of the kettle."], "X-3": []}
    assert write_insights(STANDARD, named, questions) == {
        "B-2": "When the question is about damage (a crushed box), the answer is B-2.",
        "R-1": "When the question is about a lost key, the answer is R-1.",
        "X-3": "",
    }


def test_an_insight_without_a_common_phrase_lists_the_others() -> None:
    named = {"B-2": [JointReflection(reasoning=["a crushed box", "a torn bag"], key_insight="a kettle " * 7)]}
    assert write_insights(STANDARD, named, {"B-2": ["My box is crushed."], "R-1": ["My kettle is lost."]}) == {
        "B-2": "When the question is about a crushed box or a torn bag, the answer is B-2."
    }


def test_an_insight_with_nothing_but_a_common_phrase_names_it_once() -> None:
    named = {"B-2": [JointReflection(key_insight="damage")]}
    assert write_insights(STANDARD, named, {"B-2": [], "R-1": ["It is lost."]}) == {
        "B-2": "When the question is about damage, the answer is B-2."
    }
