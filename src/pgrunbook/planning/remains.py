"""Finds what is left to do of a block outside a transaction that was begun: the names in its
statements are looked up in the catalog. An object is the block's own only if the ledger says that a
run has begun the statement that makes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType
from psycopg import sql

from pgrunbook.errors import Problem
from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Inventory
from pgrunbook.ledger.ledger import Start
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext import mentions
from pgrunbook.sqltext.mentions import Relation

# An index, valid or not, or a partition, attached or about to be detached: see `left.sql`.
Row = Mapping[str, Any]

_COPY = re.compile(r"_cc(new|old)\d*$")


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a block that was begun.

    - `statements` are the indexes of those to run.
    - `indexes` are the block's indexes that exist and are valid, by schema and name.
    - `broken` names what is half done; `broken_indexes` are the indexes among it.
    - `repairs` are statements that drop the broken indexes.
    - `problems` say why the block cannot go on.
    """

    statements: tuple[int, ...]
    indexes: tuple[tuple[str, str], ...] = ()
    broken: tuple[str, ...] = ()
    broken_indexes: tuple[tuple[str, str], ...] = ()
    repairs: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def find_remains(
    look: Session,
    block: Block,
    begun: Collection[str] | None,
    before: Collection[tuple[str, ...]] = (),
    starts: Mapping[str, Start] | None = None,
) -> Remains:
    """Return what is left of the block. Reads only.

    - `begun` are the statements that runs have started, by the ledger; None if no run has begun the
      block.
    - `before` are the indexes that existed before the first of these runs, by schema and name.
    - `starts` says when those of `begun` started that leave the name of an index to PostgreSQL.
    """
    there: list[Row] = [*_rows(look, block)]
    unnamed = _unnamed_rows(block, there, starts or {})
    own = {each.name for each in block.made}
    own |= {detached_partition(statement.node) for statement in block.statements}
    broken = [row for row in there if _is_broken(row, own, copies=begun is not None)]
    broken += [row for rows in unnamed.values() for row in rows if not row["whole"]]
    run: list[int] = []
    indexes: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for number, statement in enumerate(block.statements):
        found = [row for row in _index_rows(statement.node, there) if row not in broken]
        made = [row for row in unnamed.get(statement.sql, ()) if row["whole"]]
        if not found and not made and not _has_nothing_to_drop(statement.node, there):
            run.append(number)
        if made and starts and not starts[statement.sql].finished:
            problems += [_unknown_index(block, row) for row in made]
        for row in found:
            index = row["schema"], row["name"]
            indexes.append(index)
            known = statement.sql in (begun or ()) or index in before
            if not known or row["table"] != statement.node.relation.relname:
                problems.append(_foreign_index(block, row, broken))
    broken_indexes = [row for row in broken if row["kind"] == "index"]
    return Remains(
        tuple(run),
        tuple(indexes),
        tuple(map(_describe, broken)),
        tuple((row["schema"], row["name"]) for row in broken_indexes),
        tuple(_drop_index(row, look.schema) for row in broken_indexes),
        tuple(problems),
    )


def find_half_done(conn: Session, block: Block) -> list[str]:
    """Return what is half done of the block and of its tables, in words. Reads only."""
    return [_describe(row) for row in _rows(conn, block) if not row["whole"]]


def without_indexes(there: Inventory, indexes: Collection[tuple[str, str]]) -> Inventory:
    """Return the inventory without these indexes, which are half done and will be made anew."""
    if not indexes:
        return there
    kept = {}
    for each, definition in there.definitions.items():
        if each.type != "index" or names(each.identity) not in indexes:
            kept[each] = definition
    return replace(there, definitions=kept)


def is_detaching(conn: Session, block: Block, partition: str) -> bool:
    """Whether the partition is about to be detached. Reads only."""
    for row in _rows(conn, block):
        if row["kind"] == "partition" and row["name"] == partition and not row["whole"]:
            return True
    return False


def _rows(conn: Session, block: Block) -> list[dict[str, Any]]:
    relations = sorted(block.relations)
    tables: dict[Relation, str] = {}
    for statement in block.statements:
        if isinstance(statement.node, ast.IndexStmt):
            table = statement.node.relation
            tables[table.schemaname or "", statement.node.idxname] = table.relname
    return catalog.rows(
        conn,
        "left",
        schemas=[schema for schema, _ in relations],
        names=[name for _, name in relations],
        beside=[tables.get(each, "") for each in relations],
        searched=search_path.schemas(conn, block.search_path or search_path.of(conn)),
    )


