"""What PostgreSQL refuses inside a transaction block is known before it is asked."""

from __future__ import annotations

import psycopg
import pytest
from pglast import parse_sql
from support.databases import Database

from pgrunbook.runbooks.transaction_rules import needs_no_transaction

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

SUBSCRIPTION = "SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION p"


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER DATABASE template1 SET TABLESPACE pg_default",
        "ALTER SYSTEM SET work_mem = '4MB'",
        "CLUSTER",
        "CLUSTER t USING i",
        "CREATE DATABASE d",
        "CREATE INDEX CONCURRENTLY j ON t (id)",
        "CREATE INDEX j ON t (id)",
        "CREATE TABLESPACE x LOCATION '/nowhere'",
        "DROP INDEX CONCURRENTLY i",
        "DROP TABLESPACE x",
        "REINDEX SCHEMA public",
        "REINDEX TABLE t",
        "REINDEX TABLE CONCURRENTLY t",
        "REINDEX (CONCURRENTLY off) TABLE t",
        "REINDEX (CONCURRENTLY, VERBOSE) TABLE t",
        "VACUUM t",
        "ANALYZE t",
        f"CREATE {SUBSCRIPTION}",
        f"CREATE {SUBSCRIPTION} WITH (connect = false)",
        f"CREATE {SUBSCRIPTION} WITH (connect = off)",
        f"CREATE {SUBSCRIPTION} WITH (connect = 0, slot_name = NONE)",
        "ALTER SUBSCRIPTION there SET PUBLICATION q WITH (refresh = false)",
        "ALTER SUBSCRIPTION there DISABLE",
        "DROP SUBSCRIPTION there",
    ],
)
def test_as_the_server_has_it(empty: Database, sql: str) -> None:
    empty.execute("CREATE TABLE t (id int); CREATE INDEX i ON t (id)")
    there = f"CREATE {SUBSCRIPTION} WITH (connect = false)".replace(" s ", " there ")
    empty.execute(there)
    try:
        with empty.connect() as conn:
            conn.execute("BEGIN")
            try:
                conn.execute(sql.encode())
            except psycopg.errors.ActiveSqlTransaction:
                refused = True
            except psycopg.Error:
                refused = False  # for another reason, which it has found before or behind that one
            else:
                refused = False
            conn.execute("ROLLBACK")
    finally:
        empty.execute("ALTER SUBSCRIPTION there SET (slot_name = NONE); DROP SUBSCRIPTION there")
    (parsed,) = parse_sql(sql)
    assert needs_no_transaction(parsed.stmt) is refused
