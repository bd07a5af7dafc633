"""Decides what to undo of a block: what the ledger says that it did, compared with what exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from psycopg.sql import Identifier, Literal

from pgrunbook.errors import Problem, Refused
from pgrunbook.ledger.fold import Changes
from pgrunbook.ledger.ledger import Entry
from pgrunbook.planning.decisions import Action, Decision, altered_facts
from pgrunbook.planning.losses import Loss, find_losses
from pgrunbook.planning.remains import Remains
from pgrunbook.runbooks.blocks import Block
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.scripts import statements
from pgrunbook.runbooks.source import Source


def decide(
    block: Block,
    found: Facts,
    entry: Entry | None,
    changes: Changes,
    drifted: Sequence[Problem],
    left: Callable[[Block], Remains],
    source: Source,
    variables: Mapping[str, str],
    discard: bool,
) -> Decision:
    """Decide what to undo of a block. What a run has only adopted existed before, and stays.

    - `found` are the facts that hold of its column now, if it admits a value.
    - `entry` is its latest row in the ledger.
    - `changes` are the objects that it has changed, with their definitions before and after.
    - `drifted` has a problem for each object that is not as the block left it.
    - `left` returns what an earlier revert outside a transaction has left to do.
    - `variables` are the placeholders' values for a block that is one file.
    - With `discard`, rows may be lost.
    """
    if entry is None or entry.event == "reverted":
        return Decision(block, Action.SKIP, entry.when if entry else "not applied")
    if entry.event == "adopted":
        return Decision(block, Action.SKIP, f"{entry.when}: it was there before, and stays")
    block = _as_applied(block, entry)
    undone = {}
    for fact, value in block.facts.items():
        if fact.kind != "validated" and fact not in entry.kept:
            undone[fact] = value
    problems = [*_problems(block, found, entry), *drifted]
    try:
        undo = _guarded(source.revert_block(block, variables, undone), discard)
    except Refused as exc:
        # If the ledger does not know with what to fill its variants in, that is said already.
        if len(block.choices) == len(entry.variants):
            problems += exc.problems
    if problems:
        return Decision(
            block,
            Action.REFUSE,
            f"cannot be undone as it was {entry.event}",
            problems=tuple(problems),
        )
    before = {known: was for known, (was, now) in changes.items() if was is None or was != now}
    remaining = Remains(tuple(range(len(undo.statements))))
    if not undo.transaction:
        remaining = left(undo)
    return Decision(
        undo,
        Action.REVERT,
        entry.when,
        remaining.statements,
        repairs=remaining.repairs,
        revision=entry.revision + 1,
        wanted=before,
    )


def _as_applied(block: Block, entry: Entry) -> Block:
    """Return the block with the variants that were applied, as the ledger has them, and the facts
    that they made: the target as it is now would ask for others.
    """
    choices = tuple(zip(entry.variants, entry.variables or (), strict=False))
    return replace(block, choices=choices, facts=entry.facts if block.admits else {})


def _problems(block: Block, found: Facts, entry: Entry) -> Iterator[Problem]:
    if entry.done and block.admits:
        yield from altered_facts(entry, found)
    by_hand = f"undo it by hand, with psql and the scripts in revert/{block.name.partition(':')[0]}"
    if entry.variants and entry.variables is None:
        yield Problem(
            "was applied before the ledger kept what it takes to undo it",
            where=block.name,
            expected="a row of version 4 or later",
            remedy=by_hand,
        )
    if entry.kept:
        yield Problem(
            "was there in part before it was applied: its script would take that away too",
            where=block.name,
            found=", ".join(" ".join(filter(None, each)) for each in sorted(entry.kept)),
            remedy=by_hand,
        )


# Runs in the block's own transaction, under the lock that DROP takes anyway: rows may have come
# since the preconditions looked.
_GUARD = """\
LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE;
DO $guard$ BEGIN
  PERFORM set_config('row_security', 'off', true);
  IF EXISTS (SELECT FROM {name}) THEN
    RAISE EXCEPTION USING MESSAGE = {message}, HINT = {hint};
  END IF;
END $guard$;
"""


def _guarded(undo: Block, discard: bool) -> Block:
    """Return the block with a check that each table is empty before it is dropped; with `discard`,
    with a comment that says what is lost.
    """
    lost = find_losses(undo.statements)
    if discard and lost:
        # the comment is part of the SQL, so that who approves the SQL approves the loss
        return replace(undo, sql=f"-- with all that is in {', '.join(map(str, lost))}\n{undo.sql}")
    tables = [loss for loss in lost if not loss.column]
    if not tables:
        return undo
    guard = "".join(map(_guard, tables))
    extra = statements(guard, "guard")
    return replace(undo, sql=f"{guard}\n{undo.sql}", statements=(*extra, *undo.statements))


def _guard(table: Loss) -> str:
    hint = "To drop it with its rows, name the block in the parameter `discard`."
    message = Literal(f"{table} has rows").as_string()
    return _GUARD.format(
        name=Identifier(*filter(None, (table.schema, table.table))).as_string(),
        message=message,
        hint=Literal(hint).as_string(),
    )
