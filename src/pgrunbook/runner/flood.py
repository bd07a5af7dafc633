"""What one cell may show: of more, its beginning and its end stay, and a line in between says how
much was left out.

What pgrunbook itself shows, and the error that ended a cell, stay; they are recognised by their
type, which anybody may use, so they have bounds too, far above what we ever show.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from pgrunbook.records.format.mime_types import OURS, any_ours

# Of what a cell shows, in characters and in outputs. A text gets half of that at most.
LIMIT = 1_000_000
MOST = 1_000

# The same, of what claims to be ours, and of errors.
OURS_LIMIT = 50 * LIMIT
OURS_MOST = 10 * MOST
# what we show has data, and these forms of it for people
_FORMS = OURS | {"text/html", "text/markdown", "text/plain"}

_NOTED = "pgrunbook_left_out"
# how far to look for a place to cut at: a word that is cut in two may be half a secret
_WORD = 1_000


def cut(content: MutableMapping[str, Any]) -> None:
    """Leave out the middle of each text in a message of the kernel that is too long; what is no
    text as a whole.
    """
    data = content.get("data")
    if isinstance(content.get("text"), str):
        content["text"] = shortened(content["text"])
    elif "traceback" in content:
        lines = content["traceback"]
        if len(lines) > MOST:
            lines = [*lines[: MOST // 2], _note(len(lines) - MOST, "lines"), *lines[-MOST // 2 :]]
        most = LIMIT // 2 if sum(map(len, lines)) <= LIMIT // 2 else LIMIT // 2 // len(lines)
        content["traceback"] = [shortened(line, most) for line in lines]
        content["evalue"] = shortened(content["evalue"])
    elif isinstance(data, dict):
        content["data"] = _cut_data(data)


def _cut_data(data: Mapping[str, Any]) -> dict[str, Any]:
    forms = _FORMS & data.keys() if any_ours(data) else frozenset()
    if sum(size(data[kind]) for kind in forms) > OURS_LIMIT:
        forms = frozenset()
    sizes = {kind: size(value) for kind, value in data.items() if kind not in forms}
    long = {kind: much for kind, much in sizes.items() if much > LIMIT // 2}
    kept = {kind: value for kind, value in data.items() if kind not in long}
    text = data.get("text/plain", "")
    notes = [
        _note(much, f"characters of {kind}") for kind, much in long.items() if kind != "text/plain"
    ]
    if notes or "text/plain" in long:
        kept["text/plain"] = "\n".join(
            [shortened(text) if isinstance(text, str) else "", *notes]
        ).strip("\n")
    return kept


def shortened(text: str, most: int = LIMIT // 2) -> str:
    """The text, or its beginning and its end with a line in between, cut between words if they are
    not too long.
    """
    if len(text) <= most:
        return text
    first, last = text[: most // 2], text[-most // 2 :]
    look = min(_WORD, most // 4)
    first = first[: max(first.rfind(" ", -look), first.rfind("\n", -look)) + 1 or None]
    places = (last.find(mark, 0, look) for mark in " \n")
    last = last[min((place for place in places if place >= 0), default=0) :]
    return f"{first}\n{_note(len(text) - len(first) - len(last), 'characters')}\n{last}"


class Flood:
    """Keeps the outputs of one cell within bounds, while they come."""

    def __init__(self) -> None:
        self._size = 0  # at most so much is there: what was updated or cleared is counted too
        self._staying = 0  # outputs that have no part in the limits

    def shorten(self, outputs: list[NotebookNode], more: int) -> Sequence[int]:
        """Leave out the middle, if it is time to, after so many characters more. Returns which
        places were left out, which may leave one for the note; in ascending order.
        """
        self._size += more
        if self._size <= LIMIT and len(outputs) - self._staying <= MOST:
            return ()
        staying = _staying(outputs)
        self._staying = len(staying)
        foreign = [place for place in range(len(outputs)) if place not in staying]
        sizes = {place: size(outputs[place]) for place in foreign}
        self._size = sum(sizes.values())
        if self._size <= LIMIT and len(foreign) <= MOST:
            return ()
        noted = [place for place in foreign if _NOTED in outputs[place].get("metadata", {})]
        if noted:  # the middle was left out before: what is there of the beginning is kept
            first = {place for place in foreign if place < noted[0]}
        else:
            first = _within(foreign, sizes, 2)
        rest = [place for place in foreign if place not in first and place not in noted[:1]]
        last = _within(rest[::-1], sizes, 4)
        out = [place for place in foreign if place not in first and place not in last]
        if out:
            self._size = sum(sizes[place] for place in (*first, *last))
            outputs[out[0]] = _left_out([outputs[place] for place in out])
            for place in reversed(out[1:]):
                del outputs[place]
        return out


def _within(places: Sequence[int], sizes: Mapping[int, int], part: int) -> set[int]:
    """The first of these places, as many as a part of the limits allows."""
    found: set[int] = set()
    left = LIMIT // part
    for place in places[: MOST // part]:
        if (left := left - sizes[place]) < 0:
            break
        found.add(place)
    return found


def _left_out(outputs: Sequence[NotebookNode]) -> NotebookNode:
    """The output in place of those that are left out; of what an earlier one stands for too."""
    count = characters = 0
    for output in outputs:
        if noted := output.get("metadata", {}).get(_NOTED):
            count += noted["outputs"]
            characters += noted["characters"]
        else:
            count += 1
            characters += size(output)
    text = f"{_note(count, 'outputs')[:-1]}, {characters:,} characters …"
    noted_too = {_NOTED: {"outputs": count, "characters": characters}}
    made: NotebookNode = new_output("display_data", {"text/plain": text}, metadata=noted_too)
    return made


def _note(count: int, of: str) -> str:
    return f"… left out: {count:,} {of} …"


def _staying(outputs: Sequence[NotebookNode]) -> set[int]:
    """The places of what stays; of too much, only the last."""
    found = {
        place
        for place, output in enumerate(outputs)
        if output.output_type == "error" or any_ours(output.get("data", ()))
    }
    if len(found) <= OURS_MOST and sum(size(outputs[place]) for place in found) <= OURS_LIMIT:
        return found
    return {max(found)}


def size(value: Any) -> int:
    """Characters, of everything in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(size(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return sum(size(inner) for inner in value)
    return 1
