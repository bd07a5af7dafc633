"""Finds the statements that change who may do what: GRANT, owners, policies, roles."""

from __future__ import annotations

from collections.abc import Iterator

from pglast import ast
from pglast.enums import GrantTargetType

from pgrunbook.sqltext.alter_table import Found
from pgrunbook.sqltext.hazards import Doubt, Hazard, Thing
from pgrunbook.sqltext.things import kind_of, owned_by, relation, thing_named


def privilege_hazards(node: ast.Node) -> Found:
    """Yield the hazards of a statement that changes privileges, owners, policies or roles."""
    for thing in _things_with_other_privileges(node):
        yield Hazard.CHANGES_PRIVILEGES, thing, ()
    if isinstance(node, ast.DropOwnedStmt):
        for role in node.roles:
            owned = owned_by(role)
            yield Hazard.DROPS_OTHER, owned, ()
            yield Hazard.DROPS_TABLE, owned, (Doubt("taken along", ("table",)),)
            yield Hazard.DROPS_COLUMN, owned, (Doubt("taken along", ("column",)),)
    if isinstance(node, ast.DropRoleStmt):
        for role in node.roles:
            yield Hazard.DROPS_OTHER, Thing("role", "", role.rolename or ""), ()


def _things_with_other_privileges(node: ast.Node) -> Iterator[Thing]:
    """Yield the objects and the roles whose privileges a statement changes."""
    match node:
        case ast.GrantStmt(targtype=GrantTargetType.ACL_TARGET_ALL_IN_SCHEMA, objects=schemas):
            for each in schemas:
                yield Thing(f"every {kind_of(node.objtype)} of schema", "", each.sval)
        case ast.GrantStmt(objtype=kind, objects=objects):
            for each in objects or ():
                yield thing_named(kind, each)
        case ast.GrantRoleStmt(granted_roles=roles):
            for each in roles:
                yield Thing("role", "", each.priv_name or "")
        case ast.AlterDefaultPrivilegesStmt(action=action):
            yield Thing(f"default privileges of {kind_of(action.objtype)}s", "", "")
        case ast.AlterOwnerStmt(objectType=kind, object=owned):
            yield thing_named(kind, owned)
        case ast.CreatePolicyStmt(table=table, policy_name=name):
            yield relation("policy", table, name)
        case ast.AlterPolicyStmt(table=table, policy_name=name):
            yield relation("policy", table, name)
        case ast.CreateRoleStmt(role=name):
            yield Thing("role", "", name)
        case ast.AlterRoleStmt(role=role) | ast.AlterRoleSetStmt(role=role):
            name = role.rolename if role else ""  # ALTER ROLE ALL names none
            yield Thing("role", "", name or "")
        case ast.ReassignOwnedStmt(roles=roles):
            for each in roles:
                yield owned_by(each)
