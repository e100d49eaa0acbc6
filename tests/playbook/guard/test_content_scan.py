"""What the guard finds in one content, what it leaves alone, and that nothing it says repeats a secret."""

from __future__ import annotations

import pytest
from guard_texts import BENIGN, INSTRUCTIONS, PERSONAL, SECRETS
from hypothesis import assume, given
from hypothesis import strategies as st

from ace.playbook.guard import scan
from ace.playbook.guard.sensitive_spans import Span, mask
from ace.types import Sample

FLAGGED = {**SECRETS, **PERSONAL}
_ALNUM = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_UPPER = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def _key(prefix: str, letters: st.SearchStrategy[str], size: int) -> st.SearchStrategy[str]:
    return st.lists(letters, min_size=size, max_size=size).map(lambda found: prefix + "".join(found))


keys = st.one_of(
    _key("AKIA", _UPPER, 16),
    _key("ghp_", _ALNUM, 36),
    _key("AIza", _ALNUM, 35),
    _key("sk-", _ALNUM, 48),
    _key("hf_", _ALNUM, 34),
    _key("glpat-", _ALNUM, 20),
    _key("SG." + "a1B2c3D4e5F6g7H8i9J0k1" + ".", _ALNUM, 43),
)
words = st.text("abcdefghij ,.\n:=", max_size=20)


@pytest.mark.parametrize("content", BENIGN)
def test_plain_advice_goes_in(content: str) -> None:
    assert scan(content).reasons == ()


@pytest.mark.parametrize("content", INSTRUCTIONS)
def test_instructions_to_the_model_are_found(content: str) -> None:
    found = scan(content)
    assert found.reasons and all(reason.startswith("instruction to the model: ") for reason in found.reasons)
    assert found.masked == content
    assert scan(f"Always check units.\n{content}").reasons


@pytest.mark.parametrize(("name", "value"), FLAGGED.items())
def test_secrets_and_personal_data_are_found_and_not_repeated(name: str, value: str) -> None:
    found = scan(f"Call the API with {value} first.")
    kind = "secret" if name in SECRETS else "personal data"
    assert found.reasons == (f"{kind}: {name}",)
    assert f"[masked: {name}]" in found.masked
    assert value not in found.masked
    assert found.masked.startswith("Call the API with ") and found.masked.endswith(" first.")
    assert scan(found.masked).reasons == ()


@given(keys, words, words)
def test_no_part_of_a_key_is_repeated(key: str, before: str, after: str) -> None:
    assume(len(set(key[8:])) > 8 and "example" not in key.casefold() and "placeholder" not in key.casefold())
    found = scan(f"{before} {key} {after}")
    assert any(reason.startswith("secret: ") for reason in found.reasons)
    said = found.masked.replace("[masked: ", "") + " ".join(found.reasons)
    tail = key[-16:]
    assert not any(tail[start : start + 6] in said for start in range(len(tail) - 5))


@given(st.text("ab \n", max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=5))
def test_masking_leaves_what_no_span_covers(text: str, places: list[tuple[int, int]]) -> None:
    spans = [Span(start, min(start + size, len(text)), "X") for start, size in places if start < len(text)]
    covered = {at for span in spans for at in range(span.start, span.end)}
    kept = "".join(char for at, char in enumerate(text) if at not in covered)
    assert mask(text, spans).replace("[masked: X]", "") == kept


@given(st.text(max_size=60))
def test_a_scan_is_total_and_settled_by_masking(content: str) -> None:
    found = scan(content)
    assert scan(content) == found
    assert not any(reason.startswith(("secret", "personal")) for reason in scan(found.masked).reasons)


@pytest.mark.parametrize(
    "content",
    [
        "DE90 3704 0044 0532 0130 00",  # check digits that are wrong
        "4539 5787 6362 1487",
        "1539 5787 6362 1486",  # no issuer
        "000-12-3456",
        "+1 234 567 890",
        "postgres://user:changeme@host/db",
    ],
)
def test_numbers_that_only_look_the_part_stay(content: str) -> None:
    assert scan(f"Use {content} here.").reasons == ()


def _sample(name: str, question: str, target: str) -> Sample:
    return Sample(name, question, target)


LONG = _sample("long", "What did the board decide?", "Convert the seller notes into common stock")
NUMBER = _sample("number", "What was the net revenue of Acme Holdings in fiscal 2019 in thousands?", "245.1")
LABEL = _sample("label", "Is it due?", "Debt instrument face amount")


@pytest.mark.parametrize(
    ("content", "sample"),
    [
        ("The board may convert the  SELLER notes\ninto common stock.", LONG),
        ("For the net revenue of Acme Holdings in fiscal 2019, in thousands, answer 245.1.", NUMBER),
        ("What was the net revenue of Acme Holdings in 2019? 245.1", NUMBER),
    ],
)
def test_answers_of_samples_are_found(content: str, sample: Sample) -> None:
    found = scan(content, [sample])
    assert found.reasons == (f"answer of training sample {sample.id}",)


@pytest.mark.parametrize(
    ("content", "sample"),
    [
        ("Growth from 245.1 to 260.2 is 6.2%.", NUMBER),
        ("For the net revenue of Acme Holdings in fiscal 2019, in thousands, answer 1,245.1.", NUMBER),
        ("For the net revenue of Acme Holdings in fiscal 2019 read table 3.", NUMBER),
        ("kujant -> KQT", _sample("micro", 'Code of "kujant brev"?', "KQT")),
        ("Say yes where it is due.", _sample("short", "Is it due?", "yes")),
        ("anything", _sample("empty", "q", "")),
        ("anything", Sample("none", "q", None)),
    ],
)
def test_short_targets_alone_are_none(content: str, sample: Sample) -> None:
    assert scan(content, [sample]).reasons == ()


def test_a_target_that_samples_share_is_a_label() -> None:
    content = "Use debt instrument face amount for the principal."
    assert scan(content, [LABEL]).reasons
    assert scan(content, [LABEL], [LABEL]).reasons
    assert not scan(content, [LABEL], [_sample("other", "And this?", LABEL.target or "")]).reasons


def test_a_question_in_a_common_form_is_found_by_its_own_words() -> None:
    form = (
        "Use the formula Current Ratio = Current Assets / Current Liabilities to answer with two decimals and no text: "
    )
    first = _sample("first", form + "a bakery lists its current assets at 90,000 and liabilities at 45,000", "2.0")
    second = _sample("second", form + "a printer owes 7,000 to its banks this year and holds 3,500", "0.5")
    common = (
        "Use the formula Current Ratio = Current Assets / Current Liabilities to answer with two decimals, as in 2.0"
    )
    assert not scan(common, [first], [first, second]).reasons
    own = "If a bakery lists its current assets at 90,000 and liabilities at 45,000 then say 2.0"
    assert scan(own, [first], [first, second]).reasons == ("answer of training sample first",)
