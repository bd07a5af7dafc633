"""Which statements run in a transaction with the ledger's row, and which PostgreSQL refuses
there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast
from pglast.enums import AlterSubscriptionType, ReindexObjectType

from pgrunbook.errors import Problem
from pgrunbook.runbooks.scripts import Script
from pgrunbook.sqltext.options import is_on


def problems(script: Script) -> Iterator[Problem]:
    """Yield what is wrong with a file's header `transaction`, and with its statements beside it.

    What PostgreSQL refuses inside a transaction has a block of its own, and that block holds
    nothing else: its statements wait for their locks as long as need be, which only these can do
    without the application waiting too.
    """
    given = script.header.get("transaction", "yes")
    if given not in ("yes", "no"):
        yield Problem(
            "is neither yes nor no", where=f"{script.name}, header transaction", found=given
        )
    # a variant lies in a folder: several of them are one block, and commit together
    if given == "no" and script.name.count("/") > 1:
        yield Problem(
            "a variant cannot run outside a transaction",
            where=script.name,
            remedy="make it a block",
        )
    for statement in script.parsed:
        where, found = f"{script.name}:{statement.line}", statement.sql.splitlines()[0]
        alone = needs_no_transaction(statement.node)
        if alone and given != "no":
            remedy = "move it to a block of its own, with the header `transaction: no`"
            if "concurrently" in statement.sql.lower():
                remedy += "; or leave out CONCURRENTLY"
            yield Problem("cannot run inside a transaction", where, found=found, remedy=remedy)
        elif alone and (why := _blocks_others(statement.node)):
            yield Problem(why, where, found=found)
        # a comment may stand behind the index that it is about
        elif not alone and given == "no" and not isinstance(statement.node, ast.CommentStmt):
            remedy = "move it to a block without the header `transaction: no`"
            yield Problem("can run inside a transaction", where, found=found, remedy=remedy)


def needs_no_transaction(node: Any) -> bool:
    """Return whether PostgreSQL refuses the statement inside a transaction block
    (PreventInTransactionBlock).
    """
    match node:
        case (
            ast.IndexStmt(concurrent=True)
            | ast.DropStmt(concurrent=True)
            | ast.VacuumStmt(is_vacuumcmd=True)  # ANALYZE alone is a VacuumStmt, too
        ):
            return True
        case ast.ReindexStmt(kind=kind, params=params):
            # of a schema or a database, it commits after each table
            return kind in _WHOLE or is_on(params, "concurrently")
        case ast.AlterTableStmt(cmds=cmds):  # DETACH PARTITION … CONCURRENTLY
            return any(getattr(c.def_, "concurrent", False) for c in cmds)
        case ast.ClusterStmt(relation=None):
            return True
        case ast.CreateSubscriptionStmt(options=options):
            # only to make a slot on the publisher it has to be alone
            connects = is_on(options, "connect", default=True)
            return connects and is_on(options, "create_slot", default=True)
        case ast.DropSubscriptionStmt():
            return True  # unless it has no slot, which its text does not tell
        case ast.AlterSubscriptionStmt(kind=kind, options=options) if kind in _REFRESHING:
            return is_on(options, "refresh", default=True)
    return isinstance(node, _OF_THE_CLUSTER) or _moves_database(node)


_WHOLE = (
    ReindexObjectType.REINDEX_OBJECT_SCHEMA,
    ReindexObjectType.REINDEX_OBJECT_SYSTEM,
    ReindexObjectType.REINDEX_OBJECT_DATABASE,
)


_REFRESHING = (
    AlterSubscriptionType.ALTER_SUBSCRIPTION_SET_PUBLICATION,
    AlterSubscriptionType.ALTER_SUBSCRIPTION_ADD_PUBLICATION,
    AlterSubscriptionType.ALTER_SUBSCRIPTION_DROP_PUBLICATION,
    AlterSubscriptionType.ALTER_SUBSCRIPTION_REFRESH,
)

_OF_THE_CLUSTER = (
    ast.CreatedbStmt,
    ast.DropdbStmt,
    ast.AlterSystemStmt,
    ast.CreateTableSpaceStmt,
    ast.DropTableSpaceStmt,
)


def _moves_database(node: Any) -> bool:
    """Return whether it is ALTER DATABASE … SET TABLESPACE."""
    if not isinstance(node, ast.AlterDatabaseStmt):
        return False
    return any(option.defname == "tablespace" for option in node.options or ())


def _blocks_others(node: Any) -> str:
    """Return why a statement that needs no transaction is nothing for a runbook; empty if nothing
    is.
    """
    match node:
        case ast.VacuumStmt(is_vacuumcmd=True, options=options) if is_on(options, "full"):
            return "VACUUM FULL locks reads and writes out for as long as it copies the table"
        case ast.VacuumStmt(rels=None):
            return "name the tables: without, it works on the whole database"
        case ast.ReindexStmt(kind=kind) if kind in _WHOLE:
            return "name the table or the index: this works on all of them"
        case ast.ClusterStmt(relation=None):
            return "name the table: without, it works on all that were clustered before"
    if isinstance(node, _OF_THE_CLUSTER):
        return "is not about this database"
    if _moves_database(node):
        return "moves the database, to which nobody may be connected"
    return ""
