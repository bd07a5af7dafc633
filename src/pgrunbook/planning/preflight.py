"""Preflight: everything that a run needs of its target, checked before anything is changed. Reads
only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from pgrunbook.checks import CheckResult, result
from pgrunbook.ledger import ledger
from pgrunbook.planning import reliance
from pgrunbook.planning.decisions import Action, Decision
from pgrunbook.postgres import catalog, search_path, types
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.identity import Identity
from pgrunbook.sqltext.needs import Need


def check(
    conn: Connection, schema: str, identity: Identity, decisions: Sequence[Decision]
) -> list[CheckResult]:
    """Everything that the blocks need of the target, one result each. Reads only."""
    privileges = catalog.rows(conn, "privileges", schema=schema)[0]
    results = [*_server(identity), *reliance.firing(conn)]
    results += _schema(schema, privileges, identity.role, creates=any(d.pending for d in decisions))
    if any(d.action is not Action.SKIP for d in decisions):
        results += [*_ledger(conn, privileges, identity), _temporary(privileges, identity)]
    results += [*_names(conn, schema, decisions), *reliance.event_triggers(conn)]
    there = _There.look(conn, schema, decisions)
    results += _needs(conn, there, decisions)
    results += _changed(conn, decisions)
    named = {result.where for result in results if result.problem}
    results += [result for decision in decisions for result in _decided(decision, there, named)]
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


@dataclass(frozen=True, slots=True)
class _There:
    """What the schema has of the relations that blocks need: the rows of `relations` by name, and
    of the tables among them those of `columns` by table and column.
    """

    schema: str
    relations: Mapping[str, Mapping[str, Any]]
    columns: Mapping[tuple[str, str], Mapping[str, Any]]

    @classmethod
    def look(cls, conn: Connection, schema: str, decisions: Sequence[Decision]) -> _There:
        names = {need.table for d in decisions for need in d.block.needs}
        names |= {table for d in decisions for table, _ in d.block.fills}
        names |= {d.block.admits.table for d in decisions if d.block.admits}
        rows = catalog.rows(conn, "relations", schema=schema, names=sorted(names))
        tables = sorted(row["name"] for row in rows if row["kind"] in _TABLES)
        columns = catalog.rows(conn, "columns", schema=schema, tables=tables)
        return cls(
            schema,
            {row["name"]: row for row in rows},
            {(row["table"], row["column"]): row for row in columns},
        )

    def is_one_of(self, kinds: Collection[str], name: str) -> bool:
        """Whether a relation of these kinds is there."""
        return name in self.relations and self.relations[name]["kind"] in kinds


_TABLES = ("table", "partitioned table")
_WITH_ROWS = (*_TABLES, "materialized view")  # what has indexes, and VACUUM takes


def _needs(conn: Connection, there: _There, decisions: Sequence[Decision]) -> Iterator[CheckResult]:
    """Tables and columns that must be there, and what the blocks that are to run must be allowed to
    do with them.
    """
    needs, pending = (
        {n for n, _ in _needed(decisions, only_pending=only)} for only in (False, True)
    )
    by = _needing(decisions)
    kinds = {n.table: _WITH_ROWS for n in needs} | {
        n.table: _TABLES for n in needs if n.use != "maintain"
    }
    for name in sorted(kinds):
        yield _table(name, there.relations.get(name), kinds[name], by[Need(name, "")])
    uses = {(n.table, n.use) for n in pending} | {
        (n.table, "read") for n in needs - pending if n.use != "reference"
    }
    for name, use in sorted(uses):
        if there.is_one_of(kinds[name], name):
            yield _may(use, there.relations[name], _quoted(there.schema, name), conn.info.user)
    yield from _columns(conn, there, by)
    referenced = {n for n in pending if (n.table, n.column) in there.columns}
    yield from _referenced(conn, there.schema, referenced)
    filled = {
        pair for d in decisions for pair in d.block.fills if there.is_one_of(_TABLES, pair[0])
    }
    for name in sorted({table for table, _ in filled}):
        columns = {column for table, column in filled if table == name}
        yield from _filled(conn, there, name, columns)


def _needed(
    decisions: Sequence[Decision], *, only_pending: bool = False
) -> Iterator[tuple[Need, str]]:
    """What the blocks need, but for what they or the blocks before them make, or may make as far as
    their texts tell; each with the block.
    """
    made: set[tuple[str, str]] = set()  # relations, and columns with their tables
    altered: set[str] = set()  # relations of which only the server knows what became of them
    for decision in decisions:
        block = decision.block
        made |= {(each.parent, each.name) for each in block.made}
        altered |= block.altered
        if decision.pending and block.runs_code:
            return  # it may make anything
        if decision.pending or not only_pending:
            for need in block.needs:
                known = need.table not in altered
                if known and made.isdisjoint((("", need.table), (need.table, need.column))):
                    yield need, block.name


def _needing(decisions: Sequence[Decision]) -> dict[Need, str]:
    """Each table and each column that is needed, and the blocks that need it: of many the first.
    What a column is for counts where a type may be another one for it: as a foreign key's.
    """
    blocks: dict[Need, dict[str, None]] = {}
    for need, block in _needed(decisions):
        use = need.use if need.use == "reference" and need.type else ""
        for about in (Need(need.table, ""), need._replace(use=use)):
            blocks.setdefault(about, {})[block] = None
    return {about: _first(list(names)) for about, names in blocks.items()}


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


_FEW = 5


def _table(
    name: str, relation: Mapping[str, Any] | None, kinds: Collection[str], by: str
) -> CheckResult:
    return result(
        name,
        "is a table",
        relation is not None and relation["kind"] in kinds,
        "is not a table" if relation else "the table is missing",
        expected=f"a table, needed by {by}",
        found=f"a {relation['kind']}" if relation else "nothing of that name",
        remedy=f"correct the block{'' if relation else ', create the table'}, or correct the "
        "parameter `schema`",
    )


_OURS = (
    "is ours to change",
    "owned",
    "is not ours to change",
    "owned by this role, or by one that it is a member of",
    "as its owner: GRANT {owner} TO {role}; or ALTER … OWNER TO a role that both are in",
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
    "alter": _OURS,
    "maintain": _OURS,
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


def _columns(conn: Connection, there: _There, by: Mapping[Need, str]) -> Iterator[CheckResult]:
    needed = sorted(n for n in by if n.column and there.is_one_of(_TABLES, n.table))
    path = _quoted(there.schema)
    written = sorted({need.type for need in needed} - {""})
    called = {each: (types.printed(conn, [each], path) or [""])[0] for each in written}
    for need in needed:
        row, type_ = there.columns.get((need.table, need.column)), called.get(need.type, "")
        fits = row is not None and type_ in ("", row["type"])
        if row and not fits and need.use == "reference":
            fits = types.comparable(conn, type_, row["type"], path)
        yield result(
            f"{need.table}.{need.column}",
            f"is there{f', {type_}' if type_ else ''}",
            fits,
            "the column is missing" if row is None else "the column is of another type",
            expected=f"{type_ or 'a column'}, needed by {by[need]}",
            found=row["type"] if row else "no such column",
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
    conn: Connection, there: _There, table: str, filled: Collection[str]
) -> Iterator[CheckResult]:
    """What the product will write fills these columns: no other one may ask it for a value.

    But for a key of one column: whoever writes a row has a way to get its key, whatever else it
    fills.
    """
    keys = catalog.rows(conn, "unique_keys", schema=there.schema, tables=[table])
    primary = [row["columns"] for row in keys if row["primary"]]
    others = sorted(
        name
        for (of, name), row in there.columns.items()
        if of == table and not row["nullable"] and row["default"] is None
        if name not in filled and [name] not in primary
    )
    if not others:
        yield CheckResult(table, "takes what will be written to it")
    for name in others:
        yield result(
            f"{table}.{name}",
            "asks for no value",
            False,
            "is mandatory, and what will be written does not fill it",
            expected="a default, or NULL allowed",
            found=f"{there.columns[table, name]['type']} NOT NULL, without a default",
            remedy=f"ALTER TABLE {_quoted(there.schema, table)} ALTER {_quoted(name)} SET DEFAULT "
            "…, or DROP NOT NULL",
        )


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


def _decided(decision: Decision, there: _There, named: Collection[str]) -> list[CheckResult]:
    """The problems of the decision, unless all there is to say is that a table or column that was
    named is missing.
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
