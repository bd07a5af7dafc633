"""How the catalog is asked: several questions in one message, of one moment, printed alike in every
session.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from pgrunbook.postgres import results, search_path, session_settings
from pgrunbook.postgres.session import Session

# Where names are looked up, and how values are printed, by whatever else the session wants them:
# what pg_dump sets, and what could make one value look like two.
_SETTINGS = {
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
}
_KEPT = "pgrunbook.settings"
_ENTER = session_settings.save_and_set(_KEPT, {"search_path": search_path.OURS} | _SETTINGS)
_PUT_BACK = session_settings.restore(_KEPT)

# An array in a question, and how many characters it has at most in one that is prepared.
_NUMBERS = re.compile(r"'\{[\d,]*\}'::(oid|int2|int8)\[\]")
_LONG = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of one question, and what its columns are called."""

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def ask(conn: Session, questions: Sequence[str]) -> list[Answer]:
    """Return the answers to several questions, asked in one message, printed alike in every
    session.

    Outside a transaction they see one snapshot.
    """
    with Snapshot(conn) as snapshot:
        return snapshot.ask(questions, last=True)


class Snapshot:
    """Questions whose answers lead to others: outside a transaction all see one snapshot. Each
    time it is one message; in the `last` one the session gets its own settings back.
    """

    def __init__(self, conn: Session) -> None:
        self._conn = conn
        self._idle = conn.info.transaction_status == TransactionStatus.IDLE
        self._before = [_ENTER]
        if self._idle:
            self._before.insert(0, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, _: type[BaseException] | None, exc: BaseException | None, __: Any) -> None:
        # a lock of somebody else's, say
        if exc and self._idle and not self._conn.closed:
            with suppress(psycopg.Error):
                self._conn.execute("ROLLBACK")

    def ask(self, questions: Sequence[str], *, last: bool) -> list[Answer]:
        """Return the answers, in the order of the questions."""
        before, self._before = self._before, []  # only the first message begins the transaction
        end = []
        if last:
            end = ["COMMIT"] if self._idle else [_PUT_BACK]
        new: dict[str, str] = {}
        asked = [self._prepared(question, new) for question in questions]
        before += [f"PREPARE {name} AS {text}" for text, name in new.items()]
        statements = [*before, *asked, *end]
        with self._conn.cursor(row_factory=tuple_row) as cursor:
            with self._conn.message_of(len(statements)):
                cursor.execute(";\n".join(statements).encode())
            for _ in before:
                cursor.nextset()
            answers = []
            for _ in questions:
                names = results.column_names(cursor.pgresult) if cursor.pgresult else []
                answers.append(Answer(names, cursor.fetchall()))
                cursor.nextset()
        self._conn.kept |= new
        return answers

    def _prepared(self, question: str, new: dict[str, str]) -> str:
        """Return the question as it is sent: what is asked again with other numbers is parsed and
        planned once; `new` takes what is not prepared yet.

        One with very many numbers is planned for just these.
        """
        values: list[str] = []

        def place(match: re.Match[str]) -> str:
            values.append(match[0])
            return f"${len(values)}::{match[1]}[]"

        text = _NUMBERS.sub(place, question)
        if any(len(value) > _LONG for value in values):
            return question
        name = self._conn.kept.get(text) or new.get(text)
        if name is None:
            name = new[text] = self._conn.new_name()
        return f"EXECUTE {name} ({', '.join(values)})" if values else f"EXECUTE {name}"


def is_superuser(conn: Session) -> bool:
    """Whether the session's role may read all catalogs, as the server has told it."""
    return conn.info.parameter_status("is_superuser") == "on"
