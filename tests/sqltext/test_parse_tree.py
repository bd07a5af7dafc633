"""Walking through parse trees."""

from __future__ import annotations

from typing import Any

import pglast
import pytest
from pglast import ast

from pgrunbook.sqltext.parse_tree import nodes


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(),"
        " EXCLUDE USING gist (id WITH =) WHERE (id > 0)) PARTITION BY RANGE ((id + 1))",
        "CREATE TABLE q PARTITION OF p FOR VALUES FROM (MINVALUE) TO (f(1))",
        "ALTER TABLE t ADD CHECK (a > 0 AND b IN (1, 2)), ALTER a TYPE text USING f(a)::text",
        "CREATE VIEW v AS WITH w AS (VALUES (1)) SELECT DISTINCT ON (a) sum(a) OVER (PARTITION BY a"
        " ORDER BY a ROWS 1 PRECEDING) FROM w LEFT JOIN LATERAL f(a) AS l USING (a) WHERE a ="
        ' ANY (ARRAY[1]) GROUP BY a HAVING max(a) > 1 ORDER BY a COLLATE "C" LIMIT 1',
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = DEFAULT"
        " WHEN NOT MATCHED THEN INSERT VALUES (1)",
        "INSERT INTO t SELECT 1 ON CONFLICT (a) DO UPDATE SET a = f(1) RETURNING a",
        "CREATE FUNCTION f(a int DEFAULT 1) RETURNS TABLE (b int) LANGUAGE sql SET search_path = s"
        " BEGIN ATOMIC SELECT 1; END",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); NOTIFY n)",
        "GRANT SELECT (a) ON t TO r",
        "SELECT j.a FROM JSON_TABLE('[]', '$' COLUMNS (a int PATH '$.a' DEFAULT 1 ON EMPTY)) AS j",
    ],
)
def test_every_node_is_found_in_its_order(statement: str) -> None:
    (parsed,) = pglast.parse_sql(statement)
    assert [*map(id, nodes(parsed.stmt))] == [*map(id, _in_all_fields(parsed.stmt))]


def _in_all_fields(node: Any) -> list[ast.Node]:
    """Return the nodes, whichever fields they are in."""
    found: list[ast.Node] = []
    if isinstance(node, tuple):
        for each in node:
            found += _in_all_fields(each)
    elif isinstance(node, ast.Node):
        found.append(node)
        if not isinstance(node, ast.A_Const):
            for name in node:
                found += _in_all_fields(getattr(node, name))
    return found
