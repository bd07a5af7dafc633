"""What is said of what is going on in a database, to a role that sees everything and to one that
does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from support import databases
from support.databases import Database
from support.projects import wait_for

from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session


def circumstances(url: str) -> dict[str, tuple[str, str]]:
    with Session.opened(url) as conn:
        conn.read_only, conn.schema = True, "public"
        found = catalog.rows(conn, "circumstances", schema="public", longer_than="0 s")
    return {row["what"]: (row["found"], row["remark"]) for row in found}


@contextmanager
def vacuum(database: Database, table: str) -> Iterator[None]:
    """A VACUUM at work on the table, so slow that it is there for the whole block."""
    with database.connect(options="-c vacuum_cost_delay=100 -c vacuum_cost_limit=1") as conn:
        worker = threading.Thread(target=_vacuum, args=(conn, table))
        worker.start()
        wait_for(
            lambda: bool(database.execute("SELECT FROM pg_stat_progress_vacuum WHERE relid <> 0"))
        )
        yield
        conn.cancel()
        worker.join()


def _vacuum(conn: psycopg.Connection[tuple[object, ...]], table: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        conn.execute(f"VACUUM {table}".encode())


@pytest.fixture
def busy(crm: Database) -> Iterator[Database]:
    """With an open transaction, a replica that just connects, a slot, an index that is not valid,
    and a VACUUM.
    """
    slot = f"slot_{crm.name}"
    crm.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'deals_pkey'::regclass")
    crm.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
    replica = psycopg.connect(
        crm.conninfo, replication="true", application_name="replica 1", autocommit=True
    )
    try:
        with crm.connect(application_name="long report") as report, replica, vacuum(crm, "deals"):
            report.execute("BEGIN; SELECT 'secret'")
            yield crm
    finally:
        crm.execute("SELECT pg_drop_replication_slot(%s)", [slot])


def test_all_that_a_change_has_to_live_with(busy: Database) -> None:
    found = circumstances(busy.url)
    ((transaction, wait),) = [text for what, text in found.items() if "long report" in text[0]]
    assert transaction.endswith("idle in transaction, postgres, long report")
    assert "waits until it ends" in wait
    assert found["replica replica 1"][0].startswith("startup, async, ")
    assert found[f"replication slot slot_{busy.name}"][0].startswith("not active, keeps ")
    assert found["index deals_pkey"] == (
        "invalid, on deals",
        "is kept up by writes, and serves no query",
    )
    assert "client backend" in found["vacuum of deals"][0]
    assert "other roles' transactions" not in found
    assert "secret" not in str(found)


def test_a_role_that_sees_less_is_told_so(busy: Database) -> None:
    found = circumstances(databases.login_role(busy).url)
    assert found["other roles' transactions"][0] == "not shown to this role"
    assert found["replica replica 1"] == ("how far it is behind is not known", "")
    assert found["vacuum of a table"][0].startswith("pid ")
    assert found["index deals_pkey"][0] == "invalid, on deals"
    assert found["sessions"] == circumstances(busy.url)["sessions"]


def test_a_standby_can_be_asked(standby: Database) -> None:
    assert circumstances(standby.url)["size of the database"][0].endswith("MB")
