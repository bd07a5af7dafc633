"""What a file says of its batches, and what is refused before a connection is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgrunbook.errors import Problem
from pgrunbook.runbooks.batches import Batching
from pgrunbook.runbooks.source import Source
from pgrunbook.sqltext.bounds import Use

BOUNDS = {
    Use.COMPARED: {"from": "FROM", "to": "TO"},
    Use.ARGUMENT: {"from": "NONE", "to": "TO"},
}
FILL = "UPDATE t SET n = 1 WHERE id > :from AND id <= :to"


def read(folder: Path, sql: str, *header: str) -> Source:
    (folder / "deploy").mkdir()
    lines = "".join(f"-- {line}\n" for line in ["title: T", "why: W", *header])
    (folder / "deploy" / "010_x.sql").write_text(f"{lines}{sql};\n")
    return Source.read_usable(folder)


def batching(folder: Path, sql: str, *header: str) -> Batching:
    found = read(folder, sql, *header).block("010_x", {}).batching
    assert found
    return found


def problems(folder: Path, sql: str, *header: str) -> list[Problem]:
    return [each for found in read(folder, sql, *header).unusable.values() for each in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("t by id", ("", "t", ("id",), None, None)),
        ("t by id; 5000 rows", ("", "t", ("id",), 5000, None)),
        ("t by id; 1 s", ("", "t", ("id",), None, 1000)),
        ('app."T" by tenant, "No"; 1 row; 500ms', ("app", "T", ("tenant", "No"), 1, 500)),
    ],
)
def test_the_header_says_the_key_and_the_size(
    tmp_path: Path, line: str, expected: tuple[object, ...]
) -> None:
    key = line.split(" by ")[1].split(";")[0]
    named = f"({key})" if "," in key else key
    sql = f"DELETE FROM x WHERE {named} > :from AND {named} <= :to"
    found = batching(tmp_path, sql, f"batch: {line}")
    assert (found.schema, found.table, found.key, found.rows, found.target_ms) == expected


def test_its_other_lines(tmp_path: Path) -> None:
    found = batching(
        tmp_path,
        FILL,
        "batch: t by id",
        "until: 8 h",
        "give way: replication lag 5 s, share 50%",
        "skip: rows that break a constraint",
    )
    assert found.until_ms == 8 * 3_600_000
    assert found.give_way == "replication lag 5 s, share 50%"
    assert found.skips


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        (FILL, "UPDATE t SET n = 1 WHERE id > FROM AND id <= TO"),
        ("SELECT f(:from, high => :to)", "SELECT f(NONE, high => TO)"),
        ("SELECT f(:from::int, :to)", "SELECT f(NONE::int, TO)"),
        ("CALL f(:from, :to)", "CALL f(NONE, TO)"),
        (
            "INSERT INTO o SELECT u.id FROM app.t AS u WHERE u.id > :from AND u.id <= :to",
            "INSERT INTO o SELECT u.id FROM app.t AS u WHERE u.id > FROM AND u.id <= TO",
        ),
        (
            "INSERT INTO o SELECT f(t.id, :from, ':to') FROM t /* :from */ WHERE t.id > :from "
            "AND (t.n > 1 OR t.n < 0) AND t.id <= :to",
            "INSERT INTO o SELECT f(t.id, NONE, ':to') FROM t /* :from */ WHERE t.id > FROM "
            "AND (t.n > 1 OR t.n < 0) AND t.id <= TO",
        ),
        (
            "WITH s AS (SELECT id FROM t WHERE id > :from AND id <= :to) DELETE FROM t USING s "
            "WHERE t.id = s.id",
            "WITH s AS (SELECT id FROM t WHERE id > FROM AND id <= TO) DELETE FROM t USING s "
            "WHERE t.id = s.id",
        ),
        (
            "UPDATE o SET n = 1 FROM u JOIN t ON t.o = u.o AND t.id > :from AND t.id <= :to "
            "WHERE o.id = u.o",
            "UPDATE o SET n = 1 FROM u JOIN t ON t.o = u.o AND t.id > FROM AND t.id <= TO "
            "WHERE o.id = u.o",
        ),
        (
            "WITH d AS (DELETE FROM t WHERE id > :from AND id <= :to RETURNING *) "
            "INSERT INTO o SELECT * FROM d",
            "WITH d AS (DELETE FROM t WHERE id > FROM AND id <= TO RETURNING *) "
            "INSERT INTO o SELECT * FROM d",
        ),
        (
            "WITH s AS (SELECT id FROM t WHERE id > :from AND id <= :to FOR UPDATE) "
            "UPDATE t SET n = 1 WHERE id IN (SELECT id FROM s) AND n = 0",
            "WITH s AS (SELECT id FROM t WHERE id > FROM AND id <= TO FOR UPDATE) "
            "UPDATE t SET n = 1 WHERE id IN (SELECT id FROM s) AND n = 0",
        ),
        (
            "INSERT INTO o SELECT a FROM t WHERE id > :from AND id <= :to UNION ALL "
            "SELECT b FROM t WHERE id > :from AND id <= :to",
            "INSERT INTO o SELECT a FROM t WHERE id > FROM AND id <= TO UNION ALL "
            "SELECT b FROM t WHERE id > FROM AND id <= TO",
        ),
    ],
)
def test_bounds_are_filled_in_by_what_they_are_there_for(
    tmp_path: Path, sql: str, sent: str
) -> None:
    assert batching(tmp_path, sql, "batch: t by id").statement(BOUNDS).sql == sent


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE t SET n = 1", ["lacks :from", "lacks :to"]),
        ("UPDATE t SET n = 1 WHERE id > :from", ["lacks :to"]),
        ("UPDATE t SET n = f(:from, :to)", ["lacks :from", "lacks :to"]),
        (
            "UPDATE t SET n = 1 FROM u WHERE u.o = t.id AND u.id > :from AND u.id <= :to",
            [":from does", ":to does"],
        ),
        (
            "INSERT INTO o SELECT count(*) FILTER (WHERE id > :from) FROM t WHERE id <= :to",
            [":from does"],
        ),
        ("UPDATE t SET n = 1 WHERE id > ':from' AND id <= :to", ["lacks :from"]),
        ("UPDATE t SET n = 1 WHERE id > :'from' AND id <= :to", ["lacks :from"]),
        ("UPDATE t SET n = 1 WHERE id BETWEEN :from AND :to", [":from does", ":to does"]),
        ("UPDATE t SET n = 1 WHERE id >= :from AND id <= :to", [":from does"]),
        ("UPDATE t SET n = 1 WHERE id > :from AND id < :to", [":to does"]),
        ("UPDATE t SET n = 1 WHERE :from < id AND id <= :to", [":from does"]),
        ("UPDATE t SET n = 1 WHERE n > :from AND n <= :to", [":from does", ":to does"]),
        ("UPDATE t SET n = 1 WHERE id > :from OR id <= :to", [":from does", ":to does"]),
        ("UPDATE t SET n = 1 WHERE NOT (id > :from) AND id <= :to", [":from does"]),
        ("UPDATE t SET n = 1 WHERE id > :from + 1 AND id <= :to", [":from does"]),
        ("UPDATE t SET n = :from WHERE id <= :to", [":from does"]),
        (
            "UPDATE t SET n = 1 FROM u LEFT JOIN o ON o.id > :from AND o.id <= :to",
            [":from does", ":to does"],
        ),
        (
            "MERGE INTO t USING s ON t.id = s.id AND t.id > :from AND t.id <= :to "
            "WHEN MATCHED THEN UPDATE SET n = 1",
            [":from does", ":to does"],
        ),
        *[
            (
                f"UPDATE t SET n = 1 {where.format('id > :from AND id <= :to')}",
                [":from does", ":to does"],
            )
            for where in (
                "WHERE EXISTS (SELECT FROM t AS d WHERE d.{0})",
                "WHERE id NOT IN (SELECT id FROM t WHERE {0})",
                "WHERE n = 0 OR id IN (SELECT id FROM t WHERE {0})",
                "WHERE id <> ANY (SELECT id FROM t WHERE {0})",
                "WHERE id IN (SELECT id FROM t WHERE {0} UNION SELECT 1)",
                "WHERE id IN (SELECT id FROM u EXCEPT SELECT id FROM t WHERE {0})",
                "FROM u LEFT JOIN (SELECT id FROM t WHERE {0}) AS s ON s.id = u.id",
            )
        ],
        (
            "WITH s AS (SELECT id FROM t WHERE id > :from AND id <= :to) UPDATE t SET n = 1",
            [":from does", ":to does"],
        ),
        (
            "MERGE INTO t USING (SELECT id FROM t WHERE id > :from AND id <= :to) AS s ON t.id = "
            "s.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
            [":from does", ":to does"],
        ),
        ("UPDATE t SET id = id + 1 WHERE id > :from AND id <= :to", ["sets id"]),
        ("SELECT id FROM t WHERE id > :from AND id <= :to", ["cannot run in batches"]),
        ("TRUNCATE t", ["cannot run in batches"]),
        (f"{FILL}; {FILL}", ["holds more than one statement"]),
    ],
)
def test_a_statement_that_is_not_limited_to_a_batch_is_refused(
    tmp_path: Path, sql: str, said: list[str]
) -> None:
    found = problems(tmp_path, sql, "batch: t by id")
    assert [each.what[: len(text)] for each, text in zip(found, said, strict=True)] == said
    assert all(each.where.startswith("deploy/010_x.sql:4") for each in found)


@pytest.mark.parametrize(
    ("header", "where"),
    [
        (["batch: t"], "batch"),
        (["batch: t by"], "batch"),
        (["batch: t by id + 1"], "batch"),
        (["batch: t by id; many rows"], "batch"),
        (["batch: t by id; 0 rows"], "batch"),
        (["batch: t by id", "until: morning"], "until"),
        (["batch: t by id", "skip: everything"], "skip"),
        (["batch: t by id", "transaction: no"], "transaction"),
        (["batch: t by id", "keeps: table t"], "keeps"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, header: list[str], where: str
) -> None:
    found = problems(tmp_path, FILL, *header)
    assert f"deploy/010_x.sql, header {where}" in {each.where for each in found}


@pytest.mark.parametrize("line", ["until: 8 h", "give way: share 50%", "skip: rows"])
def test_what_is_for_batches_alone_is_refused_elsewhere(tmp_path: Path, line: str) -> None:
    (found,) = problems(tmp_path, "UPDATE t SET n = 1", line)
    assert found.what == "is for a block in batches"
