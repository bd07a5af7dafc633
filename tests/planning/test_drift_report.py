"""What is looked at for drift: the schema, and those that the ledger knows objects of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.applying import Applying
from support.databases import Database

from pgrunbook.cli import drift
from pgrunbook.inventory.read import read
from pgrunbook.planning import drift_report
from pgrunbook.runbooks.project import Project

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


def test_only_schemas_that_the_ledger_knows(
    empty: Database, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.load(
        'CREATE SCHEMA "Other.x"; CREATE SCHEMA third; CREATE TABLE third.unknown (id int);'
        'CREATE TABLE "Other.x".more (id int); CREATE TABLE "Other.x".altered (id int)'
    )
    made = 'CREATE TABLE mine (id int); ALTER TABLE "Other.x".altered ADD a text'
    Applying(empty, tmp_path, place)(made)
    empty.load('ALTER TABLE "Other.x".altered DROP a')
    monkeypatch.setenv("CRM", empty.conninfo)
    asked: list[list[str]] = []

    def reading(conn: Any, schemas: list[str]) -> Any:
        asked.append(schemas)
        return read(conn, schemas)

    monkeypatch.setattr(drift_report, "read", reading)
    (tmp_path / "pgrunbook.toml").touch()
    found = drift_report.collect(Project.find(tmp_path), "env:CRM", "public")
    assert asked == [["Other.x", "public"]]
    assert [each["object"] for each in found["drift"]] == ['table column "Other.x".altered.a']
    assert found["others"] == [
        'table "Other.x".altered',
        'table "Other.x".more',
        'table column "Other.x".altered.id',
        'table column "Other.x".more.id',
    ]


# a block, what was done by hand behind it, and what drift says of that
TOLD = [
    (
        "ALTER TABLE t ADD more int",
        "table column public.t.more was added by hand; table public.t was last set by ",
    ),
    (
        "ALTER TABLE t ALTER id TYPE bigint",
        "table column public.t.id was altered by hand; last set by ",
    ),
    ("DROP VIEW v", "view public.v is gone; last set by "),
    ("CREATE TABLE u (a int)", "table public.u is there again; dropped by "),
]


def test_what_is_told_of_drift(
    empty: Database, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sentence is true of its own kind, and one header keeps all."""
    empty.load("CREATE TABLE u (a int)")
    made = "CREATE TABLE t (id int); CREATE VIEW v AS SELECT 1 AS a; DROP TABLE u"
    Applying(empty, tmp_path, place)(made)
    for by_hand, _ in TOLD:
        empty.load(by_hand)
    monkeypatch.setenv("CRM", empty.conninfo)
    (tmp_path / "pgrunbook.toml").touch()
    report = drift_report.collect(Project.find(tmp_path), "env:CRM", "public")
    text = drift.text(report, others=False)
    for _, told in TOLD:
        assert told in text
    names = ", ".join(each["object"] for each in report["drift"])
    assert f"`-- keeps: {names}`" in text
    assert text.endswith("4 drifted; runbooks in schema public have set 6 objects")


EDITS = {
    "ALTER TABLE t DISABLE TRIGGER g": ("enabled: origin, local", "enabled: disabled"),
    "ALTER TABLE t ALTER a DROP NOT NULL": ("not null: true", "not null: false"),
    "ALTER TABLE t ALTER a DROP DEFAULT": ("default: 1", "no default"),
    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN\n -- more\n RETURN NEW;\nEND'": (
        "definition: without these lines",
        "definition:  -- more",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_difference_is_told_in_words_that_are_true_on_both_sides(
    empty: Database, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    Applying(empty, tmp_path, place)(
        "CREATE TABLE t (a int NOT NULL DEFAULT 1);"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN\n RETURN NEW;\nEND';"
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    empty.load(edit)
    monkeypatch.setenv("CRM", empty.conninfo)
    (tmp_path / "pgrunbook.toml").touch()
    (drift,) = drift_report.collect(Project.find(tmp_path), "env:CRM", "public")["drift"]
    assert (drift["expected"], drift["found"]) == EDITS[edit]
