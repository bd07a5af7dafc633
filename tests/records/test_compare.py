"""Two records compared: what counts as different, and what does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from pgrunbook.records.compare import compare, text
from pgrunbook.records.format.mime_types import BLOCK_MIME, DECISION_MIME, FRAME_MIME
from pgrunbook.records.record import Record

SQL = "ALTER TABLE people ADD nickname TEXT;\n"


def frame(kind: str, *rows: Mapping[str, Any], **about: Any) -> dict[str, Any]:
    return {
        FRAME_MIME: {
            "kind": kind,
            "columns": list(rows[0]),
            "rows": [list(row.values()) for row in rows],
            **about,
        }
    }


def record(
    *,
    sql: str = SQL,
    event: str = "applied",
    lock: str = "ACCESS EXCLUSIVE",
    ms: float = 10.0,
    sha256: str = "a" * 64,
    made: str = "table column people.nickname",
    updated: int = 3,
    deleted: int = 0,
) -> Record:
    decided = {
        "block": "010_people",
        "title": "People",
        "action": "apply",
        "reason": "absent",
        "sql": sql,
        "source_sha256": sha256,
        "tree_sha256": sha256,
        "makes": [],
    }
    done = {
        "block": "010_people",
        "event": event,
        "started_at": "2026-01-31T12:00:00+00:00",
        "elapsed_ms": ms,
    }
    shown = [
        frame("sources", {"file": "010_people"}, files={"sql/001_x/deploy/010_people.sql": sha256}),
        {DECISION_MIME: decided},
        {BLOCK_MIME: done},
        frame("locks", {"relation": "people", "lock": lock, "held_ms": ms}, block="010_people"),
        frame("effect", {"object": made, "change": "made", "what": "text"}, block="010_people"),
        frame(
            "rows",
            {"table": "people", "updated": updated, "deleted": deleted},
            block="010_people",
        ),
        frame(
            "difference",
            {"change": "added", "kind": "column", "table": "people", "name": "nickname"},
        ),
    ]
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in shown]
    cell = {"cell_type": "code", "id": "cell", "metadata": {}, "source": "", "outputs": outputs}
    return Record({"cells": [cell], "metadata": {"pgrunbook": {"verdict": "passed"}}})


def different(one: Record, other: Record) -> list[str]:
    return [part.what for part in compare(one, other) if not part.same]


def test_the_same_run_twice_is_the_same_however_long_it_took() -> None:
    assert different(record(), record(ms=500)) == []
    assert "50.0 times" in text(compare(record(), record(ms=500)))


def test_how_many_rows_were_written_is_told_and_does_not_count() -> None:
    other = record(updated=300)
    assert different(record(), other) == []
    assert "people 3 updated  |  people 300 updated" in text(compare(record(), other))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"sql": SQL.replace("TEXT", "VARCHAR")}, "010_people: SQL"),
        ({"event": "adopted"}, "010_people: done"),
        ({"lock": "SHARE ROW EXCLUSIVE"}, "010_people: locks"),
        ({"sha256": "b" * 64}, "files run"),
        ({"made": "function public.more()"}, "010_people: effect"),
        ({"updated": 0}, "010_people: rows"),
        ({"updated": 0, "deleted": 3}, "010_people: rows"),
    ],
)
def test_what_counts(changed: dict[str, Any], what: str) -> None:
    assert different(record(), record(**changed)) == [what]


def test_in_which_order_files_and_objects_are_named_does_not_count() -> None:
    one, other = record(), record()
    for read, names in ((one, ["a.sql", "b.sql"]), (other, ["b.sql", "a.sql"])):
        read.notebook["cells"][0]["outputs"] += [
            {"output_type": "display_data", "data": data, "metadata": {}}
            for data in (
                frame("sources", {"file": "x"}, files=dict.fromkeys(names, "c" * 64)),
                frame(
                    "difference",
                    *({"change": "added", "kind": "table", "table": name} for name in names),
                ),
            )
        ]
    assert text(compare(one, other)).endswith("the same SQL, locks and result")


def test_what_is_as_long_but_not_the_same_is_called_different() -> None:
    shown = text(compare(record(), record(sql=SQL.replace("TEXT", "VARCHAR"), sha256="b" * 64)))
    assert re.search(r"≠ files run +1  \|  1, different\n", shown)
    assert re.search(r"≠ 010_people: SQL +1 line  \|  1 line, different\n", shown)


def test_a_block_that_one_of_them_did_not_come_to() -> None:
    refused = Record({"cells": [], "metadata": {"pgrunbook": {"verdict": "refused"}}})
    assert different(record(), refused) == ["verdict", "files run", "010_people", "objects changed"]


def test_what_differs_is_shown() -> None:
    shown = text(compare(record(), record(sql=SQL.replace("TEXT", "VARCHAR"))))
    assert "-ALTER TABLE people ADD nickname TEXT;" in shown
    assert "+ALTER TABLE people ADD nickname VARCHAR;" in shown
    assert shown.endswith("1 part differs")


def test_files_that_differ_in_the_last_digit_of_their_digests_are_not_the_same() -> None:
    one, other = f"{'a' * 63}b", f"{'a' * 63}c"
    assert different(record(sha256=one), record(sha256=other)) == ["files run"]
    told = text(compare(record(sha256=one), record(sha256=other)))
    assert one in told
    assert other in told
