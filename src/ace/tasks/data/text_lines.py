"""Lines of text files with detection of the encoding: UTF-8, UTF-16, UTF-32, Windows-1252."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ace.errors import DataError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK: Final = 1 << 20
_EXAMINED: Final = 16 * _CHUNK
"""Bytes of a file without a byte order mark that are read to detect its encoding."""
_WESTERN: Final = frozenset("€‚„…†‡‰‹‘’“”•–—™›¡£§©«®°±´·»¿×÷")
_OF_OTHERS: Final = frozenset("ðÐþÞýÝŠšŽžŸƒˆ˜")
"""Letters that are rare in the west, and other letters in the code pages of Turkey, central Europe and the Mac."""
_OTHER_WORDS = re.compile("[^\\W\\d_\x00-\x7f]{4}|[A-Za-z][‚„]")
"""Letters without accent hardly occur in what is no Latin script; low quotes open a quotation."""


def read_lines(path: Path, *, newline: str | None, windows: bool = False) -> Iterator[str]:
    """The lines with their ends, split where `open` splits them with `newline`.

    The encoding is that of a byte order mark, else UTF-8, or UTF-16 where every other byte is zero. With
    `windows` a file that is not UTF-8 is read as Windows-1252 where that gives plausible words. DataError names the
    line.
    """
    line = 0
    encoding = "utf-8"
    try:
        encoding = _encoding(path, windows=windows)
        with path.open(encoding=encoding, newline=newline) as file:
            for text in file:
                line += 1
                yield text
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file", path=str(path)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", path=str(path)) from error
    except UnicodeError as error:
        line, problem = _first_undecodable(path) if encoding.startswith("utf-8") else (line + 1, str(error))
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise DataError(
            f"{path}:{line}: not {name}: {problem}", hint="save the file as UTF-8", path=str(path), line=line
        ) from error


def _encoding(path: Path, *, windows: bool) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if len(head) >= 4 and head[first::2].count(0) > len(head) // 4 > head[1 - first :: 2].count(0):
                return name
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        examined = b""
        try:
            while len(examined) < _EXAMINED and (chunk := file.read(_CHUNK)):
                examined += chunk
                decoder.decode(chunk)
        except UnicodeDecodeError:
            return "cp1252" if windows and _is_western(examined) else "utf-8-sig"
    return "utf-8-sig"


def _is_western(text: bytes) -> bool:
    """Return True if bytes read as Windows-1252 look like words of a language of western Europe."""
    try:
        decoded = text.decode("cp1252")
    except UnicodeDecodeError:
        return False
    special = [character for character in decoded if character > "\x7f"]
    if any(character in _OF_OTHERS for character in special) or _OTHER_WORDS.search(decoded):
        return False
    inside = re.findall("(?<=[A-Za-z])[\x80-\uffff](?=[A-Za-z])", decoded)
    return all(unicodedata.category(c) in ("Ll", "Lu") or c in _WESTERN or c in "\xa0²³ªº½¼" for c in special) and all(
        unicodedata.category(c) in ("Ll", "Lu") or c in "’´·–—" for c in inside
    )


def _first_undecodable(path: Path) -> tuple[int, str]:
    """The line, and the byte; the decoder itself knows only where it stood in its buffer."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return number, f"byte {line[error.start]:#04x}"
    raise AssertionError(f"{path} changed while it was read")
