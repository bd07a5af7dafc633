"""Answers from a record what has changed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from pgrunbook.records.backfill_answers import ShownBackfill
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Record
from pgrunbook.records.shown import Row
from pgrunbook.records.unfinished_cells import begun_blocks, cell_at_work, rolled_back
from pgrunbook.records.words import counted, listed, sentence

RAN = ("applied", "reverted")
NOT_SO_FAR = "The run did not get that far."

_UNCHANGED = {
    "plan": "Nothing: a plan changes nothing.",
    "revert": "Nothing: no block was left to revert.",
}


def changes(record: Record) -> str:
    """Return what the blocks have changed: their effects, which the catalog said before each
    commit. Of an old record without effects, what differs between the tables before and after.
    """
    effects = itertools.chain(*record.by_block(Kind.EFFECT).values())
    text = _objects(effects) or _difference(record)
    if rows := _rows_written(record):
        text = f"{text} {rows}".strip()
    if record.last(Kind.DIFFERENCE) is None:
        return f"{NOT_SO_FAR} {_done_so_far(record)} {text}".strip()
    if not text:
        mode = record.identity.get("mode", "")
        unchanged = _UNCHANGED.get(mode, "Nothing: what the blocks make was there already.")
        if foreseen := _objects(record.rows(Kind.FORESEEN)):
            return f"{unchanged} Tried on a copy without rows: {foreseen}"
        return unchanged
    if record.identity.get("mode") == "rehearse":
        return f"On the copy, not on the target: {text}"
    return text


def _done_so_far(record: Record) -> str:
    """Return which blocks a run that was cut off had applied, and which one it had begun."""
    done = [f"{block.event} {block.name}" for block in record.blocks if block.event in RAN]
    at_work = cell_at_work(record)
    none = "No block is on record as applied." if at_work else "It had applied no block."
    text = f"It had {listed(done)}." if done else none
    begun = begun_blocks(record)
    for each in ShownBackfill.of_record(record):
        if each.block in begun:
            begun.remove(each.block)
            text += f" Of {each.block} were committed {each.far}; the next run goes on from there."
    if begun and (said := rolled_back(record)):
        text += f" {listed(begun)} was begun. {said}"
    elif begun:
        text += (
            f" {listed(begun)} was begun; how much of it was committed, the top of the "
            "notebook says."
        )
    return f"{text}{at_work}"


def _objects(effects: Iterable[Row]) -> str:
    """Return what these effects of blocks together have made, altered, moved and dropped."""
    changed: dict[str, str] = {}
    for row in effects:
        _note(changed, row["object"], row["change"])
    by_change: dict[str, list[str]] = {}
    for name, change in changed.items():
        by_change.setdefault(change, []).append(name)
    sentences = []
    for change, names in by_change.items():
        sentences.append(sentence(f"{change}: {listed(_group_parts(names))}"))
    return " ".join(sentences)


# Parts of other objects. Of many, only the number is told: the cells name each.
_PARTS = ("table column", "table constraint", "index", "trigger", "policy")
_FEW = 3


def _group_parts(names: Sequence[str]) -> list[str]:
    """Return the names, whole objects first. Of a kind of parts with more than a few, how many."""
    wholes: list[str] = []
    parts: dict[str, list[str]] = {}
    for name in names:
        kind = _part_kind(name)
        (parts.setdefault(kind, []) if kind else wholes).append(name)
    few: list[str] = []
    many: list[str] = []
    for kind, of_kind in parts.items():
        if len(of_kind) > _FEW:
            many.append(counted(len(of_kind), kind))
        else:
            few += of_kind
    return [*wholes, *few, *many]


def _part_kind(name: str) -> str:
    """Return the kind of a part by its name; empty for an object that is not a part."""
    for kind in _PARTS:
        if name.startswith(f"{kind} "):
            return kind
    return ""


def _note(changed: dict[str, str], name: str, change: str) -> None:
    """Add what a block did with an object to what earlier blocks did: made and then dropped is
    nothing, dropped and then made is made anew.
    """
    before = changed.get(name)
    if before == "made" and change == "dropped":
        del changed[name]
    elif before == "dropped" and change == "made":
        changed[name] = "made anew"
    elif before != "made" or change == "made":
        changed[name] = change


def _rows_written(record: Record) -> str:
    """Return how many rows of which tables the blocks have written; empty if none."""
    written: Counter[tuple[str, str]] = Counter()
    for rows in record.by_block(Kind.ROWS).values():
        for row in rows:
            for how in ("inserted", "updated", "deleted", "truncated"):
                written[how, row["table"]] += row.get(how, 0)
    parts = []
    for (how, table), number in written.items():
        if number:
            parts.append(f"{counted(number, 'row')} {how} in {table}")
    return sentence(listed(parts)) if parts else ""


def _difference(record: Record) -> str:
    """Return how the tables differ before and after; empty if they do not."""
    rows = record.rows(Kind.DIFFERENCE)
    counts = Counter((row["change"], row["kind"]) for row in rows)
    by_change: dict[str, list[str]] = {}
    for (change, kind), number in counts.items():
        by_change.setdefault(change, []).append(counted(number, kind))
    if not rows:
        return ""
    text = sentence("; ".join(f"{change}: {', '.join(how)}" for change, how in by_change.items()))
    if tables := dict.fromkeys(row["table"] for row in rows if row["table"]):
        text += f" In {listed(list(tables))}."
    return text
