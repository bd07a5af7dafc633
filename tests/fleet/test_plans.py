"""Plans of several targets are the same but for whose they are, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from pgrunbook.fleet import plans


def plan(schema: str, sql: str) -> dict[str, Any]:
    """A target's plan of one block, as a run's record has it."""
    return {
        "version": 1,
        "runbook": "001_x",
        "direction": "apply",
        "target": {"database": "d", "schema": schema},
        "steps": [["010_a", "apply", sql]],
        "files": {},
        "facts": {f"table {schema}.t": sql},
        "rehearsals": [],
    }


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE {}.t ADD x int",
        "ALTER TABLE t ALTER id SET DEFAULT nextval('{}.t_id_seq'::regclass)",
        "ALTER TABLE t ADD CHECK ({}.f(a) > 0)",
    ],
)
def test_each_in_a_schema_of_its_own_is_the_same(sql: str) -> None:
    digests = {plans.digest(plan(each, sql.format(each))) for each in ("acme", "beta")}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DELETE FROM h WHERE n = 'acme.example'", "DELETE FROM h WHERE n = 'beta.example'"),
        ("ALTER TABLE t ADD CHECK (acme.f(a) > 0)", "ALTER TABLE t ADD CHECK (f(a) > 0)"),
        ("DROP TABLE acme.users", "DROP TABLE users"),
    ],
)
def test_what_is_called_as_the_schema_is_but_does_not_name_it_differs(one: str, other: str) -> None:
    assert plans.digest(plan("acme", one)) != plans.digest(plan("beta", other))
