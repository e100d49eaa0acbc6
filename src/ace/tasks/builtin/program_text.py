"""Extraction of the Python program from an answer."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from typing import Final, NamedTuple

from ace._util.python_source import parse_python, syntax_error_line

_FENCE = re.compile(r"[ \t>]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)")
_PYTHON_TAG = re.compile(r"\{?\.?(?:python|py|ipython|sage)[\d.]*\}?", re.IGNORECASE)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_ON_ONE_LINE = re.compile(
    r"^[ \t]*```(?:python\d?|py\d?)?[ \t]+(\S[^\n]*?)[ \t]*```[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_MARKERS = re.compile(r"\[/?PYTHON\]|\[BEGIN\]|\[DONE\]|</?(?:code|python|answer|solution)>", re.IGNORECASE)
"""Text that the prompts of published benchmarks put around a program."""
_CODE_LINE = re.compile(r"(?:async\s+def|def|class)\s+\w|(?:from\s+[\w.]+\s+)?import\s+\w|@\w|\w+\s*=[^=]")
_FUTURE = re.compile(r"^from __future__ import .*\n?", re.MULTILINE)
_TRIES: Final = 5
"""Limit of the beginnings of code, and of the ends for each, that are tried to separate it from prose."""


class _Block(NamedTuple):
    """The inside of a fence, and the words behind its opening."""

    info: str
    text: str


def find_program(answer: str) -> str:
    """The Python source in `answer`: its blocks of Python if it has fences, closed or not, else what is no prose.

    Blocks of other languages are left out, and so are those that do not define anything where another one does: they
    show how the program is used.
    """
    answer = _ON_ONE_LINE.sub("```python\n\\1\n```", _MARKERS.sub("\n```\n", answer))
    blocks = [block for block in _blocks(answer) if block.text.strip()]
    python = [block.text for block in blocks if _PYTHON_TAG.fullmatch(_tag(block))]
    untagged = [block.text for block in blocks if not _tag(block)]
    sources = python or [text for text in untagged if _parses(text)] or untagged
    if not sources:
        return _without_prose(_unescaped(answer))
    if len(sources) > 1:
        whole = [text for text in sources if _parses(text)] or sources
        sources = [text for text in whole if _defines(text)] or whole
    program = "\n\n".join(_unescaped(text) for text in sources)
    if not _parses(program) and len(fences := list(_FENCE_LINE.finditer(answer))) > 2:
        outermost = textwrap.dedent(answer[fences[0].end() : fences[-1].start()])  # with fences in a docstring
        program = outermost if _parses(outermost) else program
    return _without_main(program)


def complete_program(code: str, prompt: str, entry_point: str) -> str:
    """`code` with the lines of an open function's `prompt`.

    Where it does not define `entry_point`, it is the rest of that function, else it gets the prompt's imports and
    helpers.
    """
    if re.search(rf"\bdef\s+{re.escape(entry_point)}\b", code):
        code, future = _FUTURE.sub("", code), "".join(_FUTURE.findall(code))
        return f"{future}{_preamble(prompt, entry_point)}{code}"
    bodies = (code, textwrap.indent(textwrap.dedent(code), "    "), f"    {code.lstrip()}")
    wholes = [f"{prompt.rstrip()}\n{body}" for body in bodies]
    return next((whole for whole in wholes if _fills(whole, entry_point)), f"{prompt}{code}")


def _fills(program: str, entry_point: str) -> bool:
    """Return True if `entry_point` has a body in `program`, and nothing of it was left outside."""
    tree = _tree(program)
    if tree is None or any(isinstance(node, ast.Return) for node in tree.body):
        return False
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(
        node.name == entry_point and len(node.body) > (ast.get_docstring(node) is not None) for node in functions
    )


def _preamble(prompt: str, entry_point: str) -> str:
    """The text before the open function: imports, constants, helpers."""
    begin = re.search(rf"^(?:@.*\n)*(?:async\s+)?def\s+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    preamble = prompt[: begin.start()] if begin else ""
    return f"{preamble.rstrip()}\n\n" if preamble.strip() and _parses(preamble) else ""


def _blocks(answer: str) -> Iterator[_Block]:
    """Fenced blocks. The last one need not be closed; a closing mark may also stand behind code, or have no opening."""
    mark, info = "", ""
    closes_alone = _closes_alone(answer)
    lines: list[str] = []
    outside: list[str] = []
    for line in answer.replace("\r\n", "\n").split("\n"):
        fence = _FENCE.fullmatch(line.rstrip())
        if not mark and fence is None:
            outside.append(line)
        elif not mark and fence is not None:
            info = fence["info"].strip()
            if not info and closes_alone and _parses("\n".join(outside)):
                yield _Block("python", "\n".join(outside))
                return
            mark, lines = fence["mark"], []
            first = info.partition(" ")
            if first[2] and _PYTHON_TAG.fullmatch(first[0]) and _parses(first[2]):
                lines = [first[2]]
        elif fence is not None and not fence["info"].strip() and fence["mark"].startswith(mark):
            yield _Block(info, _dedented(lines))
            mark, outside = "", []
        elif line.rstrip().endswith(mark) and fence is None:
            yield _Block(info, _dedented([*lines, line.rstrip().removesuffix(mark)]))
            mark, outside = "", []
        else:
            lines.append(line)
    if mark:
        yield _Block(info, _dedented(lines))


def _closes_alone(answer: str) -> bool:
    """Return True if the only fence of an answer closes the prompt's."""
    return len(_FENCE_LINE.findall(answer)) == 1 and not _FENCE_LINE.match(answer.lstrip())


def _tag(block: _Block) -> str:
    return block.info.split(" ")[0].split(",")[0] if block.info else ""


def _dedented(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)) + "\n"


def _unescaped(code: str) -> str:
    r"""Code whose line breaks were escaped twice, with line breaks."""
    if "\n" in code.strip() or "\\n" not in code or _parses(code):
        return code
    plain = code.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"')
    return plain if _parses(plain) else code


def _without_prose(answer: str) -> str:
    """The lines from the first to the last that are a program; all of them where none are."""
    if _parses(answer):
        return _without_main(answer)
    lines = answer.split("\n")
    starts = [number for number, line in enumerate(lines) if _CODE_LINE.match(line)]
    for begin in starts[:_TRIES]:
        end = len(lines)
        for _ in range(_TRIES):
            source = "\n".join(lines[begin:end])
            if (wrong := syntax_error_line(source)) is None:
                break
            end = min(begin + wrong, end) - 1
        if end > begin and _parses(source):
            return _without_main(source)
    return answer


def _without_main(code: str) -> str:
    """`code` without `if __name__ == "__main__":` at its end, which would run it as a script before its tests."""
    tree = _tree(code)
    if tree is None:
        return code
    lines = code.split("\n")
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" and not node.orelse:
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(lines)


def _defines(code: str) -> bool:
    tree = _tree(code)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return tree is not None and any(isinstance(node, kinds) for node in tree.body)


def _parses(code: str) -> bool:
    return _tree(code) is not None


def _tree(code: str) -> ast.Module | None:
    tree = parse_python(code)
    return tree if isinstance(tree, ast.Module) else None
