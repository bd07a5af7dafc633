"""What must be there already for a statement, by its text."""

from __future__ import annotations

import pglast
import pytest

from pgrunbook.sqltext.needs import Need, alters, needs

REFERENCED = [Need("u", "reference"), Need("u", "reference", "id", "uuid")]


@pytest.mark.parametrize(
    ("statement", "needed"),
    [
        ("CREATE TABLE t (a int)", []),
        ("CREATE TABLE t (a uuid REFERENCES u (id))", REFERENCED),
        ("CREATE TABLE t (a uuid, FOREIGN KEY (a) REFERENCES u (id))", REFERENCED),
        ("CREATE TABLE t (a uuid REFERENCES u)", REFERENCED[:1]),
        ("CREATE TABLE t (a uuid REFERENCES other.u (id))", []),
        ("ALTER TABLE t ADD b int", [Need("t", "alter")]),
        ("ALTER TABLE IF EXISTS t ADD b int", []),
        ("ALTER TABLE t ADD b uuid REFERENCES u (id)", [Need("t", "alter"), *REFERENCED]),
        (
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id) NOT VALID",
            [Need("t", "alter"), Need("u", "reference"), Need("u", "reference", "id")],
        ),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", [Need("t", "alter")]),
        ("ALTER TABLE t DETACH PARTITION p", [Need("t", "alter"), Need("p", "alter")]),
        ("ALTER TABLE t ADD PRIMARY KEY USING INDEX i", [Need("t", "alter")]),
        ("ALTER TABLE v OWNER TO ada", []),  # which may be a view
        (
            "CREATE INDEX i ON t (a, lower(b))",
            [Need("t", "maintain"), Need("t", "maintain", "a")],
        ),
        ("VACUUM t, u", [Need("t", "maintain"), Need("u", "maintain")]),
        ("COMMENT ON TABLE t IS 'x'", [Need("t", "alter")]),
        ("COMMENT ON COLUMN t.a IS 'x'", [Need("t", "comment", "a")]),
        ("COMMENT ON CONSTRAINT c ON t IS 'x'", [Need("t", "alter")]),
        ("COMMENT ON COLUMN s.t.a IS 'x'", []),
        ("COMMENT ON TYPE e IS 'x'", []),
        ("DROP TABLE t", []),
    ],
)
def test_what_a_statement_needs(statement: str, needed: list[Need]) -> None:
    (parsed,) = pglast.parse_sql(statement)
    assert needs(parsed.stmt) == needed


@pytest.mark.parametrize(
    ("statement", "altering"),
    [
        ("CREATE TABLE t (a int)", False),
        ("ALTER TABLE t ADD b int", False),
        ("ALTER TABLE t ADD b int, DROP a", True),
        ("ALTER TABLE t RENAME a TO b", True),
        ("DROP TABLE t", True),
        ("UPDATE t SET a = 1", False),
        ("DO 'BEGIN END'", True),
    ],
)
def test_what_may_be_something_else_afterwards(statement: str, altering: bool) -> None:
    (parsed,) = pglast.parse_sql(statement)
    assert alters(parsed.stmt) is altering
