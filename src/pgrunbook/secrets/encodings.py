"""How a secret may be written: quoted, escaped, percent-encoded, broken into lines, in Base64, and
that twice over.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus

from pgrunbook.secrets.patterns import MASK


def _bytes(character: str) -> bytes:
    """In UTF-8. An environment variable that is not UTF-8 arrives with surrogates in it."""
    return character.encode("utf-8", "surrogatepass")


# Each works on a character at a time, so one that stands in a longer text is found whatever stands
# beside it.
_ENCODINGS: tuple[Callable[[str], str], ...] = (
    lambda c: quote(_bytes(c), safe=""),
    lambda c: re.sub("%..", lambda code: code[0].lower(), quote(_bytes(c), safe="")),
    lambda c: quote_plus(_bytes(c)),
    lambda c: repr('"' + c)[2:-1],  # the quote is there so that the other one is escaped
    lambda c: ascii('"' + c)[2:-1],
    lambda c: repr(b'"' + _bytes(c))[3:-1],
    lambda c: json.dumps(c)[1:-1],
    lambda c: json.dumps(c, ensure_ascii=False)[1:-1],
    lambda c: c * 2 if c in "'\"" else c,  # SQL, CSV
    lambda c: f"\\{c}" if c in "'\"\\/" else c,  # libpq, E'' of SQL, JavaScript
    lambda c: c if c != "'" else "'\"'\"'",  # a shell
    html.escape,
    lambda c: c if c.isascii() and c.isalnum() else f"&#{ord(c)};",
    lambda c: f"&{codepoint2name[ord(c)]};" if ord(c) in codepoint2name else c,
    lambda c: _bytes(c).decode("latin-1"),  # UTF-8 that was taken for Latin-1
)
_DEPTH = 3  # the `repr` of an error that quotes a URL inside JSON


@cache
def _forms(character: str) -> frozenset[str]:
    """All that may stand for a character after up to three encodings."""
    forms = {character}
    for _ in range(_DEPTH):
        forms |= {"".join(map(encode, form)) for form in forms for encode in _ENCODINGS}
    return frozenset(forms)


def _any(characters: Iterable[str], but: str = "") -> str:
    """A regular expression for any form of one of these characters, the longest first; white space
    as such is none.
    """
    forms = {
        form
        for character in characters
        for form in _forms(character)
        if form != but and not form.isspace()
    }
    return "(?:" + "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) + ")"


# What may come between two characters of a secret: line ends and indentation, ANSI's colour codes,
# a new element of a list, a new literal, a tag.
_SPACE, _LINE_END, _ESCAPE = _any(" \t\n\r\xa0"), _any("\n\r"), _any(("\x1b",))
_COLOUR = rf"{_ESCAPE}{_any('[')}(?:\d|{_any(';')})*[A-Za-z]"
_QUOTE, _COMMA = _any("'\""), _any(",")
_TAG = r"</?(?:a|b|br|code|em|font|i|mark|span|strong|u|wbr)\b[^<>]*+>"
_BETWEEN = rf"\s++|{_COLOUR}|{_SPACE}|{_QUOTE}(?:{_COMMA}|\s|{_SPACE}){{0,4}}{_QUOTE}|{_TAG}"


# What stands for two letters of Base64, and what may break it into lines.
_ESCAPED = r"(?=[%&\\\x1b])"  # looked at first, as it is quicker
_PLUS, _SLASH = re.compile(_ESCAPED + _any("+", "+")), re.compile(_ESCAPED + _any("/", "/"))
_WRAP = re.compile(rf"{_ESCAPED}(?:{_COLOUR}|{_LINE_END})")


class Disguised:
    """One secret, in whatever form it is written; `characters` are those that are not white
    space.
    """

    def __init__(self, secret: str) -> None:
        self.characters = "".join(secret.split())
        own_space = {character for character in secret if character.isspace()}
        self._between = re.compile(f"{_BETWEEN}|{_any(own_space)}" if own_space else _BETWEEN)
        # A regular expression for all of it could take for ever, where quotes or backslashes come
        # in long rows.
        head = f"(?:{self._between.pattern}){{0,8}}".join(map(_any, self.characters[:6]))
        self._head = re.compile(head)

    def find(self, text: str, start: int = 0) -> tuple[int, int] | None:
        """Where it stands first, from `start` on."""
        while candidate := self._head.search(text, start):
            start = candidate.start()
            if end := self._end(text, start):
                return start, end
            start += 1
        return None

    def _end(self, text: str, start: int) -> int:
        """The end of what begins here, or 0."""
        ends = {start}
        for number, character in enumerate(self.characters):
            starts = ends if number == 0 else self._skipped(text, ends)
            ends = {
                at + len(form)
                for form in _forms(character)
                for at in starts
                if text.startswith(form, at)
            }
            if not ends:
                return 0
        return max(ends)

    def _skipped(self, text: str, ends: set[int]) -> set[int]:
        """Where the next character may begin."""
        reached, new = set(ends), set(ends)
        while new:
            new = {match.end() for at in new if (match := self._between.match(text, at))} - reached
            reached |= new
        return reached

    def masked(self, text: str) -> str:
        """The text with a mask for each time that the secret stands in it."""
        parts, start = [], 0
        while found := self.find(text, start):
            parts += [text[start : found[0]], MASK]
            start = found[1]
        return "".join([*parts, text[start:]])


SHORTEST = 8  # characters, white space not counted: anything shorter is found by chance
_LONGEST_WORD = 16  # letters


def distinctive(secret: str) -> bool:
    """Whether a secret can be looked for wherever it may stand. One that is short, or an ordinary
    word, such as `wrong` or `Administrator`, stands in a record by chance.
    """
    if len("".join(secret.split())) < SHORTEST:
        return False
    one_word = secret.isalpha() and (secret.islower() or secret.isupper() or secret.istitle())
    return not (one_word and len(secret) <= _LONGEST_WORD)


def searched(secrets: Iterable[str]) -> list[Disguised]:
    """Those that can be looked for: the longest first, so that none is masked in part only because
    another is a part of it.
    """
    found = [disguised(secret) for secret in secrets if distinctive(secret)]
    return sorted(found, key=lambda secret: len(secret.characters), reverse=True)


def holds(text: str, secrets: Iterable[str]) -> bool:
    """Whether a text holds one of the secrets, in whatever form, as far as it can be looked for."""
    wanted = [secret for secret in searched(secrets) if len(secret.characters) <= len(text)]
    shortest = min((len(secret.characters) for secret in wanted), default=0)
    return bool(wanted) and any(
        secret.find(view) for view in views(text, shortest) for secret in wanted
    )


@lru_cache
def disguised(secret: str) -> Disguised:
    """The search for this secret; making one takes 20 ms if it has many special characters."""
    return Disguised(secret)


def views(text: str, shortest: int) -> Iterator[str]:
    """The text as it is, and with its lines joined, as a line may end within an escape; what it
    holds in Base64, and what that holds in Base64, of secrets of at least so many characters.
    """
    joined = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", "".join(text.split()))
    decoded = _decoded([joined, _unescaped(joined)], shortest * 4 // 3)
    yield from (text, joined, decoded, _decoded(["".join(decoded.split())], shortest * 4 // 3))


def _unescaped(text: str) -> str:
    """The text with whatever stands for a letter of Base64, or ends a line of it, written out."""
    if any(sign in text for sign in "%\\&"):
        text = _WRAP.sub("", _SLASH.sub("/", _PLUS.sub("+", text)))
    return text


def _decoded(texts: Iterable[str], shortest: int) -> str:
    """Whatever may be Base64, decoded as if it began at each of four places, as one never knows
    where.
    """
    # In the letters of URLs too.
    runs = (run for text in texts for run in re.findall(rf"[\w+/-]{{{shortest},}}", text, re.ASCII))
    return "\0".join(_bytes_of(run[start:]) for run in dict.fromkeys(runs) for start in range(4))


def _bytes_of(run: str) -> str:
    """As Latin-1, which has a character for each byte."""
    run = run.replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(f"{run[:-1] if len(run) % 4 == 1 else run}==").decode("latin-1")
