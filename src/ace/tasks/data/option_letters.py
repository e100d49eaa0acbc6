"""The letter of an option in an answer."""

from __future__ import annotations

import re
from typing import Final

from ace.tasks.data.numbers_in_text import stated_answer
from ace.tasks.data.text_folding import fold_text, without_markup

_LOOK_ALIKES: Final = str.maketrans("АВЕКМНОРСТХΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEKMHOPCTXABEZHIKMNOPTX")
"""Cyrillic and Greek capitals that look like Latin ones, which the options have."""
_LETTER: Final = r"""(?:[(\[{<"'【]\s*([A-Za-z])\s*[)\]}>"'】]|([A-Za-z])(?![\w'’]))"""
"""In brackets (the first group) or bare (the second)."""
_ENDS = re.compile(
    r"""\s*(?:$|[\n\t.,;:)\]}>"'|。、]|=(?=\s)|-(?=\s)|(?<=\s)-|\([^()]*\)[\s.]*$"""
    r"|(?<=\s)(?:because|since|as|for|is|which|due|considering|given|weil|parce|porque)\b|因为)",
    re.IGNORECASE,
)
_NOUN: Final = (
    r"(?:answer|option|choice|response|solution|letter|ans|antwort|lösung|réponse|respuesta|risposta|resposta|ответ"
    r"|答案|选项|正解|答え|回答|정답|답|الإجابة|उत्तर)"
)
_IS: Final = r"(?:is|would be|should be|must be|ist|est|es|è|é|应该是|应为|是|为|は)"
_PHRASE = re.compile(
    rf"(?:{_NOUN}[\"']?\s*(?:{_IS}\s*)?(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:(?:option|choice|letter|answer)\s+)?"
    rf"(?:{_IS}\s*)?[:=\-]*\s*"
    r"|\bi\s+(?:would\s+)?(?:choose|pick|select|go with)\s+(?:option\s+|choice\s+)?"
    r"|[选選]\s*)" + _LETTER,
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"\b(?:it(?:'s|\s+is)|must\s+be|so|therefore|thus|hence)[,:]?\s+(?:option\s+|choice\s+)?" + _LETTER + r"\W*$",
    re.IGNORECASE,
)
_AT_THE_END = re.compile(r"[^()]*\(([A-Z])\)()\W*")
_ONLY = re.compile(r"(?:[^\w+#&=]|_)*([A-Za-z])(?:[^\w+#&=]|_)*")
_TAG = re.compile(r"</?[A-Za-z_]{2,20}>")
_FIRST = re.compile(r"\W*?(?:\d+[.)]\s*)?" + _LETTER)
_ALSO = re.compile(r"\s*(?:,|;|/|&|\b(?:and|or|und|oder|et|ou|y|o)\b|和|或)\s*[(\[]?[A-HJ-Z][)\]]?(?![\w'’])")
_WORDS: Final = frozenset("aiAI")


def option_letter(text: str) -> str | None:
    r"""The option that `text` names, as a capital; None where it names none, or several.

    What the answer marks as its result (`\boxed{B}`) counts first, then the last words such as `The answer is B`,
    then a letter with which the text ends (`So it is B.`) or begins. An `a` or `I` that goes on as a sentence is a
    word.
    """
    stated, plain = _folded(stated_answer(text)), _folded(text)
    if (only := _ONLY.fullmatch(stated)) is not None:
        return only[1].upper()
    for match in reversed(list(_PHRASE.finditer(plain))):
        ends = _ENDS.match(plain, match.end()) is not None
        if match[1] or ends or (match[2].isupper() and match[2] not in _WORDS):
            return _capital(match, plain)
    if (last := _CONCLUSION.search(plain) or _AT_THE_END.fullmatch(plain)) is not None:
        return _capital(last, plain)
    first = _FIRST.match(stated)
    if first is None or not (first[1] or _ENDS.match(stated, first.end())):
        return None
    after = stated[first.end() :].lstrip(" ")[:1]
    if first[2] and not first[2].isupper() and after not in ("", ".", ")", ":", "\n"):
        return None
    return _capital(first, stated)


def _folded(text: str) -> str:
    return fold_text(without_markup(_TAG.sub(" ", text))).translate(_LOOK_ALIKES).strip()


def _capital(match: re.Match[str], text: str) -> str | None:
    return None if _ALSO.match(text, match.end()) else (match[1] or match[2]).upper()
