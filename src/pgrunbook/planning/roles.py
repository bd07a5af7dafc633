"""Checks that the roles exist that blocks name, and that the run's role may become those that its
blocks run as. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pglast import ast
from pglast.enums import ObjectType, RoleSpecType
from psycopg.sql import Identifier

from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext import mentions
from pgrunbook.sqltext.parse_tree import nodes


class _NamedRole(NamedTuple):
    """A role that a header or a statement names. `becomes`: what follows runs as this role."""

    role: str
    becomes: bool


class _Mention(NamedTuple):
    """Where a role is named first. `behind` is what comes before that and may make any role, as a
    block that runs code; empty if nothing does.
    """

    where: str
    behind: str


@dataclass(frozen=True)
class Roles:
    """The roles that blocks name and do not make themselves.

    - `mentions` says where each is named first.
    - `rows` has what the server says of each, by its name.
    - `of_headers` are those of headers that exist already.
    """

    mentions: Mapping[_NamedRole, _Mention]
    rows: Mapping[str, Mapping[str, Any]]
    of_headers: Sequence[str]

    def check(self, role: str) -> Iterator[CheckResult]:
        """Check each of them. `role` is the run's."""
        for named, place in self.mentions.items():
            yield _result(named, place, self.rows[named.role], role)


def look(conn: Session, blocks: Sequence[Block], behind: str = "") -> Roles:
    """Look for the roles of these blocks. `behind` is what runs before them, see `_Mention`."""
    first = _mentions(blocks, behind)
    of_headers = {block.role for block in blocks} - {""}
    names = of_headers.union(named.role for named in first)
    rows: dict[str, Mapping[str, Any]] = {}
    if names:
        for row in catalog.rows(conn, "may_become", names=sorted(names)):
            rows[row["name"]] = row
    return Roles(first, rows, [name for name in sorted(of_headers) if rows[name]["there"]])


def _result(named: _NamedRole, place: _Mention, row: Mapping[str, Any], role: str) -> CheckResult:
    check, expected = "names a role that is there", "a role"
    what, found = f"{named.role} is no role of this server", "no role of that name"
    remedy = "correct the name, or make it in a block before"
    if named.becomes:
        check = "names a role that this one may become"
        expected = f"a role that {role} is a member of"
    if row["there"]:
        what = f"{named.role} is a role that {role} may not become"
        found = f"{role} may not SET ROLE to it"
        wanted, own = Identifier(named.role).as_string(), Identifier(role).as_string()
        remedy = f"GRANT {wanted} TO {own}"
    passed = row["may"] if named.becomes else row["there"]
    if place.behind and not passed:
        why = f"{what}: {place.behind}, which is before it, may change that"
        return CheckResult(place.where, check, not_run=why)
    about = {"expected": expected, "found": found, "remedy": remedy}
    return result(place.where, check, passed, what, **about)


def _mentions(blocks: Sequence[Block], behind: str) -> dict[_NamedRole, _Mention]:
    first: dict[_NamedRole, _Mention] = {}
    made: set[str] = set()
    for block in blocks:
        if block.role and block.role not in made:
            place = _Mention(f"{block.name}, header role", behind)
            first.setdefault(_NamedRole(block.role, True), place)
        for statement in block.statements:
            for named in _roles(statement.node):
                if named.role not in made:
                    first.setdefault(named, _Mention(statement.place(), behind))
            made.update(_made(statement.node))
            # From here on any role may have been made: the text does not show what code does.
            if mentions.runs_code(statement.node):
                behind = behind or f"block {block.name}"
    return first


def _roles(node: ast.Node) -> Iterator[_NamedRole]:
    """Yield the roles that must exist for a statement."""
    if role_set(node) not in ("", "none"):
        yield _NamedRole(role_set(node), True)
    match node:
        case ast.DropRoleStmt(missing_ok=True) | ast.DropUserMappingStmt(missing_ok=True):
            return
        case ast.GrantRoleStmt(granted_roles=granted):
            for each in granted:
                yield _NamedRole(each.priv_name, False)
    for each in nodes(node):
        match each:
            case ast.RoleSpec(roletype=RoleSpecType.ROLESPEC_CSTRING, rolename=role):
                yield _NamedRole(role, False)


def role_set(node: ast.Node) -> str:
    """Return the role that SET ROLE sets for the statements behind it, or `none` for the session's
    own; empty if it is another statement.
    """
    match node:
        case ast.VariableSetStmt(name="role", args=(ast.A_Const(val=ast.String(sval=role)),)):
            return str(role)
    return ""


def _made(node: ast.Node) -> Iterator[str]:
    """Yield the roles that a statement makes, renames, or grants: what could be said of these now
    may not be true behind it.
    """
    match node:
        case ast.CreateRoleStmt(role=role):
            yield role
        case ast.RenameStmt(renameType=ObjectType.OBJECT_ROLE, newname=role):
            yield role
        case ast.GrantRoleStmt(is_grant=True, granted_roles=granted):
            for each in granted:
                yield each.priv_name
