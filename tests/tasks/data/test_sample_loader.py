"""Samples from files: what is read, and that every bad file is refused with its line and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.config import FieldSettings
from ace.errors import DataError
from ace.tasks.data.sample_loader import load_samples, samples_from
from ace.types import Sample

FIELDS = FieldSettings()
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        load_samples(path, options.pop("fields", FIELDS), **options)
    assert str(path) in str(caught.value)
    return caught.value


class TestJsonl:
    def test_fields_and_default_ids(self, write: Write) -> None:
        path = write('{"question": "q", "target": "t"}\n{"id": "b", "question": "r", "target": "u", "context": "c"}\n')
        assert load_samples(path, FIELDS) == (
            Sample("data-1", "q", "t"),
            Sample("b", "r", "u", "c"),
        )

    def test_a_byte_order_mark_crlf_and_blank_lines(self, write: Write) -> None:
        path = write(b'\xef\xbb\xbf{"question": "q", "target": "t"}\r\n\r\n  \n{"question": "r", "target": "t"}')
        assert [(s.id, s.question) for s in load_samples(path, FIELDS)] == [
            ("data-1", "q"),
            ("data-4", "r"),
        ]

    def test_line_separators_inside_text_do_not_cut_it(self, write: Write) -> None:
        path = write('{"question": "a\u2028b\x85c", "target": "t"}\n')
        assert load_samples(path, FIELDS)[0].question == "a\u2028b\x85c"

    def test_numbers_become_text(self, write: Write) -> None:
        path = write('{"id": 0, "question": 7, "target": 2.50}\n')
        assert load_samples(path, FIELDS) == (Sample("0", "7", "2.5"),)

    def test_fields_by_other_names(self, write: Write) -> None:
        fields = FieldSettings(id="key", question="ask", target="gold", context="passage")
        path = write('{"key": "k", "ask": "q", "gold": "t", "passage": "c", "context": "unused"}\n')
        assert load_samples(path, fields) == (Sample("k", "q", "t", "c"),)

    def test_a_context_that_is_the_question_is_not_shown_twice(self, write: Write) -> None:
        path = write('{"context": "q", "target": "t"}\n')
        assert load_samples(path, FieldSettings(question="context")) == (Sample("data-1", "q", "t"),)

    @pytest.mark.parametrize(
        ("line", "field", "message"),
        [
            ('{"target": "t"}', "question", "missing: every sample needs a question; this record has target"),
            ('{"question": " ", "target": "t"}', "question", "every sample needs a question"),
            ("{}", "question", "this record has no fields"),
            ('{"question": "q"}', "target", "every sample needs a target"),
            ('{"question": "q", "target": ""}', "target", "every sample needs a target"),
            ('{"question": {"a": 1}, "target": "t"}', "question", "found an object, allowed: text or a number"),
            ('{"question": "q", "target": ["t"]}', "target", "found a list, allowed: text or a number"),
            ('{"question": "q", "target": true}', "target", "found a boolean, allowed: text or a number"),
            ('{"question": "q", "target": NaN}', "target", "found nan, allowed: text or a finite number"),
            ('{"question": "q", "target": 1e999}', "target", "found inf"),
            ('{"question": "q", "target": "t", "context": {}}', "context", "found an object"),
            ('{"question": "q", "target": "t", "id": []}', "id", "found a list"),
            ('{"question": "\\ud800", "target": "t"}', "question", "surrogate"),
            ('{"id": "first", "question": "q", "target": "t"}', "id", "'first' was used on line 1 already"),
        ],
    )
    def test_a_bad_record(self, write: Write, line: str, field: str, message: str) -> None:
        path = write('{"id": "first", "question": "q", "target": "t"}\n\n' + line + "\n")
        error = refused(path)
        assert (error.facts["line"], error.facts["field"]) == (3, field)
        assert f"{path}:3: field '{field}': " in str(error)
        assert message in str(error)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("{'question': 1}", "not JSON"),
            ('{"question": "q"', "not JSON"),
            ("[" * 100_000, "not JSON"),
            ('{"question": ' + "9" * 10_000 + "}", "not JSON"),
            ('["q", "t"]', "a sample is a JSON object, found a list"),
            ("null", "a sample is a JSON object"),
        ],
    )
    def test_a_line_that_is_no_record(self, write: Write, line: str, message: str) -> None:
        path = write('{"question": "q", "target": "t"}\n' + line + "\n")
        error = refused(path)
        assert error.facts["line"] == 2
        assert f"{path}:2: {message}" in str(error)


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert "no such data file" in str(refused(tmp_path / "nowhere.jsonl"))

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "cannot be read" in str(refused(tmp_path))

    @pytest.mark.parametrize("content", ["", "\n\r\n  \n"])
    @pytest.mark.parametrize("format", ["jsonl", "csv"])
    def test_empty(self, write: Write, content: str, format: str) -> None:
        assert "no samples" in str(refused(write(content), format=format))

    def test_not_utf8_names_the_line(self, write: Write) -> None:
        error = refused(write(b'{"question": "q", "target": "t"}\n{"question": "\xe9", "target": "t"}\n'))
        assert error.facts["line"] == 2
        assert "not UTF-8: byte 0xe9" in str(error)


class TestCsv:
    def test_quotes_commas_and_lines_in_cells(self, write: Write) -> None:
        path = write('\ufeff\r\nquestion,target,context\r\n"a, b","1,000",\r\n\r\n"two\r\nlines",t,c\r\n', "data.csv")
        assert load_samples(path, FIELDS, format="csv") == (
            Sample("data-3", "a, b", "1,000"),
            Sample("data-5", "two\r\nlines", "t", "c"),
        )

    @pytest.mark.parametrize(
        ("content", "line", "message"),
        [
            ("ask,target\nq,t\n", 1, "no column 'question'; this file has ask, target"),
            ("question,gold\nq,t\n", 1, "no column 'target'; this file has question, gold"),
            ("question,target,target\nq,t,u\n", 1, "column 'target' stands twice"),
            ("question,target\nq,t\nq,t,u\n", 3, "3 cells in 2 columns"),
            ("question,target\nq,t\nq\n", 3, "field 'target': missing"),
            ("question,target\n,t\n", 2, "field 'question': missing"),
            ('question,target\nq,t\n"q,t\nr,t\n', 3, "not CSV"),
        ],
    )
    def test_what_is_wrong(self, write: Write, content: str, line: int, message: str) -> None:
        path = write(content, "data.csv")
        error = refused(path, format="csv")
        assert error.facts["line"] == line
        assert f"{path}:{line}: {message}" in str(error)

    def test_a_header_alone_is_empty(self, write: Write) -> None:
        assert "no samples" in str(refused(write("question,target\n", "data.csv"), format="csv"))


_VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({})
)


@given(st.lists(st.dictionaries(st.sampled_from(["id", "question", "target", "context"]), _VALUES), max_size=4))
def test_any_records_give_clean_samples_or_a_data_error(records: list[dict[str, Any]]) -> None:
    decoded = [json.loads(json.dumps(record)) for record in records]
    try:
        samples = samples_from(enumerate(decoded, 1), FIELDS, source="x.jsonl", stem="x")
    except DataError as error:
        assert str(error).startswith(f"x.jsonl:{error.facts['line']}: field '{error.facts['field']}': ")
        return
    assert len({sample.id for sample in samples}) == len(records)
    for sample in samples:
        assert sample.question.strip() and sample.target is not None
        (sample.question + sample.target + sample.context).encode("utf-8")
