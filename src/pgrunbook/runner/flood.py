"""Bounds what one cell may show: of more, its beginning and its end stay, and a line in between
says how much was left out.

What pgrunbook itself shows, and the error that ended a cell, stay. They are recognised by their
type, which anybody may use: so they have bounds, too, far above what we ever show.
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
    text is left out as a whole.
    """
    data = content.get("data")
    if isinstance(content.get("text"), str):
        content["text"] = shorten(content["text"])
    elif "traceback" in content:
        lines = content["traceback"]
        if len(lines) > MOST:
            lines = [*lines[: MOST // 2], _note(len(lines) - MOST, "lines"), *lines[-MOST // 2 :]]
        most = LIMIT // 2
        if sum(map(len, lines)) > most:
            most //= len(lines)
        content["traceback"] = [shorten(line, most) for line in lines]
        content["evalue"] = shorten(content["evalue"])
    elif isinstance(data, dict):
        content["data"] = _cut_data(data)


def _cut_data(data: Mapping[str, Any]) -> dict[str, Any]:
    ours = _FORMS & data.keys() if any_ours(data) else frozenset()
    if sum(size(data[kind]) for kind in ours) > OURS_LIMIT:
        ours = frozenset()
    kept = {}
    notes: list[str] = []
    for kind, value in data.items():
        characters = size(value)
        if kind in ours or characters <= LIMIT // 2:
            kept[kind] = value
        elif kind == "text/plain":
            notes.insert(0, shorten(value) if isinstance(value, str) else "")
        else:
            notes.append(_note(characters, f"characters of {kind}"))
    if notes and "text/plain" in kept:
        text = kept["text/plain"]
        notes.insert(0, shorten(text) if isinstance(text, str) else "")
    if notes:
        kept["text/plain"] = "\n".join(notes).strip("\n")
    return kept


def shorten(text: str, most: int = LIMIT // 2) -> str:
    """Return the text, or its beginning and its end with a line in between, cut between words if
    they are not too long.
    """
    if len(text) <= most:
        return text
    first, last = text[: most // 2], text[-most // 2 :]
    look = min(_WORD, most // 4)
    end = max(first.rfind(" ", -look), first.rfind("\n", -look))
    if end >= 0:
        first = first[: end + 1]
    begins = [place for place in (last.find(" ", 0, look), last.find("\n", 0, look)) if place >= 0]
    if begins:
        last = last[min(begins) :]
    return f"{first}\n{_note(len(text) - len(first) - len(last), 'characters')}\n{last}"


class Flood:
    """Keeps the outputs of one cell within bounds, while they come."""

    def __init__(self) -> None:
        # characters, at most: what was updated or cleared since is counted, too
        self._size = 0
        self._exempt = 0  # outputs that the limits are not for

    def shorten(self, outputs: list[NotebookNode], more: int) -> Sequence[int]:
        """Leave out the middle, if it is time to, after so many characters more. Returns which
        places were left out, the first of which has the note now; in ascending order.
        """
        self._size += more
        if self._size <= LIMIT and len(outputs) - self._exempt <= MOST:
            return ()
        exempt = _exempt(outputs)
        self._exempt = len(exempt)
        bounded = [place for place in range(len(outputs)) if place not in exempt]
        sizes = {place: size(outputs[place]) for place in bounded}
        self._size = sum(sizes.values())
        if self._size <= LIMIT and len(bounded) <= MOST:
            return ()
        notes = [place for place in bounded if _NOTED in outputs[place].get("metadata", {})]
        if notes:
            # The middle was left out before: what is there of the beginning stays.
            first = {place for place in bounded if place < notes[0]}
        else:
            first = _first_within(bounded, sizes, 2)
        rest = [place for place in bounded if place not in first and place not in notes[:1]]
        last = _first_within(rest[::-1], sizes, 4)
        out = [place for place in bounded if place not in first and place not in last]
        if out:
            self._size = sum(sizes[place] for place in (*first, *last))
            outputs[out[0]] = _note_in_place_of([outputs[place] for place in out])
            for place in reversed(out[1:]):
                del outputs[place]
        return out


def _first_within(places: Sequence[int], sizes: Mapping[int, int], part: int) -> set[int]:
    """Return the first of these places, as many as a part of the limits allows."""
    found: set[int] = set()
    left = LIMIT // part
    for place in places[: MOST // part]:
        left -= sizes[place]
        if left < 0:
            break
        found.add(place)
    return found


def _note_in_place_of(outputs: Sequence[NotebookNode]) -> NotebookNode:
    """Return the output that stands for those that are left out."""
    count = characters = 0
    for output in outputs:
        noted = output.get("metadata", {}).get(_NOTED)
        if noted:  # a note of before: it stands for others
            count += noted["outputs"]
            characters += noted["characters"]
        else:
            count += 1
            characters += size(output)
    text = f"{_note(count, 'outputs')[:-1]}, {characters:,} characters …"
    metadata = {_NOTED: {"outputs": count, "characters": characters}}
    made: NotebookNode = new_output("display_data", {"text/plain": text}, metadata=metadata)
    return made


def _note(count: int, of: str) -> str:
    return f"… left out: {count:,} {of} …"


def _exempt(outputs: Sequence[NotebookNode]) -> set[int]:
    """Return the places of what the limits are not for; of too much, only the last."""
    found = set()
    for place, output in enumerate(outputs):
        if output.output_type == "error" or any_ours(output.get("data", ())):
            found.add(place)
    if len(found) <= OURS_MOST and sum(size(outputs[place]) for place in found) <= OURS_LIMIT:
        return found
    return {max(found)}


def size(value: Any) -> int:
    """Return how many characters are in a value, with all that is in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(size(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return sum(size(inner) for inner in value)
    return 1
