"""The header of a SQL file: the comments at its top, up to the first line that is not one. A line
`-- key: value` in it says how the file is to be run, or what it is for. Which values a key takes is
in `header_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pgrunbook.errors import Problem, did_you_mean

HEADER_KEYS = (
    "title",
    "why",
    "requires",
    "fills",
    "proves",
    "usage",
    "transaction",
    "batch",
    "until",
    "give way",
    "skip",
    "accepts",
    "keeps",
    "search_path",
    "role",
    "repeatable",
    "lock_timeout",
    "statement_timeout",
    "exposed",
    "imported",
)

# The folders in which a key says something; one that is not here does so in all.
_DEPLOY, _REVERT, _VERIFY = "deploy", "revert", "verify"
_OF_A_BLOCK = (_DEPLOY, _REVERT)
_FOLDERS = {
    "requires": (_DEPLOY,),
    "fills": (_DEPLOY,),
    "repeatable": (_DEPLOY,),
    "exposed": (_DEPLOY,),
    "proves": (_VERIFY,),
    "transaction": _OF_A_BLOCK,
    "batch": _OF_A_BLOCK,
    "until": _OF_A_BLOCK,
    "give way": _OF_A_BLOCK,
    "skip": _OF_A_BLOCK,
    "accepts": _OF_A_BLOCK,
    "keeps": _OF_A_BLOCK,
    "role": _OF_A_BLOCK,
    "lock_timeout": _OF_A_BLOCK,
    "statement_timeout": _OF_A_BLOCK,
}

# The same, by their spelling with underscores.
_KEYS = {key.replace(" ", "_"): key for key in HEADER_KEYS}


def header_end(text: str) -> int:
    """Return the index of the first character behind the header."""
    match = re.match(r"(?:--[^\n]*(?:\n|$))*", text)
    assert match  # it can match nothing
    return match.end()


def read_header(text: str) -> dict[str, str]:
    """Return the values of the header by their keys, known or not. A line that begins with `--` and
    three spaces goes on with the value before.
    """
    folded = re.sub(r"\n--   +", " ", text[: header_end(text)])
    header = {}
    for match in re.finditer(r"^-- ([a-z_]+(?: [a-z_]+)*): *(.*)$", folded, re.MULTILINE):
        key = match[1]
        # Of one word it is a key, known or not. Of several it may be a sentence with a colon.
        if " " not in key or key in HEADER_KEYS:
            header[key] = match[2].strip()
    return header


def header_problems(text: str, header: Mapping[str, str], name: str) -> Iterator[Problem]:
    """Yield a problem for each line of a file's header that is not read as it seems to be meant."""
    yield from _misread_lines(text, name)
    folder = name.partition("/")[0]
    for key in header:
        if key in HEADER_KEYS or key in _KEYS:
            read_in = _FOLDERS.get(key, (folder,))
            if folder not in read_in:
                expected = " or ".join(f"{each}/" for each in read_in)
                what = f"the header key {key!r} says nothing in {folder}/"
                remedy = "leave it out, or write it there"
                yield Problem(what, _place(text, key, name), expected, remedy=remedy)
            continue
        expected = f"one of {', '.join(HEADER_KEYS)}"
        remedy = (
            f"{did_you_mean(key, HEADER_KEYS)}correct it, or put an empty line above it, "
            "which ends the header"
        )
        what = f"unknown header key {key!r}"
        yield Problem(what, _place(text, key, name), expected, remedy=remedy)


def _place(text: str, key: str, name: str) -> str:
    line = text.count("\n", 0, text.index(f"-- {key}:")) + 1
    return f"{name}:{line}"


# A third space goes on with the value before.
_LIKE_A_KEY = re.compile(r"--[ \t]{0,2}([A-Za-z]+(?:[ _-]+[A-Za-z]+)*)[ \t]*:")


def _misread_lines(text: str, name: str) -> Iterator[Problem]:
    """Yield a problem for each line that gives a key twice, or that looks like a key and would be
    read as a comment: `-- Role:`, `-- role :`.
    """
    given: set[str] = set()
    for number, line in enumerate(text[: header_end(text)].splitlines(), start=1):
        found = _LIKE_A_KEY.match(line)
        if not found:
            continue
        key = _KEYS.get(re.sub(r"[\s_-]+", "_", found[1].lower()))
        if key is None:
            continue
        where = f"{name}:{number}"
        if not line.startswith(f"-- {key}:"):
            remedy = "write it so; or put an empty line above it, which ends the header"
            yield Problem("is no header key, but like one", where, f"-- {key}:", line, remedy)
        elif key in given:
            remedy = "leave one of the two out, or write both values into one"
            yield Problem(f"the header key {key!r} is given twice", where, remedy=remedy)
        given.add(key)
