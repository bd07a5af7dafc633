"""A column is replaced on a table in use, as docs/backfills.md says: no row is left out, and nobody
waits.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.databases import Database
from support.projects import Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

EXPAND = {
    "010_add": """
        ALTER TABLE items ADD COLUMN cents bigint;
        COMMENT ON COLUMN items.cents IS 'The price, in cents';""",
    "020_keep_in_step": """
        CREATE FUNCTION items_cents() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.cents := coalesce(NEW.price * 100, NEW.cents); RETURN NEW; END $$;
        CREATE TRIGGER items_cents BEFORE INSERT OR UPDATE ON items
          FOR EACH ROW EXECUTE FUNCTION items_cents();""",
    "030_fill": """-- batch: items by id; 200 rows; 50 ms
        UPDATE items SET cents = price * 100 WHERE cents IS NULL AND id > :from AND id <= :to;""",
    "040_check": """
        ALTER TABLE items ADD CONSTRAINT items_cents_filled CHECK (cents IS NOT NULL) NOT VALID;""",
    "050_validate": """
        ALTER TABLE items VALIDATE CONSTRAINT items_cents_filled;""",
    "060_not_null": """
        ALTER TABLE items ALTER COLUMN cents SET NOT NULL;
        ALTER TABLE items DROP CONSTRAINT items_cents_filled;""",
}
CONTRACT = {
    "010_drop": """-- accepts: drops_column
        DROP TRIGGER items_cents ON items;
        DROP FUNCTION items_cents();
        ALTER TABLE items DROP COLUMN price;""",
}


def made(project: Project, name: str, blocks: dict[str, str]) -> str:
    """A runbook of these blocks, all applied by one cell; its name."""
    printed = project.command("new", name).text
    runbook = next(p.stem for p in project.root.glob(f"runbooks/*_{name}.ipynb"))
    sql = project.root / "sql" / runbook
    for kind in ("deploy", "verify", "revert"):
        (sql / kind / f"010_{name}.sql").unlink()
    for block, text in blocks.items():
        header, _, body = text.partition("\n") if text.startswith("--") else ("", "", text)
        lines = ["-- title: A step", "-- why: The price is to be a whole number."]
        lines += [header] if header else []
        (sql / "deploy" / f"{block}.sql").write_text("\n".join(lines) + f"\n{body}\n")
    project.apply_all(runbook)
    assert printed
    return runbook


@contextmanager
def in_use(database: Database, writes: list[str]) -> Iterator[list[str]]:
    """The application writes all the time; what it is told when that fails."""
    over, failed = threading.Event(), list[str]()

    def write() -> None:
        with database.connect() as conn:
            conn.execute("SET statement_timeout = '2s'")
            while not over.is_set():
                for sql in writes:
                    try:
                        conn.execute(sql)
                    except Exception as exc:
                        failed.append(str(exc))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield failed
    finally:
        over.set()
        writer.join()


def test_a_column_is_replaced_while_the_application_writes(
    project: Project, empty: Database
) -> None:
    for other in (*project.root.glob("runbooks/0*"), *project.root.glob("sql/0*")):
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    empty.load(
        "CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric);"
        "INSERT INTO items (price) SELECT g / 4.0 FROM generate_series(1, 5000) g; ANALYZE items"
    )
    expand, contract = made(project, "expand", EXPAND), made(project, "contract", CONTRACT)
    old = [
        "INSERT INTO items (price) SELECT random() * 100",
        "UPDATE items SET price = price + 1 WHERE id = 1 + (random() * 4999)::int",
    ]
    with in_use(empty, old) as failed:
        done = project.step(empty, runbook=expand)
        assert done.code == 0, done.text
        assert empty.execute(
            "SELECT count(*) FROM items WHERE cents IS DISTINCT FROM (price * 100)::bigint"
        ) == [(0,)]
    assert failed == []
    held = "SELECT max(held_ms) FROM pgrunbook.locks WHERE mode = 'ACCESS EXCLUSIVE'"
    assert empty.execute(held)[0][0] < 2_000  # of a busy machine; each attempt ends in 150 ms
    # a release of the application that knows the new column alone
    new = ["INSERT INTO items (cents) SELECT 1", "UPDATE items SET cents = cents + 1 WHERE id = 5"]
    with in_use(empty, new) as failed:
        done = project.step(empty, runbook=contract)
        assert done.code == 0, done.text
    assert failed == []
    columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'items'"
    assert empty.execute(columns) == [("id",), ("cents",)]
