"""Checks everything that a run needs of its target before anything is changed. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pgrunbook.ledger import versions
from pgrunbook.planning import requirements, roles, server_checks
from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.planning.requirements import NeededRelations, check_use, quoted
from pgrunbook.postgres import catalog
from pgrunbook.postgres.identity import Identity
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block


def check(
    conn: Session,
    schema: str,
    identity: Identity,
    decisions: Sequence[Decision],
    shape: Session,
) -> list[CheckResult]:
    """Check everything that the blocks need of the target. Returns the results in the order in
    which the preconditions show them. Reads only.

    `shape` is a session in which the tables are as the blocks will find them: `conn` itself, or one
    on the copy that runbooks before this one have changed.
    """
    pending = [decision.block for decision in decisions if decision.pending]
    privileges = catalog.rows(conn, "privileges", schema=schema)[0]
    results = [*_server(identity), *server_checks.check_triggers(conn)]
    as_ours = any(not block.role for block in pending)
    results += _schema(schema, privileges, identity.role, creates=as_ours)
    if pending:
        results.append(server_checks.check_counting(conn))
        results += server_checks.report_isolation(conn)
        results += server_checks.check_backslashes(conn, pending)
    if any(d.action is not Action.SKIP for d in decisions):
        results += [*_ledger(conn, privileges, identity), _temporary(privileges, identity)]
    for name in sorted(_named_schemas(conn, pending, identity.role) | {schema}):
        results += server_checks.check_shadows(shape, name)
    results += server_checks.report_event_triggers(conn)
    before = "" if shape is conn else "a runbook"
    named = roles.look(conn, pending, before)
    results += named.check(identity.role)
    # On a copy everything belongs to the copy's owner: privileges of other roles cannot be read.
    made_by = named.of_headers if shape is conn else []
    there = NeededRelations.read(shape, decisions, made_by)
    results += requirements.check(shape, there, decisions, identity.role)
    results += _check_changed(shape, decisions, identity.role)
    wrong = {result.where for result in results if result.problem}
    for decision in decisions:
        results += _decision_results(decision, there, wrong)
    return list(dict.fromkeys(results))


def _named_schemas(conn: Session, blocks: Sequence[Block], role: str) -> set[str]:
    """Return the schemas in which blocks look names up, besides the run's: see
    `server_checks.named_schemas`.
    """
    named: set[str] = set()
    for block in blocks:
        nodes = [statement.node for statement in block.statements]
        named |= server_checks.named_schemas(conn, block.search_path, nodes, block.role or role)
    return named


def check_ledger_alone(conn: Session, schema: str, identity: Identity) -> list[CheckResult]:
    """Check what it takes to write into the ledger, and nothing else. Reads only."""
    return [
        *_server(identity),
        *_ledger(conn, catalog.rows(conn, "privileges", schema=schema)[0], identity),
    ]


def check_schema(conn: Session, name: str) -> list[CheckResult]:
    """Check that the schema exists and may be used, and that the ledger, if there is one, can be
    read. Reads only.
    """
    privileges = catalog.rows(conn, "privileges", schema=name)[0]
    readable = result(
        "ledger",
        "can be read",
        privileges["ledger_readable"],
        "cannot be read",
        expected="USAGE on schema pgrunbook; SELECT on its tables",
        found=f"role {conn.info.user} lacks one of them",
        remedy="run as the role that made the ledger, or let it grant them",
    )
    usable = _schema(name, privileges, conn.info.user, creates=False)
    ledgers = server_checks.check_ledger(
        conn, there=privileges["ledger_exists"], readable=privileges["ledger_readable"]
    )
    return [
        *usable,
        *server_checks.check_catalog_is_utf8(conn, name),
        readable,
        *ledgers,
    ]


def _server(identity: Identity) -> Iterator[CheckResult]:
    where = "server"
    yield result(
        where,
        "is a primary",
        identity.recovery == "primary",
        "is not a primary",
        expected="a primary",
        found="a standby, in recovery",
        remedy="connect to the primary",
    )
    yield result(
        where,
        "takes writes",
        not identity.read_only,
        "is read-only for this role",
        expected="default_transaction_read_only = off",
        found="on, set for the server, the database or the role",
        remedy="connect with a role, or to a database, that may write",
    )


def _schema(
    schema: str, privileges: Mapping[str, Any], role: str, *, creates: bool
) -> Iterator[CheckResult]:
    where = f"schema {schema}"
    check, expected = "exists, and we may use it", "a schema that this role may use"
    if schema == "$user":
        yield result(
            where,
            check,
            False,
            "cannot be looked into",
            expected=expected,
            found="search_path takes its name for that of the role",
            remedy='ALTER SCHEMA "$user" RENAME TO another_name',
        )
        return
    if not privileges["schema_exists"]:
        yield result(
            where,
            check,
            False,
            "does not exist",
            expected=expected,
            found="no schema of that name",
            remedy="name another: -p schema NAME for a run, --schema NAME for any other command",
        )
        return
    yield result(
        where,
        check,
        privileges["schema_usage"],
        "may not be used",
        expected=expected,
        found="no USAGE privilege",
        remedy=_grant("USAGE", "SCHEMA", schema, role),
    )
    if creates:
        yield result(
            where,
            "lets us create objects",
            privileges["schema_create"],
            "takes no objects of this role",
            expected="CREATE privilege",
            found="none",
            remedy=_grant("CREATE", "SCHEMA", schema, role),
        )


def _ledger(
    conn: Session, privileges: Mapping[str, Any], identity: Identity
) -> Iterator[CheckResult]:
    if not privileges["ledger_exists"]:
        yield _can_be_created(privileges, identity)
        return
    yield result(
        "ledger",
        "can be written",
        privileges["ledger_writable"],
        "cannot be written",
        expected="USAGE on schema pgrunbook; SELECT and INSERT on its tables",
        found=f"role {identity.role} lacks one of them",
        remedy="run as the role that made the ledger, or let it grant them",
    )
    if (version := versions.installed(conn)) < versions.SCHEMA_VERSION:
        yield result(
            "ledger",
            f"can be brought up to version {versions.SCHEMA_VERSION}",
            privileges["ledger_owned"],
            f"cannot be brought up to version {versions.SCHEMA_VERSION} by this role",
            expected="its schema and tables owned by this role, or by one that it is a member of",
            found=f"version {version}, owned by {privileges['ledger_owner']}",
            remedy=f"run as {privileges['ledger_owner']}, which also has to grant what this role "
            "is to write",
        )


def _can_be_created(privileges: Mapping[str, Any], identity: Identity) -> CheckResult:
    return result(
        "ledger",
        "can be created",
        privileges["database_create"],
        "cannot be created",
        expected=f"CREATE privilege on database {identity.database}, to make the schema pgrunbook",
        found="none",
        remedy=_grant("CREATE", "DATABASE", identity.database, identity.role),
    )


def _temporary(privileges: Mapping[str, Any], identity: Identity) -> CheckResult:
    return result(
        "verification",
        "may probe temporary copies",
        privileges["database_temporary"],
        "may make no temporary tables",
        expected=f"TEMPORARY privilege on database {identity.database}",
        found="none",
        remedy=_grant("TEMPORARY", "DATABASE", identity.database, identity.role),
    )


def _grant(privilege: str, kind: str, name: str, role: str) -> str:
    return f"GRANT {privilege} ON {kind} {quoted(name)} TO {quoted(role)}"


# What each variant of a block that admits a value changes: the variable that names it, its kind,
# and the use, see `requirements.check_use`.
_CHANGES = {
    "check": ("table", "table", "alter"),
    "check_no_inherit": ("table", "table", "alter"),
    "varchar": ("table", "table", "alter"),
    "lookup": ("table", "table", "insert"),
    "enum": ("type", "type", "alter"),
    "domain": ("domain", "type", "alter"),
}


def _check_changed(
    conn: Session, decisions: Sequence[Decision], role: str
) -> Iterator[CheckResult]:
    """Check what the chosen variants change: a table or a type must belong to the role, a lookup
    table must take its rows.
    """
    for decision in decisions:
        if not decision.pending:
            continue
        for variant, variables in decision.block.choices:
            variable, kind, use = _CHANGES[variant]
            names = {"table": None, "type": None, kind: variables[variable]}
            for row in catalog.rows(conn, "changed", **names):
                yield check_use(use, row, variables[variable], role)


def _decision_results(
    decision: Decision, there: NeededRelations, named: Collection[str]
) -> list[CheckResult]:
    """Return the results of a decision: its problems, or that there is none. Nothing if a table or
    a column is missing that another failed result has `named`: that is the reason for the problems.
    """
    block = decision.block
    if block.admits and block.admits[:2] not in there.columns:
        table, column, _ = block.admits
        if table in named or f"{table}.{column}" in named:
            return []
    if decision.problems and any(need.table in named for need in block.needs):
        return []
    if decision.problems:
        return [CheckResult(block.name, problem.what, problem) for problem in decision.problems]
    return [CheckResult(block.name, f"can be decided: {decision.action}")]
