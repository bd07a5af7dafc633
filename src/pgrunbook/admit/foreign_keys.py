"""Judges the foreign keys of a column: whether the lookup table has the value, or can take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from psycopg import sql

from pgrunbook.admit.check_evaluator import as_it_is
from pgrunbook.admit.findings import Constraint, Obstacle

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
        what = f"the lookup tables up to {key['lookup']} depend on each other"
        remedy = f"insert {inspection.value!r} into {key['lookup']} by hand"
        found.problem(what, remedy=remedy)
        return
    lookup = inspection.lookup(key, key["lookup_column"])
    accepts = lookup.accepts and _is_in(inspection, key, lookup)
    constraint = Constraint(
        "foreign key",
        key["name"],
        key["definition"],
        accepts,
        key["validated"],
        inspection.owner,
    )
    found.constraints.append(constraint)
    for each in lookup.found.constraints:
        if each not in found.constraints:
            found.constraints.append(each)
    if not accepts:
        found.problems += lookup.found.problems
        if lookup.types:  # else it was not judged at all
            _insert(inspection, key, lookup)


def _is_in(inspection: Inspection, key: Row, lookup: Inspection) -> bool:
    """Whether the lookup table has the value. It is compared as the base type, by an operator that
    is named with its schema: an operator of somebody else's is never called.
    """
    base = lookup.types[-1]
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE CAST({} AS {}) {} {})").format(
        sql.Identifier(key["lookup_schema"], key["lookup_table"]),
        sql.Identifier(key["lookup_column"]),
        as_it_is(base["qualified"]),
        as_it_is(base["equals"]),
        sql.Literal(inspection.value),
    )
    return bool(inspection.answer(query))


def _insert(inspection: Inspection, key: Row, lookup: Inspection) -> None:
    """Note the INSERT into the lookup table, after all that has to make room for it there."""
    found = f"lookup table {key['lookup']} lacks {inspection.value!r}"
    remedy = f"insert what is needed into {key['lookup']} by hand"
    required = inspection.rows(
        "required", schema=lookup.schema, table=lookup.table, column=lookup.column
    )
    # Every column that needs a value gets the same text. If one cannot take it, a person has to say
    # what the row is to have.
    unfilled = [row for row in required if not inspection.lookup(key, row["column"]).accepts]
    if key["width"] > 1:
        what = f"{found}, and foreign key {key['name']} holds several columns"
        inspection.found.problem(what, remedy=remedy)
    elif any(obstacle.variant == "enum" for obstacle in lookup.found.obstacles):
        reason = "PostgreSQL lets nobody use a label in the transaction that adds it to its enum"
        remedy = f"add the label by hand, commit, and {remedy}"
        inspection.found.problem(found, found=reason, remedy=remedy)
    elif unfilled:
        columns = ", ".join(f"{row['column']} {row['type']} NOT NULL" for row in unfilled)
        inspection.found.problem(found, found=f"a row needs {columns}", remedy=remedy)
    else:
        filled = [row["column"] for row in required]
        insertion = _insertion(key, filled, inspection.value, found)
        inspection.found.note(*lookup.found.obstacles, insertion)


def _insertion(key: Row, filled: Sequence[str], value: str, found: str) -> Obstacle:
    """Return the obstacle that an INSERT overcomes. `filled` are other columns that need a value:
    they get the same text.
    """
    columns = [key["lookup_column"], *filled]
    variables = {
        "table": key["lookup"],
        "column": key["lookup_column"],
        "value": value,
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)).as_string(),
        "values": sql.SQL(", ").join([sql.Literal(value)] * len(columns)).as_string(),
    }
    if filled:
        found += f"; its {', '.join(filled)} must be filled in, and gets the same text"
    return Obstacle("lookup", variables, found)