def _is_broken(row: Row, own: Collection[str], *, copies: bool) -> bool:
    """Whether it is half done, and by a run of the block, whose `own` names these are: an
    index that is not valid, a partition about to be detached, or one of the `copies` that REINDEX
    was making.
    """
    if row["whole"]:
        return False
    return row["name"] in own or (copies and is_copy(row["name"]))


def is_copy(index: str) -> bool:
    """Whether it is called as REINDEX CONCURRENTLY calls the copies that it makes."""
    return bool(_COPY.search(index))


def find_unnamed(block: Block) -> list[str]:
    """Return the statements that leave the name of an index to PostgreSQL."""
    unnamed = []
    for each in block.statements:
        if isinstance(each.node, ast.IndexStmt) and not each.node.idxname:
            unnamed.append(each.sql)
    return unnamed


def _unnamed_rows(
    block: Block, there: Sequence[Row], starts: Mapping[str, Start]
) -> dict[str, list[Row]]:
    """Return for each statement in `starts` the indexes of its table that are younger than its
    start. The statement has made one of them, or somebody else has.
    """
    own = {each.name for each in block.made if each.name}
    others = [row for row in there if row["kind"] == "index" and row["name"] not in own]
    found = {}
    for each in block.statements:
        start = starts.get(each.sql)
        if start:
            table = each.node.relation.relname
            found[each.sql] = [r for r in others if r["table"] == table and r["age"] < start.age]
    return found


def _index_rows(node: Any, there: Sequence[Row]) -> list[Row]:
    """Return the rows of the index that a statement makes, valid or not."""
    if not isinstance(node, ast.IndexStmt):
        return []
    schema = node.relation.schemaname
    rows = []
    for row in there:
        called = row["kind"] == "index" and row["name"] == node.idxname
        if called and (not schema or row["schema"] == schema):
            rows.append(row)
    return rows


def _has_nothing_to_drop(node: Any, there: Sequence[Row]) -> bool:
    """Whether a statement drops an index, or detaches a partition, that is gone already."""
    partition = detached_partition(node)
    if partition:
        kind, gone = "partition", {partition}
    elif isinstance(node, ast.DropStmt):
        kind, gone = "index", {parts[-1].sval for parts in node.objects}
    else:
        return False
    return gone.isdisjoint(row["name"] for row in there if row["kind"] == kind)


def detached_partition(node: Any) -> str:
    """Return the partition that a statement detaches; empty if it does something else."""
    match node:
        case ast.AlterTableStmt(cmds=(command,)) if (
            command.subtype == AlterTableType.AT_DetachPartition
        ):
            return str(command.def_.name.relname)
    return ""


def taken_relations(node: Any) -> set[Relation]:
    """Return the relations that a statement outside a transaction drops or detaches."""
    match node:
        case ast.DropStmt():
            return mentions.relations(node)
        case ast.AlterTableStmt(cmds=(command,)):
            return mentions.relations(command)
    return set()


def _describe(row: Row) -> str:
    if row["kind"] == "index":
        return f"index {row['identity']} on {row['table']}"
    return f"partition {row['identity']} of {row['table']}"


def _drop_index(row: Row, schema: str) -> str:
    parts = (row["name"],) if row["schema"] == schema else (row["schema"], row["name"])
    return f"DROP INDEX CONCURRENTLY {sql.Identifier(*parts).as_string()}"


def _unknown_index(block: Block, row: Row) -> Problem:
    return Problem(
        f"{_describe(row)} may be what a run has made before it was broken off",
        where=block.name,
        expected="a name in the statement, by which its index is found again",
        found="; ".join(find_unnamed(block)),
        remedy=f"{_drop_index(row, '')}; then run again: it is made anew",
    )


def _foreign_index(block: Block, row: Row, broken: Sequence[Row]) -> Problem:
    # Somebody else has made it since. Nobody can tell whether it is what the block makes.
    found = [_describe(row)]
    for each in broken:
        if each["kind"] == "index":
            found.append(f"half done: {_describe(each)}")
    return Problem(
        f"{_describe(row)} is there, and no run has made it",
        where=block.name,
        expected="nothing of the block but what runs of it have made",
        found="; ".join(found),
        remedy=f"{_drop_index(row, '')}, if nothing needs it; then run again",
    )
