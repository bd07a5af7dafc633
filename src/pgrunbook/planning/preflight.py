"""Preflight: everything that a run needs of its target, checked before anything is changed. Reads
only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pglast.stream import maybe_double_quote_name
from psycopg import sql

from pgrunbook.checks import CheckResult, result
from pgrunbook.ledger import ledger
from pgrunbook.planning import reliance
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres import catalog, search_path
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.identity import Identity
from pgrunbook.sqltext.shape import Facts, Key, Need


def check(
    conn: Connection, schema: str, identity: Identity, decisions: Sequence[Decision], found: Facts
) -> list[CheckResult]:
    """Everything that the blocks need of the target, one result each. Reads only."""
    privileges = catalog.rows(conn, "privileges", schema=schema)[0]
    results = [*_server(identity), *reliance.firing(conn)]
    results += _schema(schema, privileges, identity.role, creates=any(d.pending for d in decisions))
    if any(d.action is not Action.SKIP for d in decisions):
        results += [*_ledger(conn, privileges, identity), _temporary(privileges, identity)]
    results += [*_names(conn, schema, decisions), *reliance.event_triggers(conn)]
    results += _needs(conn, schema, decisions, found)
    results += _changed(conn, decisions)
    named = {result.where for result in results if result.problem}
    results += [result for decision in decisions for result in _decided(decision, found, named)]
    return list(dict.fromkeys(results))


def _names(conn: Connection, schema: str, decisions: Sequence[Decision]) -> Iterator[CheckResult]:
    """Whether names mean what pg_catalog means by them, in every schema that a block sees."""
    yield from reliance.names(conn, schema)
    paths = {d.block.search_path for d in decisions if d.pending} - {""}
    seen = {name for path in paths for name in search_path.schemas(conn, path)}
    for name in sorted(seen - {schema}):
        yield from reliance.names(conn, name)


def ledger_alone(conn: Connection, schema: str, identity: Identity) -> list[CheckResult]:
    """What it takes to write into the ledger, and nothing else. Reads only."""
    return [
        *_server(identity),
        *_ledger(conn, catalog.rows(conn, "privileges", schema=schema)[0], identity),
    ]


def schema(conn: Connection, name: str) -> list[CheckResult]:
    """Whether the schema is there and may be used, and the ledger, if there is one, can be read.
    Reads only.
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
    ledgers = reliance.ledger_checks(
        conn, there=privileges["ledger_exists"], readable=privileges["ledger_readable"]
    )
    return [*usable, *reliance.texts(conn, name), *reliance.names(conn, name), readable, *ledgers]


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
    exists = privileges["schema_exists"]
    yield result(
        where,
        "exists, and we may use it",
        exists and privileges["schema_usage"],
        "may not be used" if exists else "does not exist",
        expected="a schema that this role may use",
        found="no USAGE privilege" if exists else "no schema of that name",
        remedy=_grant("USAGE", "SCHEMA", schema, role)
        if exists
        else "correct the parameter `schema`",
    )
    if creates and exists:
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
    conn: Connection, privileges: Mapping[str, Any], identity: Identity
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
    if (version := ledger.installed(conn)) < ledger.SCHEMA_VERSION:
        yield result(
            "ledger",
            f"can be brought up to version {ledger.SCHEMA_VERSION}",
            privileges["ledger_owned"],
            f"cannot be brought up to version {ledger.SCHEMA_VERSION} by this role",
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
    return f"GRANT {privilege} ON {kind} {_quoted(name)} TO {_quoted(role)}"


def _quoted(*name: str) -> str:
    return sql.Identifier(*name).as_string()


def _needs(
    conn: Connection, schema: str, decisions: Sequence[Decision], found: Facts
) -> Iterator[CheckResult]:
    """Tables and columns that must be there, and what the blocks that are to run must be allowed to
    do with them.
    """
    needs, pending = (
        {n for n, _ in _needed(decisions, only_pending=only)} for only in (False, True)
    )
    by = _needing(decisions)
    names = sorted({need.table for need in needs})
    relations = {r["name"]: r for r in catalog.rows(conn, "relations", schema=schema, names=names)}
    for name in names:
        yield _table(name, relations.get(name), by[Need(name, "")])
    uses = {(n.table, n.use) for n in pending} | {
        (n.table, "read") for n in needs - pending if n.use == "alter"
    }
    for name, use in sorted(pair for pair in uses if Key("table", pair[0]) in found):
        yield _may(use, relations[name], _quoted(schema, name), conn.info.user)
    for need in sorted(n for n in by if n.column and Key("table", n.table) in found):
        yield _column(need, found, by[need])
    there = {n for n in pending if Key("column", n.table, n.column) in found}
    yield from _referenced(conn, schema, there)
    filled = {pair for d in decisions for pair in d.block.fills if Key("table", pair[0]) in found}
    for name in sorted({table for table, _ in filled}):
        yield from _filled(
            schema, name, {column for table, column in filled if table == name}, found
        )


def _needed(
    decisions: Sequence[Decision], *, only_pending: bool = False
) -> Iterator[tuple[Need, str]]:
    """What the blocks need, but for what they or the blocks before them make, or may make as far as
    their texts tell; each with the block.
    """
    made: set[Key] = set()
    altered: set[str] = set()  # relations of which only the server knows what became of them
    for decision in decisions:
        block = decision.block
        made.update(block.facts)
        altered |= block.altered
        if decision.pending and block.runs_code:
            return  # it may make anything
        if decision.pending or not only_pending:
            for need in block.needs:
                known = need.table not in altered
                if known and made.isdisjoint(
                    (Key("table", need.table), Key("column", need.table, need.column))
                ):
                    yield need, block.name


def _needing(decisions: Sequence[Decision]) -> dict[Need, str]:
    """Each table and each column that is needed, whatever its use, and the blocks that need it: of
    many the first.
    """
    blocks: dict[Need, dict[str, None]] = {}
    for need, block in _needed(decisions):
        for about in (Need(need.table, ""), need._replace(use="")):
            blocks.setdefault(about, {})[block] = None
    return {about: _first(list(names)) for about, names in blocks.items()}


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


_FEW = 5


def _table(name: str, relation: Mapping[str, Any] | None, by: str) -> CheckResult:
    return result(
        name,
        "is a table",
        relation is not None and relation["kind"] in ("table", "partitioned table"),
        "is not a table" if relation else "the table is missing",
        expected=f"a table, needed by {by}",
        found=f"a {relation['kind']}" if relation else "nothing of that name",
        remedy=f"correct the block{'' if relation else ', create the table'}, or correct the "
        "parameter `schema`",
    )


# For each use of an object: the check, the catalog's answer, what is wrong if it is no, what is
# expected, the remedy.
_MAY = {
    "read": (  # by the verification
        "may be read",
        "readable",
        "may not be read by this role",
        "SELECT privilege",
        "as its owner: GRANT SELECT ON {name} TO {role}",
    ),
    "alter": (
        "is ours to change",
        "owned",
        "is not ours to change",
        "owned by this role, or by one that it is a member of",
        "as its owner: GRANT {owner} TO {role}; or ALTER … OWNER TO a role that both are in",
    ),
    "reference": (
        "may be referenced",
        "referable",
        "may not be referenced by this role",
        "REFERENCES privilege",
        "as its owner: GRANT REFERENCES ON {name} TO {role}",
    ),
    "insert": (
        "takes rows from us",
        "insertable",
        "takes no rows from this role",
        "SELECT and INSERT privileges",
        "as its owner: GRANT SELECT, INSERT ON {name} TO {role}",
    ),
}


def _may(use: str, relation: Mapping[str, Any], named: str, role: str) -> CheckResult:
    check, answer, what, expected, remedy = _MAY[use]
    names = {"owner": relation["owner"], "name": named, "role": _quoted(role)}
    found = f"owned by {relation['owner']}"
    remedy = remedy.format(**names)
    return result(
        relation["name"],
        check,
        relation[answer],
        what,
        expected=expected,
        found=found,
        remedy=remedy,
    )


def _column(need: Need, found: Facts, by: str) -> CheckResult:
    there = found.get(Key("column", need.table, need.column))
    return result(
        f"{need.table}.{need.column}",
        f"is there{f', {need.type}' if need.type else ''}",
        there is not None and need.type in ("", there),
        "the column is missing" if there is None else "the column is of another type",
        expected=f"{need.type or 'a column'}, needed by {by}",
        found=there or "no such column",
        remedy="correct the block, or bring the table to the expected shape first",
    )


def _referenced(conn: Connection, schema: str, needs: Iterable[Need]) -> Iterator[CheckResult]:
    """A column that a foreign key references must be a unique key, or part of one that is
    referenced as a whole.
    """
    wanted = {(need.table, need.column) for need in needs if need.use == "reference"}
    rows = catalog.rows(
        conn, "unique_keys", schema=schema, tables=sorted({table for table, _ in wanted})
    )
    keys = [{(row["table"], column) for column in row["columns"]} for row in rows]
    for table, column in sorted(wanted):
        yield result(
            f"{table}.{column}",
            "is unique, so that it can be referenced",
            any((table, column) in key and key <= wanted for key in keys),
            "is not unique, so no foreign key can reference it",
            expected=f"PRIMARY KEY ({column}) or UNIQUE ({column})",
            found="neither",
            remedy="add one to the table first",
        )


def _filled(
    schema: str, table: str, columns: Collection[str], found: Facts
) -> Iterator[CheckResult]:
    """What the product will write fills these columns: no other one may ask it for a value.

    But for a key of one column: whoever writes a row has a way to get its key, whatever else it
    fills.
    """
    facts = {key: value for key, value in found.items() if key.table == table}
    mandatory = {key.name for key in facts if key.kind == "not null"} - set(columns)
    filled = {key.name for key in facts if key.kind in ("default", "generated")}
    others = sorted(name for name in mandatory - filled if not _is_key(name, facts))
    if not others:
        yield CheckResult(table, "takes what will be written to it")
    for name in others:
        yield result(
            f"{table}.{name}",
            "asks for no value",
            False,
            "is mandatory, and what will be written does not fill it",
            expected="a default, or NULL allowed",
            found=f"{facts[Key('column', table, name)]} NOT NULL, without a default",
            remedy=f"ALTER TABLE {_quoted(schema, table)} ALTER {_quoted(name)} SET DEFAULT …, or "
            "DROP NOT NULL",
        )


def _is_key(column: str, facts: Facts) -> bool:
    alone = f"PRIMARY KEY ({maybe_double_quote_name(column)})"
    return any(definition.startswith(alone) for definition in facts.values())


# What each variant changes: the variable that names it, the kind of thing that it is, and the use.
_CHANGES = {
    "check": ("table", "table", "alter"),
    "check_no_inherit": ("table", "table", "alter"),
    "varchar": ("table", "table", "alter"),
    "lookup": ("table", "table", "insert"),
    "enum": ("type", "type", "alter"),
    "domain": ("domain", "type", "alter"),
}


def _changed(conn: Connection, decisions: Sequence[Decision]) -> Iterator[CheckResult]:
    """What the chosen variants change: a table or type must be ours, a lookup table must take our
    rows.
    """
    for variant, variables in (
        choice for d in decisions if d.pending for choice in d.block.choices
    ):
        variable, kind, use = _CHANGES[variant]
        names = {"table": None, "type": None} | {kind: variables[variable]}
        for row in catalog.rows(conn, "changed", **names):
            yield _may(use, row, variables[variable], conn.info.user)


def _decided(decision: Decision, found: Facts, named: Collection[str]) -> list[CheckResult]:
    """The problems of the decision, unless all there is to say is that a table or column that was
    named is missing.
    """
    block = decision.block
    if block.admits and Key("column", *block.admits[:2]) not in found:
        table, column, _ = block.admits
        if table in named or f"{table}.{column}" in named:
            return []
    if decision.problems and any(need.table in named for need in block.needs):
        return []
    if decision.problems:
        return [CheckResult(block.name, problem.what, problem) for problem in decision.problems]
    return [CheckResult(block.name, f"can be decided: {decision.action}")]
