"""Checks that the target has the tables and columns that blocks need, and that the blocks may do
with them what they do. Reads only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.decisions import Decision
from pgrunbook.postgres import catalog, search_path, types
from pgrunbook.postgres.session import Session
from pgrunbook.records.words import listed
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext.needs import Need


@dataclass(frozen=True, slots=True)
class NeededRelations:
    """The relations that blocks need, as far as they are there: in the run's schema, or in one
    behind it.

    - `relations` are rows of the catalog query of that name, by the relations' names: they say what
      this role may do, and in which `schema` each is.
    - `columns` are rows of the catalog query of that name, by table and column.
    - `by_role` has the relations again for each role that blocks run as.
    """

    relations: Mapping[str, Mapping[str, Any]]
    columns: Mapping[tuple[str, str], Mapping[str, Any]]
    by_role: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def read(
        cls, conn: Session, decisions: Sequence[Decision], roles: Iterable[str] = ()
    ) -> NeededRelations:
        """Read all that these blocks need, fill, or admit a value to; for these roles, too."""
        names = set()
        for decision in decisions:
            block = decision.block
            names |= {need.table for need in block.needs}
            names |= {table for table, _ in block.fills}
            if block.admits:
                names.add(block.admits.table)

        ours = _relations(conn, names, None)
        columns: dict[tuple[str, str], Mapping[str, Any]] = {}
        for schema, tables in _by_schema(ours, ours).items():
            asked = {"schema": schema, "tables": tables, "printed_for": conn.schema}
            for row in catalog.rows(conn, "columns", **asked):
                columns[row["table"], row["column"]] = row
        return cls(ours, columns, {role: _relations(conn, names, role) for role in roles})

    def is_one_of(self, kinds: Collection[str], name: str) -> bool:
        """Whether a relation of these kinds is there."""
        return name in self.relations and self.relations[name]["kind"] in kinds


_TABLES = ("table", "partitioned table")


def _relations(
    conn: Session, names: Collection[str], role: str | None
) -> dict[str, Mapping[str, Any]]:
    """Return what the role may do with each: of the first schema that has it."""
    found: dict[str, Mapping[str, Any]] = {}
    for schema in search_path.default(conn):
        asked = {"schema": schema, "names": sorted({*names} - found.keys()), "role": role}
        if asked["names"]:
            for row in catalog.rows(conn, "relations", **asked):
                found[row["name"]] = {**row, "schema": schema}
    return found


def _by_schema(
    relations: Mapping[str, Mapping[str, Any]], names: Iterable[str]
) -> dict[str, list[str]]:
    """Return those of these relations that are tables, by their schemas."""
    tables: dict[str, list[str]] = {}
    for name in sorted(names):
        if name in relations and relations[name]["kind"] in _TABLES:
            tables.setdefault(relations[name]["schema"], []).append(name)
    return tables


# What may be where a table is needed, by the use of it.
_KINDS = {
    "reference": _TABLES,
    "alter": (*_TABLES, "foreign table"),
    "maintain": (*_TABLES, "materialized view"),
    "comment": (*_TABLES, "foreign table", "view", "materialized view", "composite type"),
}


def check(
    conn: Session, there: NeededRelations, decisions: Sequence[Decision], role: str
) -> Iterator[CheckResult]:
    """Check that the tables and columns exist that blocks need, and that the role may do with them
    what the pending blocks do.
    """
    needs = {need for need, _ in _needs(decisions)}
    of_pending = [*_needs(decisions, only_pending=True)]
    pending = {need for need, _ in of_pending}
    by = _blocks_by_need(decisions)
    kinds: dict[str, set[str]] = {}
    for need in needs:
        kinds.setdefault(need.table, {*_KINDS[need.use]}).intersection_update(_KINDS[need.use])
    for name in sorted(kinds):
        yield _table(name, there.relations.get(name), kinds[name], by[Need(name, "")])
    uses = {(need.table, need.use, block.role) for need, block in of_pending}
    # Verify scripts read the tables that blocks have changed, also if these are done.
    for need in needs - pending:
        if need.use in ("alter", "maintain"):
            uses.add((need.table, "read", ""))
    for name, use, made_by in sorted(uses):
        if there.is_one_of(kinds[name], name):
            row = there.by_role.get(made_by, there.relations)[name]
            yield check_use(use, row, quoted(row["schema"], name), made_by or role)
    yield from _columns(conn, there, by)
    referenced = {n for n in pending if (n.table, n.column) in there.columns}
    yield from _referenced(conn, there, referenced)
    filled: dict[str, set[str]] = {}
    for decision in decisions:
        for table, column in decision.block.fills:
            if there.is_one_of(_TABLES, table):
                filled.setdefault(table, set()).add(column)
    for table in sorted(filled):
        yield from _filled(conn, there, table, filled[table])


def _needs(
    decisions: Sequence[Decision], *, only_pending: bool = False
) -> Iterator[tuple[Need, Block]]:
    """Yield what the blocks need, each with the block; but for what they or the blocks before them
    make, or may make as far as their texts show, and what any block has made already: its name may
    have meant something else, behind the run's schema, to the blocks before it. What a block that
    is done has needed, another one that is done may have taken away.
    """
    done = [decision.block for decision in decisions if not decision.pending]
    made: set[tuple[str, str]] = set()  # relations, and columns with their tables
    altered: set[str] = set()  # relations of which only the server knows what became of them
    for block in done:
        made |= {(each.parent, each.name) for each in block.made}
        altered |= block.altered
    code_ran = any(block.runs_code for block in done)  # it may have made anything, and dropped it
    for decision in decisions:
        block = decision.block
        made |= {(each.parent, each.name) for each in block.made}
        altered |= block.altered
        if decision.pending and block.runs_code:
            return  # it may make anything: nothing can be said of the blocks behind it
        if not decision.pending and (only_pending or code_ran):
            continue
        for need in block.needs:
            of_blocks = ("", need.table) in made or (need.table, need.column) in made
            if need.table not in altered and not of_blocks:
                yield need, block


def _blocks_by_need(decisions: Sequence[Decision]) -> dict[Need, str]:
    """Return the names of the blocks that need each table and column, the first few of many."""
    blocks: dict[Need, dict[str, None]] = {}
    for need, block in _needs(decisions):
        # A foreign key's column may have another type than the one that is needed, if the two can
        # be compared. For any other use the type must be the same, and the uses count as one.
        use = need.use if need.use == "reference" and need.type else ""
        for about in (Need(need.table, ""), need._replace(use=use)):
            blocks.setdefault(about, {})[block.name] = None
    return {about: listed(list(names), _LISTED) for about, names in blocks.items()}


_LISTED = 5  # blocks that need the same


def _table(
    name: str, relation: Mapping[str, Any] | None, kinds: Collection[str], by: str
) -> CheckResult:
    check, expected = "is a table", f"a table, needed by {by}"
    if relation is None:
        return result(
            name,
            check,
            False,
            "the table is missing",
            expected=expected,
            found="nothing of that name",
            remedy="correct the block, create the table, or correct the parameter `schema`",
        )
    return result(
        name,
        check,
        relation["kind"] in kinds,
        "is not a table",
        expected=expected,
        found=f"a {relation['kind']}",
        remedy="correct the block, or correct the parameter `schema`",
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
    "comment": _OURS,
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


def check_use(use: str, relation: Mapping[str, Any], named: str, role: str) -> CheckResult:
    """Check whether the role may use an object in this way.

    `relation` is a row that has the catalog's answers for the role; `named` is how SQL writes the
    object's name.
    """
    check, answer, what, expected, remedy = _MAY[use]
    names = {"owner": relation["owner"], "name": named, "role": quoted(role)}
    found = f"owned by {relation['owner']}"
    return result(
        relation["name"],
        check,
        relation[answer],
        what,
        expected=expected,
        found=found,
        remedy=remedy.format(**names),
    )


def _columns(
    conn: Session, there: NeededRelations, by: Mapping[Need, str]
) -> Iterator[CheckResult]:
    needs = sorted(n for n in by if n.column and there.is_one_of(_TABLES, n.table))
    path = search_path.of(conn)
    printed = {"": ""}  # types as the server prints them, by how the block writes them
    for need in needs:
        if need.type not in printed:
            printed[need.type] = (types.format_types(conn, [need.type], path) or [""])[0]
    for need in needs:
        row, type_ = there.columns.get((need.table, need.column)), printed[need.type]
        what, found, fits = "the column is missing", "no such column", False
        if row:
            what, found = "the column is of another type", row["type"]
            fits = type_ in ("", found)
            if not fits and need.use == "reference":
                fits = types.are_comparable(conn, type_, found, path)
        yield result(
            f"{need.table}.{need.column}",
            f"is there, {type_}" if type_ else "is there",
            fits,
            what,
            expected=f"{type_ or 'a column'}, needed by {by[need]}",
            found=found,
            remedy="correct the block, or bring the table to the expected shape first",
        )


def _referenced(
    conn: Session, there: NeededRelations, needs: Iterable[Need]
) -> Iterator[CheckResult]:
    """Check that each column that a foreign key refers to is a unique key, or part of one whose
    columns are all referred to.
    """
    wanted = {(need.table, need.column) for need in needs if need.use == "reference"}
    referable: set[tuple[str, str]] = set()
    for schema, tables in _by_schema(there.relations, {table for table, _ in wanted}).items():
        for row in catalog.rows(conn, "unique_keys", schema=schema, tables=tables):
            key = {(row["table"], column) for column in row["columns"]}
            if key <= wanted:
                referable |= key
    for table, column in sorted(wanted):
        yield result(
            f"{table}.{column}",
            "is unique, so that it can be referenced",
            (table, column) in referable,
            "is not unique, so no foreign key can reference it",
            expected=f"PRIMARY KEY ({column}) or UNIQUE ({column})",
            found="neither",
            remedy="add one to the table first",
        )


def _filled(
    conn: Session, there: NeededRelations, table: str, filled: Collection[str]
) -> Iterator[CheckResult]:
    """Check that a row can be written with the `filled` columns alone: all others must have a
    default, or allow NULL. So the application can write to the table once the blocks are done.
    """
    schema = there.relations[table]["schema"]
    keys = catalog.rows(conn, "unique_keys", schema=schema, tables=[table])
    primary = [row["columns"] for row in keys if row["primary"]]
    mandatory = []
    for (of, name), row in there.columns.items():
        if of != table or row["nullable"] or row["default"] is not None:
            continue
        # Whoever writes a row has a way to get its primary key.
        if name not in filled and [name] not in primary:
            mandatory.append(name)
    if not mandatory:
        yield CheckResult(table, "takes what will be written to it")
    for name in sorted(mandatory):
        yield result(
            f"{table}.{name}",
            "asks for no value",
            False,
            "is mandatory, and what will be written does not fill it",
            expected="a default, or NULL allowed",
            found=f"{there.columns[table, name]['type']} NOT NULL, without a default",
            remedy=f"ALTER TABLE {quoted(schema, table)} ALTER {quoted(name)} SET DEFAULT "
            "…, or DROP NOT NULL",
        )


def quoted(*name: str) -> str:
    """Return the name as SQL writes it, quoted."""
    return sql.Identifier(*name).as_string()
