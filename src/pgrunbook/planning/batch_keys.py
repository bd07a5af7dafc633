"""Checks that blocks in batches can be cut as their headers say: by a unique key that has an order.
Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from pgrunbook.errors import Problem
from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.hidden_rows import SEES_ALL, raised
from pgrunbook.planning.keyset import Keyset, NotUtf8, Table
from pgrunbook.postgres import catalog, search_path, trust
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block

_ANEW = "write the key anew, in UTF-8; or cut the block by a key of another type"
_CHECK = "can be cut into batches"


# The results of `find_key`, by the blocks' names.
Keys = Mapping[str, Mapping[str, Any] | None]


def find_keys(conn: Session, decisions: Sequence[Decision]) -> Keys:
    """Return the tables and keys of the blocks in batches that are to run."""
    blocks = [decision.block for decision in decisions if decision.pending]
    return {block.name: find_key(conn, block) for block in blocks if block.batching}


def find_key(conn: Session, block: Block) -> Mapping[str, Any] | None:
    """Return what the catalog says of the block's table and key: a row of the query `batch_key`,
    and as `strange` the problems that speak against reading it; None if there is no such table.
    """
    assert block.batching
    there = _named(conn, block)
    if there is None:
        return None
    strange = trust.functions_called_by_reads(conn, there["oid"], block.batching.key)
    if there["is_key"] and not strange:
        strange = [*_not_utf8(conn, block, there)]
    return {**there, "strange": strange}


def _not_utf8(conn: Session, block: Block, there: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem if the greatest key is not UTF-8. The other keys are read batch by batch: to
    look at all of them here would take too long.
    """
    if conn.info.parameter_status("server_encoding") != "SQL_ASCII":
        return
    if trust.callable_functions(conn):
        return
    try:
        # InvalidParameterValue: the block's role does not exist, which another check reports
        with suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
            Keyset.of(there, block).greatest(conn)
    except NotUtf8 as exc:
        yield Problem(str(exc), where=f"{block.name}, header batch", remedy=_ANEW)


def _named(conn: Session, block: Block) -> Mapping[str, Any] | None:
    assert block.batching
    path = block.search_path or search_path.of(conn)
    schemas = [block.batching.schema] if block.batching.schema else search_path.schemas(conn, path)
    about = {"schemas": schemas, "table": block.batching.table, "columns": list(block.batching.key)}
    return next(iter(catalog.rows(conn, "batch_key", **about)), None)


def remedy(exc: psycopg.Error) -> str:
    """Return what to do about an error that kept us from reading all keys; empty for any other."""
    if isinstance(exc, NotUtf8):
        return _ANEW
    return SEES_ALL if raised(exc) else ""


def find_table(conn: Session, block: Block) -> Table | None:
    """Return the block's table; None if there is none."""
    there = _named(conn, block)
    return Keyset.of(there, block).named if there else None


def check(keys: Keys, decisions: Sequence[Decision]) -> list[CheckResult]:
    """Return a result for each block in batches that is to run, or for each of its problems."""
    results = []
    earlier: list[Block] = []
    for decision in decisions:
        block = decision.block
        if not decision.pending:
            continue
        if block.batching:
            table = block.batching.table
            wrong = list(problems(block, keys[block.name]))
            if not wrong:
                results.append(CheckResult(block.name, _CHECK))
            elif any(each.runs_code or table in each.names for each in earlier):
                why = f"{wrong[0].what}: a block before it may change that"
                results.append(CheckResult(block.name, _CHECK, not_run=why))
            else:
                results += [CheckResult(block.name, problem.what, problem) for problem in wrong]
        earlier.append(block)
    return results


def problems(block: Block, there: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Yield why the block cannot be cut as its header says. `there` is the result of `find_key`."""
    assert block.batching
    key = ", ".join(block.batching.key)
    where = f"{block.name}, header batch"
    if there is None or not there["is_table"]:
        found = "nothing of that name" if there is None else "no table"
        remedy = "correct the header"
        yield Problem("there is no table of that name", where, block.batching.table, found, remedy)
        return
    yield from there["strange"]
    name = sql.Identifier(there["schema"], there["table"]).as_string()
    if there["inherited"]:
        yield Problem(
            f"{name} has tables that inherit from it: no key is unique in all of them",
            where,
            remedy="give each of them a block of its own",
        )
    if there["hides"]:
        yield Problem(
            f"row security may hide rows of {name} from this role",
            where,
            expected="every row to be seen: one that is hidden would not be changed",
            remedy=SEES_ALL,
        )
    if there["missing"]:
        missing = ", ".join(there["missing"])
        yield Problem(f"{name} has no column {missing}", where, remedy="correct the header")
    elif there["nullable"]:
        yield Problem(
            f"{', '.join(there['nullable'])} may be NULL, and NULL is in no order",
            where,
            "columns that are NOT NULL",
            remedy="cut it by a key of other columns",
        )
    elif not there["is_key"]:
        yield Problem(
            f"({key}) is no unique key of {name}",
            where,
            f"a valid unique index on just these columns, such as CREATE UNIQUE INDEX CONCURRENTLY "
            f"ON {name} ({key}): a btree, not partial, not deferrable, with one direction and the "
            "columns' own order",
            "\n".join(there["others"]) or "no unique index",
            "cut it by a key that is there, or make one in a block before this one",
        )
