"""The search path that a statement sets, as far as its text tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pglast
from pglast import ast
from pglast.enums import ObjectType, VariableSetKind
from pglast.parser import ParseError
from pglast.stream import maybe_double_quote_name

from pgrunbook.sqltext.mentions import runs_code
from pgrunbook.sqltext.parse_tree import calls_of, nodes

LATE = "has pg_catalog behind another schema, whose functions would be taken for PostgreSQL's own"
LEAVE_OUT = "leave pg_catalog out: it comes first by itself"

# In place of a path that no text tells.
ANYWHERE = "*"


def schemas(path: str) -> list[str] | None:
    """Return the schemas of a path as SET takes it; None if it is none."""
    try:
        parsed = pglast.parse_sql(f"SET search_path = {path}")
    except ParseError:
        return None
    if len(parsed) != 1:  # it would be more than a path
        return None
    return _constants(parsed[0].stmt.args)


def schemas_of_setting(value: str) -> list[str]:
    """Return the schemas of a path as a setting holds it, and set_config() takes it: where SET
    wants `"$user"` quoted, it may be bare there.
    """
    return schemas(re.sub(r'(?<!")\$user\b', '"$user"', value)) or []


def of_role(path: str, role: str) -> str:
    """Return the path with the role in place of `"$user"`: who else looks along it means the
    same.
    """
    names = schemas(path) or []
    if not role or "$user" not in names:
        return path
    return _joined(role if name == "$user" else name for name in names)


def with_former_names(path: str, former: Mapping[str, str]) -> str:
    """Return the path with the names that its schemas had before they were renamed."""
    names = schemas(path) if former else None
    return _joined(former.get(name, name) for name in names) if names else path


def hides_pg_catalog(names: Sequence[str]) -> bool:
    """Return whether names are looked up in another schema before pg_catalog. Left out, it comes
    first: https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-CATALOG
    """
    return "pg_catalog" in names and names[0] != "pg_catalog"


def paths_set(node: ast.Node) -> list[list[str]]:
    """Return each path that a statement sets for those behind it: with SET, or by set_config()
    with constants.
    """
    if isinstance(node, ast.VariableSetStmt):
        is_path = (node.name or "").lower() == "search_path" and node.args
        return [_constants(node.args)] if is_path else []
    found = []
    for args in calls_of(node, "set_config"):
        match _constants(args[:2]):
            case (name, path) if name.lower() == "search_path" and len(args) == 3:
                found.append(schemas_of_setting(path))
    return found


def may_set_path(node: ast.Node) -> bool:
    """Return whether a statement may set the path for those behind it. A function that it calls may
    do so.
    """
    if isinstance(node, ast.VariableSetStmt):
        return (node.name or "search_path").lower() == "search_path"  # RESET ALL has no name
    if isinstance(node, ast.SelectStmt):
        return any(isinstance(each, ast.FuncCall) for each in nodes(node))
    return runs_code(node)


def path_behind(node: ast.Node, path: str) -> str:
    """Return the path that holds behind a statement, as SET takes it: the one before it, the one
    that it sets, or ANYWHERE.
    """
    set_here = paths_set(node)
    if set_here:
        return _joined(set_here[-1]) or "''"
    return ANYWHERE if may_set_path(node) else path


def named(node: ast.Node) -> set[str]:
    """Return the schemas of each path that a statement sets, for those behind it or for a function
    that it defines; and the one that it renames, which a path may find by its new name.
    """
    found: set[str] = set()
    if isinstance(node, ast.RenameStmt) and node.renameType == ObjectType.OBJECT_SCHEMA:
        found.add(node.subname)
    found.update(*paths_set(node))
    if isinstance(node, ast.CreateFunctionStmt | ast.AlterFunctionStmt):
        for each in nodes(node):
            if isinstance(each, ast.VariableSetStmt):
                found.update(*paths_set(each))
    return found


def resets(node: ast.Node) -> bool:
    """Return whether a statement sets the path to what the role and the database say."""
    reset = VariableSetKind.VAR_SET_DEFAULT, VariableSetKind.VAR_RESET
    match node:
        case ast.VariableSetStmt(kind=kind, name=name) if kind in reset:
            return bool(name.lower() == "search_path")
    return False


def _joined(names: Iterable[str]) -> str:
    # SET takes an empty name, which finds nothing, in no other quotes
    return ", ".join(maybe_double_quote_name(name) if name else "''" for name in names)


def _constants(args: Iterable[Any] | None) -> list[str]:
    names = []
    for arg in args or ():
        if isinstance(arg, ast.A_Const) and isinstance(arg.val, ast.String):
            names.append(arg.val.sval)
    return names
