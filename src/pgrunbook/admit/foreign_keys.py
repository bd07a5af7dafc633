"""Foreign keys of a column: whether the lookup table has the value, or can take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from psycopg import sql

from pgrunbook.admit.findings import Constraint, Obstacle
from pgrunbook.admit.try_check import as_it_is

if TYPE_CHECKING:
    from pgrunbook.admit.inspect_column import Inspection

Row: TypeAlias = Mapping[str, Any]

_MAX_DEPTH = 5  # lookup tables whose values are looked up in lookup tables


def judge(inspection: Inspection, key: Row) -> None:
    """Add what the foreign key constrains; and where its lookup table lacks the value, what it
    takes to insert it there.
    """
    found = inspection.found
    if inspection.depth == _MAX_DEPTH:
        remedy = f"insert {inspection.value!r} into {key['lookup']} by hand"
        found.problem(
            f"the lookup tables up to {key['lookup']} depend on each other", remedy=remedy
        )
        return
    lookup = inspection.lookup(key, key["lookup_column"])
    accepts = lookup.accepts and _is_in(inspection, key, lookup)
    found.constraints.append(
        Constraint(
            "foreign key",
            key["name"],
            key["definition"],
            accepts,
            key["validated"],
            inspection.owner,
        )
    )
    found.constraints += [c for c in lookup.found.constraints if c not in found.constraints]
    if not accepts:
        found.problems += lookup.found.problems
        if lookup.types:  # else it was not judged at all
            _insert(inspection, key, lookup)


def _is_in(inspection: Inspection, key: Row, lookup: Inspection) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE CAST({} AS {}) {} {})")
    table = sql.Identifier(key["lookup_schema"], key["lookup_table"])
    base = lookup.types[-1]
    parts = (as_it_is(base[name]) for name in ("qualified", "equals"))
    found = query.format(
        table, sql.Identifier(key["lookup_column"]), *parts, sql.Literal(inspection.value)
    )
    return bool(inspection.answer(found))


def _insert(inspection: Inspection, key: Row, lookup: Inspection) -> None:
    """Note the INSERT into the lookup table, after all that has to make room for it there."""
    found = f"lookup table {key['lookup']} lacks {inspection.value!r}"
    remedy = f"insert what is needed into {key['lookup']} by hand"
    required = inspection.rows(
        "required", schema=lookup.schema, table=lookup.table, column=lookup.column
    )
    unfilled = [row for row in required if not inspection.lookup(key, row["column"]).accepts]
    if key["width"] > 1:
        inspection.found.problem(
            f"{found}, and foreign key {key['name']} holds several columns", remedy=remedy
        )
    elif any(obstacle.variant == "enum" for obstacle in lookup.found.obstacles):
        reason = "PostgreSQL lets nobody use a label in the transaction that adds it to its enum"
        inspection.found.problem(
            found, found=reason, remedy="add the label by hand, commit, and " + remedy
        )
    elif unfilled:
        columns = ", ".join(f"{row['column']} {row['type']} NOT NULL" for row in unfilled)
        inspection.found.problem(found, found=f"a row needs {columns}", remedy=remedy)
    else:
        inspection.found.note(
            *lookup.found.obstacles,
            _insertion(key, [row["column"] for row in required], inspection.value, found),
        )


def _insertion(key: Row, filled: Sequence[str], value: str, found: str) -> Obstacle:
    columns = [key["lookup_column"], *filled]
    variables = {
        "table": key["lookup"],
        "column": key["lookup_column"],
        "value": value,
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)).as_string(),
        "values": sql.SQL(", ").join([sql.Literal(value)] * len(columns)).as_string(),
    }
    also = f"; its {', '.join(filled)} must be filled in, and gets the same text" if filled else ""
    return Obstacle("lookup", variables, found + also)
