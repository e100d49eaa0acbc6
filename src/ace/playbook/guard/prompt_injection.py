"""Instructions in a text that would change the model's role. Bullets are instructions, too: the patterns are narrow.

What makes the difference is whom an instruction is about: the task ("ignore rows without a date") or the model, its
prompt and its rules ("ignore all previous instructions"). A bullet that quotes such a sentence is found like one that
means it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ORDERS: Final = r"(?:instructions?|prompts?|directives?|guidelines?)"
_DROP: Final = r"(?:ignore|disregard|forget|override|bypass|discard|do not follow|don't follow|stop following)"
_EARLIER: Final = r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|original|initial|system|former|existing)"
_FILLER: Final = r"(?:(?:all|any|every|each|of|the|your|my|our|these|those|its|other|given|stated|and|or) ){0,6}"
_TELL: Final = (
    r"(?:reveal|print|show|output|repeat|display|disclose|leak|expose|dump|recite|summari[sz]e|tell me|give me|share"
    r"|write(?: out)?|spell out|quote|echo)"
)
_HOW: Final = r"(?:(?:me|us|out|back|verbatim|exactly|all|of|everything in|word for word|first|again|now) ){0,4}"
_WHICH: Final = r"(?:(?:full|entire|complete|exact|own|initial|original|hidden|secret|internal|current|previous) ){0,3}"
_TO_YOU: Final = (
    r"(?:(?:^|[.!?:;\n\"'`(>-] ?|\bplease |\bnow )(?:and |then |now |just )?"
    r"|\byou (?:must |should |will |shall |now |can |are to |have to |need to ){1,3})"
)

_PHRASES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_DROP} {_FILLER}{_EARLIER} {_FILLER}(?:{_EARLIER} )?(?:\w+ )?{_ORDERS}\b",
        rf"\b{_DROP} {_FILLER}{_ORDERS} (?:above|before this|so far|(?:that )?you (?:were|have been|are|got|received))",
        rf"\b{_DROP} (?:all|your|any and all) (?:of )?(?:your )?{_ORDERS}\b"
        r"(?! (?:in|inside|within|from|that|which|contained|embedded|found|given|about|for|on|of|with|hidden)\b)",
        rf"\b{_DROP} (?:all|any|your|the)(?: of)?(?: your| the)? (?:safety|content|ethical|moral|openai|anthropic) "
        r"(?:\w+ )?(?:rules|guidelines|polic(?:y|ies)|filters?|constraints|restrictions|training|standards)",
        rf"\b{_DROP} your (?:programming|training|rules|restrictions|role|persona|safeguards|guardrails|policy)\b",
        r"\b(?:forget|disregard) (?:everything|anything|all) (?:above|before|prior|you|i|we|that you|said|written)\b",
        r"\bignore (?:everything|anything|all|what) (?:that )?(?:you|i|we|the user|the system) "
        r"(?:were|was|have|has|had|said|told|know|learned)",
        r"\byou(?: are|'re) now (?:an?|the|called|named|known as|acting|playing|my|no longer|unrestricted|jailbroken"
        r"|free (?:from|of|to)|in \w+ mode|(?-i:[A-Z]\w+))\b",
        r"\byou(?: are|'re) no longer (?:an? (?:\w+ )?(?:AI|assistant|(?:language )?model|chatbot|generator|reflector"
        r"|curator)|(?:bound|restricted|limited|constrained) by (?:your|any|the|these) (?:\w+ )?"
        r"(?:rules|guidelines|restrictions|instructions|polic(?:y|ies)|programming|training))",
        r"\bfrom now on,? you(?:'re| are| (?:will|must|should|shall) (?:only |always |never )?"
        r"(?:be|act|behave|answer|respond|reply|obey|speak|ignore))\b",
        r"\bpretend (?:that )?you(?:'re| are)\b|\bpretend to be (?:an?|the|my) (?:\w+ ){0,2}"
        r"(?:AI|assistant|human|model|hacker|admin\w*|developer|user|person)\b",
        rf"{_TO_YOU}(?:always )?act as (?:(?:an?|my) \w|if you (?:are|were|had|have)\b|the (?:\w+ )?"
        r"(?:AI|assistant|model|user|system|admin\w*|developer|human|root)\b)(?!\w* last resort)",
        rf"{_TO_YOU}(?:assume|adopt|take on|play) the (?:role|persona|identity|character) of\b",
        r"\brole-?play(?:ing)? as\b",
        r"\byour (?:new|true|real|actual) (?:role|identity|persona|instructions|system prompt|goal|name|purpose) "
        r"(?:is|are|will be)\b",
        r"(?:^|\n) ?new (?:system )?instructions? ?:",
        rf"\b{_TELL} {_HOW}your {_WHICH}(?:system )?(?:instructions?|prompts?|guidelines|directives|system message)\b",
        rf"\b{_TELL} {_HOW}(?:(?:the|this) )?{_WHICH}(?:system|hidden|developer|secret) (?:prompt|instructions)\b",
        r"\b(?:my|your|new|updated|real|actual) system prompt\b|\bsystem prompt(?: ?:| (?:override|update)\b)",
        r"\byou have no (?:restrictions|rules|limits|limitations|guidelines|filters?|safeguards)\b",
        r"\bdo anything now\b",
    )
)
_HEADERS: Final = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|\*\*|\[)?(?:system|assistant|human)(?:[ \t]+(?:message|prompt))?[ \t]*(?:\]|\*\*)?[ \t]*:"
    r"|^[ \t]*#{2,6}[ \t]*(?:instructions?|response|user|developer|tool)[ \t]*:"
    r"|</?(?:system|assistant|human|system[-_ ]?prompt|system[-_]reminder)>",
    re.IGNORECASE | re.MULTILINE,
)
_CONTROL_TOKENS: Final = re.compile(
    r"<\|[a-z][a-z0-9_▁ -]{1,40}\|>"  # ChatML, Llama 3, Phi, gpt-oss, Command R; DeepSeek's bars are folded to these
    r"|<\|turn>|<turn\|>|</?(?:start|end)_of_turn>"  # Gemma
    r"|\[/?INST\]|<</?SYS>>"  # Llama 2, Mistral
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]",  # Mistral
    re.IGNORECASE,
)
_EXCERPT: Final = 60


def instructions_in(text: str) -> list[str]:
    """Excerpts of `text` that address the model's role: at most 60 characters each, each once."""
    folded = _fold(text)
    flat = "\n".join(" ".join(line.split()) for line in folded.split("\n"))
    spaced = " ".join(folded.split())
    excerpts = [match.group() for pattern in (_HEADERS, _CONTROL_TOKENS) for match in pattern.finditer(flat)]
    excerpts += [match.group() for pattern in _PHRASES for text in (spaced, flat) for match in pattern.finditer(text)]
    return list(dict.fromkeys(_excerpt(match) for match in excerpts))


def _fold(text: str) -> str:
    """`text` with look-alikes of compatibility folded and invisible characters left out: nothing hides in a phrase."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(char for char in folded if unicodedata.category(char) != "Cf").replace("’", "'")


def _excerpt(match: str) -> str:
    line = " ".join(match.split()).lstrip(".!?:;(>\"'`- ")
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
