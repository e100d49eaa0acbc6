r"""Repair of single backslashes in JSON strings, as LaTeX brings them.

A JSON decoder reads the `\f` of `\frac` as a form feed, the `\t` of `\theta` as a tab, and refuses `\sqrt`. Models
write both, and a guided engine lets the first kind through.
"""

from __future__ import annotations

import re
from typing import Final

_COMMANDS: Final = """
    nabla natural ncong nearrow neg negthinspace neq newcommand newline newpage ngeq ngtr nleq nleftarrow
    nleftrightarrow nrightarrow noindent nolimits nonumber normalsize not notag notin nprec nsubseteq nsucc nsupseteq
    ntriangleleft ntrianglelefteq ntriangleright ntrianglerighteq nwarrow nLeftarrow nLeftrightarrow nRightarrow
    ngeqq ngeqslant nicefrac nleqq nleqslant nobreak nocite normalfont nsubseteqq nsupseteqq nvdash nvDash null
    raggedright raise raisebox rangle rbrace rbrack rceil ref renewcommand restriction rfloor rgroup rho right
    rightarrow rightarrowtail rightharpoondown rightharpoonup rightleftarrows rightleftharpoons rightrightarrows
    rightsquigarrow rlap rm root rtimes rule rvert rVert
    tableofcontents tag tanh tau tbinom textdegree textstyle textwidth tfrac therefore theta thickapprox thicksim
    thinspace thispagestyle tilde times tiny title today toprule triangle triangledown triangleleft trianglelefteq
    triangleq triangleright trianglerighteq ttfamily twoheadleftarrow twoheadrightarrow
"""
"""Commands of which the rest is no word, so that no line break or tab before it can be meant."""
_WITH_ARGUMENT: Final = """
    text textbf textcolor textgreater textit textless textmd textnormal textrm textsc textsf textsl textsubscript
    textsuperscript texttt textup
"""
"""Commands only before a brace: a line `\\text = 1` is an indented one of a program."""
_SHORT: Final = "ne ni nu tan to top"
"""Commands whose rest is a letter or syllable that can stand at the beginning of a line."""
_WORDS: Final = "nexists nless nmid nparallel nsim tt"
"""Commands whose rest is a word: only after a blank or an opening mark."""
_KINDS: Final = {word: kind for kind in (_COMMANDS, _WITH_ARGUMENT, _SHORT, _WORDS) for word in kind.split()}

_ESCAPE = re.compile(r"\\(?:\\|u[0-9a-fA-F]{4}|[A-Za-z]+|.)", re.DOTALL)
_UNICODE = re.compile("u[0-9a-fA-F]{4}")
_DOUBLED = re.compile(r"\\\\[A-Za-z]{2,}")
_ASSIGNED = re.compile(r"\s*(?:[-+*/:]?=(?!=)|\bin\b)")
_SENTENCE = re.compile(r" [a-z]{2,}")
_PATH = re.compile(r"""(?<![A-Za-z])[A-Za-z]:(?:\\[^\\"\s/:*?<>|,;]+)+""")
_PATH_FOR_SURE = re.compile(r"\\[^\\bfnrtu]|\.[A-Za-z0-9]{1,5}$")
_CONTROL = re.compile(r"[\x08\x0c](?=[A-Za-z])|[\t\n\r]([A-Za-z]{3,})")
_LETTERS: Final = {"\x08": "b", "\x0c": "f", "\t": "t", "\n": "n", "\r": "r"}


def double_backslashes(text: str) -> str:
    r"""JSON text in which every backslash that begins no escape of JSON, or begins a LaTeX command, stands twice.

    `\b` always, and `\f` before a letter: nobody means a backspace or a form feed. `\n`, `\r` and `\t` where the word
    that they begin is a command, or in a path of Windows. Of the few that are also a letter after a line break (`\nu`),
    those are line breaks that are assigned to, or are in a text that doubles its backslashes elsewhere. `\'` is left
    alone.
    """
    if "\\" not in text:
        return text
    doubled = _DOUBLED.search(text) is not None

    def escape(match: re.Match[str]) -> str:
        written = match.group()
        word = written[1:]
        if word in ("\\", '"', "/", "'", "f") or _UNICODE.fullmatch(word):
            return written
        if word[0] in "nrt":
            return f"\\{written}" if _is_command(word, text, match.span(), doubled=doubled) else written
        return f"\\{written}"

    return _ESCAPE.sub(escape, _PATH.sub(_double_path, text))


def _double_path(match: re.Match[str]) -> str:
    r"""A path like `C:\Users\new`, told from lines after `A:` by a name that is no escape, or by a file's ending."""
    path = match.group()
    return path.replace("\\", "\\\\") if _PATH_FOR_SURE.search(path) else path


def restore_commands(text: str) -> str:
    """A decoded text in which control characters that spell a LaTeX command with what follows are that command."""
    if text.isprintable():
        return text

    def command(match: re.Match[str]) -> str:
        letter = _LETTERS[match.group()[0]]
        rest = match.group(1) or ""
        is_command = letter in "bf" or _is_command(letter + rest, text, match.span(), doubled=True)
        return f"\\{letter}{rest}" if is_command else match.group()

    return _CONTROL.sub(command, text)


def _is_command(word: str, text: str, span: tuple[int, int], *, doubled: bool) -> bool:
    """Return True if the escape at `span` of `text`, with the first letter of `word`, is the LaTeX command `word`.

    `doubled` says that the text writes line breaks with one backslash and commands with two.
    """
    start, end = span
    kind = _KINDS.get(word)
    if kind is _COMMANDS:
        return True
    if kind is _WITH_ARGUMENT:
        return text[end : end + 1] == "{"
    if kind is None and word[0] == "r":
        return len(word) > 3 and word.islower() and not doubled  # a carriage return has a line feed behind it
    if kind is None or doubled:
        return False
    if kind is _WORDS:
        return text[start - 1 : start] in tuple(' "$({')
    if _ASSIGNED.match(text, end):
        return False
    return word != "ni" or not _SENTENCE.match(text, end)
