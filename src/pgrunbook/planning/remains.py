"""What is left to do of a block outside a transaction that was begun: by the names in its
statements, and by what the catalog says of these. What the ledger does not know of is not taken for
the block's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType
from psycopg import sql

from pgrunbook.errors import Problem
from pgrunbook.ledger.ledger import Start
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block

# An index, valid or not, or a partition, attached or about to be detached: see `left.sql`.
Row = Mapping[str, Any]

# What REINDEX CONCURRENTLY calls the copies that it makes.
_COPY = re.compile(r"_cc(new|old)\d*$")


@dataclass(frozen=True, slots=True)
class Remains:
    """`statements` are the indexes of those to run. `indexes` are those of the block that are
    there, by schema and name; `broken` is what is half done, `broken_indexes` the indexes of it,
    and `repairs` clear it away.
    """

    statements: tuple[int, ...]
    indexes: tuple[tuple[str, str], ...] = ()
    broken: tuple[str, ...] = ()
    broken_indexes: tuple[tuple[str, str], ...] = ()
    repairs: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def remains(
    look: Session,
    block: Block,
    begun: Collection[str] | None,
    before: Collection[tuple[str, ...]] = (),
    starts: Mapping[str, Start] | None = None,
) -> Remains:
    """What is left of the block. `begun` are the statements that runs of ours have started, None
    if they have not begun the block; `before` are indexes that were there already then, by schema
    and name; `starts`, when those of these that name no index were begun. Reads only.
    """
    there: list[Row] = [*_rows(look, block)]
    nameless = _nameless(block, there, starts or {})
    broken = [row for row in there if _is_broken(row, block, copies=begun is not None)]
    broken += [row for rows in nameless.values() for row in rows if not row["whole"]]
    run: list[int] = []
    indexes: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for number, statement in enumerate(block.statements):
        found = [row for row in _made(statement.node, there) if row not in broken]
        made = [row for row in nameless.get(statement.sql, ()) if row["whole"]]
        if not found and not made and not _is_undone(statement.node, there):
            run.append(number)
        if made and starts and not starts[statement.sql].finished:
            problems += [_of_whom(block, row) for row in made]
        for row in found:
            indexes.append(index := (row["schema"], row["name"]))
            known = statement.sql in (begun or ()) or index in before
            if not known or row["table"] != statement.node.relation.relname:
                problems.append(_strange(block, row, broken))
    return Remains(
        tuple(run),
        tuple(indexes),
        tuple(map(_told, broken)),
        tuple((row["schema"], row["name"]) for row in broken if row["kind"] == "index"),
        tuple(_repair(row, look.schema) for row in broken if row["kind"] == "index"),
        tuple(problems),
    )


def half_done(conn: Session, block: Block) -> list[str]:
    """What of the block, and of its tables, is half done. Reads only."""
    return [_told(row) for row in _rows(conn, block) if not row["whole"]]


def is_detaching(conn: Session, block: Block, partition: str) -> bool:
    """Whether the partition is about to be detached. Reads only."""
    there = (row for row in _rows(conn, block) if row["kind"] == "partition")
    return any(row["name"] == partition and not row["whole"] for row in there)


def _rows(conn: Session, block: Block) -> list[dict[str, Any]]:
    relations = sorted(block.relations)
    return catalog.rows(
        conn,
        "left",
        schemas=[schema for schema, _ in relations],
        names=[name for _, name in relations],
        searched=search_path.schemas(conn, block.search_path or search_path.of(conn)),
    )


def _is_broken(row: Row, block: Block, *, copies: bool) -> bool:
    """Whether it is half done, and by an attempt at the block: an index that is not valid, a
    partition about to be detached, or one of the `copies` that REINDEX was making.
    """
    if row["whole"]:
        return False
    own = {each.name for each in block.made} | {detached(s.node) for s in block.statements}
    return row["name"] in own or (copies and bool(_COPY.search(row["name"])))


def unnamed(block: Block) -> list[str]:
    """The statements that leave the name of an index to PostgreSQL."""
    return [
        each.sql
        for each in block.statements
        if isinstance(each.node, ast.IndexStmt) and not each.node.idxname
    ]


def _nameless(
    block: Block, there: Sequence[Row], starts: Mapping[str, Start]
) -> dict[str, list[Row]]:
    """For each statement that names no index and was begun, the indexes of its table that were
    written since: it has made one, or somebody else has.
    """
    own = {each.name for each in block.made if each.name}
    others = [row for row in there if row["kind"] == "index" and row["name"] not in own]
    tables = {
        each.sql: each.node.relation.relname for each in block.statements if each.sql in starts
    }
    return {
        sql: [row for row in others if row["table"] == table and row["age"] < starts[sql].age]
        for sql, table in tables.items()
    }


def _made(node: Any, there: Sequence[Row]) -> list[Row]:
    """The index that a statement makes, if it is there, whole or not."""
    if not isinstance(node, ast.IndexStmt):
        return []
    schema = node.relation.schemaname
    return [
        row
        for row in there
        if row["kind"] == "index" and row["name"] == node.idxname
        if not schema or row["schema"] == schema
    ]


def _is_undone(node: Any, there: Sequence[Row]) -> bool:
    """Whether a statement has nothing to drop, or to detach, any more."""
    match node:
        case ast.DropStmt(objects=objects):
            kind, names = "index", {names[-1].sval for names in objects}
        case ast.AlterTableStmt() if partition := detached(node):
            kind, names = "partition", {partition}
        case _:
            return False
    return names.isdisjoint(row["name"] for row in there if row["kind"] == kind)


def detached(node: Any) -> str:
    """The partition that a statement detaches; empty if it does something else."""
    match node:
        case ast.AlterTableStmt(cmds=(command,)) if (
            command.subtype == AlterTableType.AT_DetachPartition
        ):
            return str(command.def_.name.relname)
    return ""


def _told(row: Row) -> str:
    if row["kind"] == "index":
        return f"index {row['table']}.{row['name']}"
    return f"partition {row['name']} of {row['table']}"


def _repair(row: Row, schema: str) -> str:
    names = (row["name"],) if row["schema"] == schema else (row["schema"], row["name"])
    return f"DROP INDEX CONCURRENTLY {sql.Identifier(*names).as_string()}"


def _of_whom(block: Block, row: Row) -> Problem:
    return Problem(
        f"{_told(row)} may be what a run has made before it was broken off",
        where=block.name,
        expected="a name in the statement, by which its index is found again",
        found="; ".join(unnamed(block)),
        remedy=f"{_repair(row, '')}; then run again: it is made anew",
    )


def _strange(block: Block, row: Row, broken: Sequence[Row]) -> Problem:
    """Somebody else has made it meanwhile: whether it is what the block makes, nobody has asked."""
    half = [_told(each) for each in broken if each["kind"] == "index"]
    return Problem(
        f"{_told(row)} is there, and no run has made it",
        where=block.name,
        expected="nothing of the block but what runs of it have made",
        found="; ".join([_told(row), *(f"half done: {each}" for each in half)]),
        remedy=f"{_repair(row, '')}, if nothing needs it; then run again",
    )
