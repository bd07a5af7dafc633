"""SET in a file that was written for another tool: how a block says the same. The tool's session
was its own, and a block's is not: what it sets has to end with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pglast import ast
from pglast.enums import VariableSetKind

from pgrunbook.durations import milliseconds
from pgrunbook.sqltext import search_paths

# What the engine sets for each block, by the run's parameters.
_OURS = ("lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")

# What a block cannot set at all.
_FORBIDDEN = ("session_authorization",)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a block says it: `sql`, which may be nothing, or the header `statement_timeout`."""

    note: str
    sql: str = ""
    statement_timeout: str = ""


def read(node: Any, sql: str) -> Setting | None:
    """Return a statement that sets a parameter of the session; None for one that does not, or for
    which a block has no words.
    """
    match node:
        case ast.VariableSetStmt(
            kind=VariableSetKind.VAR_SET_MULTI | VariableSetKind.VAR_RESET_ALL
        ):
            return None
        case ast.VariableSetStmt(name=name) if name in _FORBIDDEN:
            return None
        case ast.VariableSetStmt(name=name, args=args, is_local=local):
            path = next(iter(search_paths.paths_set(node)), [])
            return _read_set(name.lower(), _value(args), path, sql, local=local, kind=node.kind)
        case ast.SelectStmt(targetList=(ast.ResTarget(val=ast.FuncCall() as call),)):
            return _read_set_config(call, sql)
    return None


def _read_set(
    name: str, value: str, path: Sequence[str], sql: str, *, local: bool, kind: VariableSetKind
) -> Setting | None:
    if name == "statement_timeout":
        return _read_statement_timeout(value)
    if name in _OURS:
        return Setting(f"SET {name} is left out: the run has its own")
    if name == "client_encoding":
        if value.lower() not in ("utf8", "utf-8", "unicode"):
            return None
        return Setting("SET client_encoding is left out: the file is in UTF-8")
    if name == "search_path" and search_paths.hides_pg_catalog(path):
        said = re.sub(r',\s*"?pg_catalog\b"?', "", _as_local(sql), flags=re.IGNORECASE)
        return Setting("pg_catalog is left out of search_path: it comes first by itself", said)
    if local:
        return None
    if kind == VariableSetKind.VAR_RESET:
        return Setting("RESET became SET LOCAL … TO DEFAULT", f"SET LOCAL {name} TO DEFAULT")
    return Setting("SET became SET LOCAL, which ends with the block", _as_local(sql))


def _as_local(sql: str) -> str:
    pattern = r"^SET(\s+SESSION|\s+LOCAL)?(?=\s)"
    return re.sub(pattern, "SET LOCAL", sql, count=1, flags=re.IGNORECASE)


def _read_statement_timeout(value: str) -> Setting:
    try:
        milliseconds(value)
    except ValueError:  # none, or the session's own
        return Setting("SET statement_timeout is left out: the run has its own")
    return Setting("SET statement_timeout became the header's", statement_timeout=value)


def _value(args: Any) -> str:
    """Return the first value that it is set to; empty for DEFAULT."""
    match args:
        case (ast.A_Const(val=ast.String(sval=value)), *_):
            return str(value)
        case (ast.A_Const(val=ast.Integer(ival=value)), *_):
            return str(value)
    return ""


def _read_set_config(call: ast.FuncCall, sql: str) -> Setting | None:
    """`set_config(name, value, false)`, with which pg_dump begins."""
    match call:
        case ast.FuncCall(
            funcname=(*_, ast.String(sval="set_config")),
            args=(_, _, ast.A_Const(val=ast.Boolean(boolval=False))),
        ):
            said = re.sub(r"\bfalse(?=\s*\)\s*$)", "true", sql, flags=re.IGNORECASE)
            return Setting("set_config() is local, so that it ends with the block", said)
    return None
