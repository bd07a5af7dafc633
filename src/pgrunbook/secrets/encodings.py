"""How a secret may be written: as libpq, psycopg, pandas and Jupyter print it, one time over."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from urllib.parse import quote

from pgrunbook.secrets.patterns import MASK


def _bytes(character: str) -> bytes:
    """Return it in UTF-8. An environment variable that is not UTF-8 arrives with surrogates."""
    return character.encode("utf-8", "surrogatepass")


# Each works on a character at a time, so one that stands in a longer text is found whatever stands
# beside it.
_ENCODINGS: tuple[Callable[[str], str], ...] = (
    # a connection string as a URL, in the one spelling or in the other
    lambda c: quote(_bytes(c), safe=""),
    lambda c: re.sub("%..", lambda code: code[0].lower(), quote(_bytes(c), safe="")),
    lambda c: f"\\{c}" if c in "'\\" else c,  # libpq's keyword=value, and E'' of SQL
    lambda c: c * 2 if c == "'" else c,  # a literal of SQL
    # a traceback, a list in a frame; the quote is there so that the other one is escaped
    lambda c: repr('"' + c)[2:-1],
    lambda c: repr(b'"' + _bytes(c))[3:-1],  # libpq's options, as psycopg has them
    lambda c: json.dumps(c)[1:-1],
    lambda c: json.dumps(c, ensure_ascii=False)[1:-1],
    html.escape,
    lambda c: "&nbsp;" if c == " " else c,  # a frame of pandas
)


@cache
def _forms(character: str) -> frozenset[str]:
    """Return all that may stand for a character."""
    return frozenset({character, *(encode(character) for encode in _ENCODINGS)})


def _any(characters: Iterable[str]) -> str:
    """Return a regular expression for any form of one of these characters, the longest first; white
    space as such is none.
    """
    forms: set[str] = set()
    for character in characters:
        forms |= _forms(character)
    alternatives = []
    for form in sorted(forms, key=len, reverse=True):
        if not form.isspace():
            alternatives.append(_broken_form(form))
    return f"(?:{'|'.join(alternatives)})"


# What may stand wherever a line is too long, in the middle of an entity, too: an end of a line and
# an indentation, the codes that colour a traceback, the break that a frame of ours has in names.
_CODE = r"\[[\d;]*[A-Za-z]"
_BROKEN = rf"\s++|\x1b{_CODE}|<wbr>"


def _broken_form(form: str) -> str:
    """Return a regular expression for what stands for a character, broken anywhere. It takes time
    in proportion to the text: what breaks it is no part of a form.
    """
    return f"(?:{_BROKEN})*+".join(map(re.escape, form))


@cache
def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(_broken_form(form))


def _end_of(form: str, text: str, at: int) -> int:
    """Return the end of a form that stands there, or 0."""
    if text.startswith(form, at):
        return at + len(form)
    if len(form) == 1 or not text.startswith(form[0], at):
        return 0
    if found := _pattern(form).match(text, at):
        return found.end()
    return 0


# What may come between two characters of a secret, which may be written in any form itself.
_SPACE, _ESCAPE = _any(" \t\n\r"), _any("\x1b")
_BETWEEN = rf"\s++|{_SPACE}|{_ESCAPE}{_CODE}|<wbr>"


class EncodedSecret:
    """One secret, in whatever form it is written; `characters` are those that are not white
    space.
    """

    def __init__(self, secret: str) -> None:
        self.characters = "".join(secret.split())
        own_space = {character for character in secret if character.isspace()}
        between = _BETWEEN
        if own_space:
            between += f"|{_any(own_space)}"
        self._between = re.compile(between)
        # Only for the first characters: a regular expression for all of it would try every way to
        # read a long row of quotes or backslashes, and their number doubles with each.
        head = f"(?:{self._between.pattern}){{0,8}}".join(map(_any, self.characters[:6]))
        self._head = re.compile(head)

    def find(self, text: str, start: int = 0) -> tuple[int, int] | None:
        """Return where it stands first, from `start` on."""
        while candidate := self._head.search(text, start):
            start = candidate.start()
            if end := self._end(text, start):
                return start, end
            start += 1
        return None

    def _end(self, text: str, start: int) -> int:
        """Return the end of what begins here, or 0. All ways to read it are followed at once: a
        backslash may stand for itself, or before what it escapes.
        """
        ends = {start}
        for number, character in enumerate(self.characters):
            starts = ends
            if number:
                starts = self._next_starts(text, ends)
            ends = set()
            for form in _forms(character):
                ends.update(_end_of(form, text, at) for at in starts)
            ends.discard(0)
            if not ends:
                return 0
        return max(ends)

    def _next_starts(self, text: str, ends: set[int]) -> set[int]:
        """Return where the next character may begin."""
        reached, new = set(ends), list(ends)
        while new:
            skip = self._between.match(text, new.pop())
            if skip and skip.end() not in reached:
                reached.add(skip.end())
                new.append(skip.end())
        return reached

    def mask(self, text: str) -> str:
        """Return the text with a mask for each time that the secret stands in it."""
        parts, end = [], 0
        while found := self.find(text, end):
            begin, after = found
            parts += [text[end:begin], MASK]
            end = after
        return "".join([*parts, text[end:]])


SHORTEST = 8  # characters, white space not counted: anything shorter is found by chance
_LONGEST_WORD = 16  # letters


def is_distinctive(secret: str) -> bool:
    """Return whether a secret can be looked for wherever it may stand. One that is short, or an
    ordinary word, such as `wrong` or `Administrator`, stands in a record by chance.
    """
    if len("".join(secret.split())) < SHORTEST:
        return False
    one_word = secret.isalpha() and (secret.islower() or secret.isupper() or secret.istitle())
    return not (one_word and len(secret) <= _LONGEST_WORD)


def encoded_secrets(secrets: Iterable[str]) -> list[EncodedSecret]:
    """Return those that can be looked for: the longest first, so that none is masked in part only
    because another is a part of it.
    """
    found = [encoded_secret(secret) for secret in secrets if is_distinctive(secret)]
    return sorted(found, key=lambda secret: len(secret.characters), reverse=True)


def holds(text: str, secrets: Iterable[str]) -> bool:
    """Return whether a text holds one of the secrets, in whatever form, as far as it can be looked
    for.
    """
    return any(secret.find(text) for secret in encoded_secrets(secrets))


@lru_cache
def encoded_secret(secret: str) -> EncodedSecret:
    """Return the secret, kept: its regular expressions take a while to make."""
    return EncodedSecret(secret)
