"""Limits of what one cell may show. Of more, its beginning and its end stay, and a line in between
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

# Of what one cell shows. A single text gets half of the characters at most.
MAX_CHARACTERS = 1_000_000
MAX_OUTPUTS = 1_000

# Of what claims to be ours, and of errors.
MAX_OWN_CHARACTERS = 50 * MAX_CHARACTERS
MAX_OWN_OUTPUTS = 10 * MAX_OUTPUTS
# what we show has data, and these forms of it for people
_FORMS = OURS | {"text/html", "text/markdown", "text/plain"}

# In the metadata of the note that stands for outputs: how many it stands for.
_NOTE_KEY = "pgrunbook_left_out"

# What stays of the limits when the middle is left out. The end gets less than its half: else the
# next output would be too much again, and each would have all of them counted.
_BEGINNING, _END = 0.5, 0.25

# Characters: how far to look for a place to cut at: a word that is cut in two may be half a secret
_WORD = 1_000


def cut(content: MutableMapping[str, Any]) -> None:
    """Shorten a message of the kernel, in place: of a text that is too long the middle is left out,
    of anything else all. https://jupyter-client.readthedocs.io/en/stable/messaging.html
    """
    data = content.get("data")
    if isinstance(content.get("text"), str):
        content["text"] = shorten(content["text"])
    elif "traceback" in content:
        lines = content["traceback"]
        if len(lines) > MAX_OUTPUTS:
            lines = [
                *lines[: MAX_OUTPUTS // 2],
                _note(len(lines) - MAX_OUTPUTS, "lines"),
                *lines[-MAX_OUTPUTS // 2 :],
            ]
        most = MAX_CHARACTERS // 2
        if sum(map(len, lines)) > most:
            most //= len(lines)
        content["traceback"] = [shorten(line, most) for line in lines]
        content["evalue"] = shorten(content["evalue"])
    elif isinstance(data, dict):
        content["data"] = _cut_data(data)


def _cut_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bundle without the MIME types that are too long; its `text/plain` says so."""
    ours = _FORMS & data.keys() if any_ours(data) else frozenset()
    if sum(size(data[kind]) for kind in ours) > MAX_OWN_CHARACTERS:
        ours = frozenset()
    kept = {}
    notes: list[str] = []
    for kind, value in data.items():
        characters = size(value)
        if kind in ours or characters <= MAX_CHARACTERS // 2:
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


def shorten(text: str, most: int = MAX_CHARACTERS // 2) -> str:
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


class OutputLimiter:
    """Keeps the outputs of one cell within bounds, while they come."""

    def __init__(self) -> None:
        # in characters; too high where an output was updated or cleared since it was counted
        self._size = 0
        self._exempt = 0  # how many outputs the limits are not for

    def shorten(self, outputs: list[NotebookNode], more: int) -> Sequence[int]:
        """Leave out the middle of a cell's outputs, if they are over the limits with the latest
        one, of `more` characters. Returns the places of those that are gone, in ascending order; at
        the first of them is the note now.
        """
        self._size += more
        if self._size <= MAX_CHARACTERS and len(outputs) - self._exempt <= MAX_OUTPUTS:
            return ()
        exempt = _exempt(outputs)
        self._exempt = len(exempt)
        bounded = [place for place in range(len(outputs)) if place not in exempt]
        sizes = {place: size(outputs[place]) for place in bounded}
        self._size = sum(sizes.values())
        if self._size <= MAX_CHARACTERS and len(bounded) <= MAX_OUTPUTS:
            return ()
        notes = [place for place in bounded if _NOTE_KEY in outputs[place].get("metadata", {})]
        if notes:
            # The middle was left out before: what is there of the beginning stays.
            first = {place for place in bounded if place < notes[0]}
        else:
            first = _first_within(bounded, sizes, _BEGINNING)
        rest = [place for place in bounded if place not in first and place not in notes[:1]]
        last = _first_within(rest[::-1], sizes, _END)
        out = [place for place in bounded if place not in first and place not in last]
        if out:
            self._size = sum(sizes[place] for place in (*first, *last))
            outputs[out[0]] = _note_in_place_of([outputs[place] for place in out])
            for place in reversed(out[1:]):
                del outputs[place]
        return out


def _first_within(places: Sequence[int], sizes: Mapping[int, int], share: float) -> set[int]:
    """Return the first of these places, as many as a share of the limits allows."""
    found: set[int] = set()
    left = int(MAX_CHARACTERS * share)
    for place in places[: int(MAX_OUTPUTS * share)]:
        left -= sizes[place]
        if left < 0:
            break
        found.add(place)
    return found


def _note_in_place_of(outputs: Sequence[NotebookNode]) -> NotebookNode:
    """Return the output that stands for those that are left out."""
    count = characters = 0
    for output in outputs:
        noted = output.get("metadata", {}).get(_NOTE_KEY)
        if noted:  # a note of before: it stands for others
            count += noted["outputs"]
            characters += noted["characters"]
        else:
            count += 1
            characters += size(output)
    text = f"{_note(count, 'outputs')[:-1]}, {characters:,} characters …"
    metadata = {_NOTE_KEY: {"outputs": count, "characters": characters}}
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
    if (
        len(found) <= MAX_OWN_OUTPUTS
        and sum(size(outputs[place]) for place in found) <= MAX_OWN_CHARACTERS
    ):
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
