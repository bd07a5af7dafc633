"""One session on a server: several statements in one message, queries that are prepared once, a look while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import generators, sql
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

T = TypeVar("T")


@dataclass(slots=True)
class _Look:
    """What is done while a session waits: whenever the server has said nothing for so many seconds."""

    every_s: float
    look: Callable[[], object]
    due: float = 0.0  # by time.monotonic


class Session(psycopg.Connection[Any]):
    """A connection that an interrupt closes, after it has cancelled what the server is at.

    Between sending a query and taking its results, psycopg executes Python too, where the signal may come; what is
    asked next would be given those results, or would be in a transaction that nobody ends.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.schema = ""  # the one that a block's statements see
        self._prepared_with: dict[str, tuple[str, ...]] = {}  # by the names of queries, those of their parameters
        self._looks: list[_Look] = []

    def index(self, error: psycopg.Error, sent: str) -> int | None:
        """Of what was sent, the character that the server points to; None if it points to none.

        A database whose encoding is SQL_ASCII knows no characters: it counts bytes.
        """
        if not (position := error.diag.statement_position):
            return None
        before = int(position) - 1
        if self.info.parameter_status("server_encoding") == "SQL_ASCII":
            return len(sent.encode()[:before].decode(errors="ignore"))
        return before

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Consume a generator that operates on the connection."""
        try:
            if not self._looks:
                return super().wait(gen, interval, timeout)
            return super().wait(self._looking(gen), min(look.every_s for look in self._looks), timeout)
        except KeyboardInterrupt:
            self.close()
            raise

    def _looking(self, gen: PQGen[T]) -> PQGen[T]:
        """The generator, with a look each time that nothing has come. That we cannot look must not fail it."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready is not None and not ready:
                    self._look()
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _look(self) -> None:
        now = time.monotonic()
        for each in [look for look in self._looks if look.due <= now]:
            try:
                each.look()
                each.due = now + each.every_s
            except Exception:  # whatever it is: the one that waits is not to fail for it
                self._looks.remove(each)

    @contextmanager
    def watched(self, every_s: float, look: Callable[[], object]) -> Iterator[None]:
        """Call `look`, which asks another session, as long as the `with` block lasts and this one waits."""
        self._looks.append(mine := _Look(every_s, look))
        try:
            yield
        finally:
            with suppress(ValueError):  # it could not look, and was given up
                self._looks.remove(mine)

    def prepare(self, name: str, query: str, parameters: Sequence[str]) -> None:
        """Prepare a query whose placeholders are `%(name)s`, unless it is already. Its name stands for its text.

        It is parsed and planned once for the session, if its settings are those of `connection.connect`.
        """
        if name in self._prepared_with:
            return
        places = {parameter: f"${number}" for number, parameter in enumerate(parameters, 1)}
        try:
            self.execute(f"PREPARE pgrunbook_{name} AS {query % places}".encode())
            self._prepared_with[name] = tuple(parameters)
        except KeyboardInterrupt:  # who knows whether it is
            self.close()
            raise

    def prepared(self, name: str, query: str, parameters: Mapping[str, object]) -> str:
        """The same query, prepared, as an EXECUTE with these values that can stand among other statements."""
        self.prepare(name, query, [*parameters])
        ordered = (parameters[parameter] for parameter in self._prepared_with[name])
        values = ", ".join(sql.Literal(value).as_string(self) for value in ordered)
        return f"EXECUTE pgrunbook_{name}" + (f" ({values})" if values else "")

    def send(self, statements: str) -> None:
        """Send statements as one message; the server works on them while we do something else.

        It is to be inside `undoing`, for who does not come to `results`.
        """
        self.pgconn.send_query(statements.encode())
        self.wait(generators.send(self.pgconn))

    def results(self) -> list[PGresult]:
        """What the server says of the statements that were sent, one each, up to the first that fails."""
        return self.wait(generators.fetch_many(self.pgconn))

    def rows(self, result: PGresult) -> list[dict[str, Any]]:
        """The rows of one result, each a mapping from column to value."""
        reader = Transformer(self)
        reader.set_pgresult(result)
        names = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
        return [dict(zip(names, row, strict=True)) for row in reader.load_rows(0, result.ntuples, tuple)]

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Roll back the transaction that is open if the `with` block, which begins it, fails. Close the session in the
        middle of a message, or if what it has prepared is gone.
        """
        try:
            yield
        except BaseException as exc:
            match self.info.transaction_status:
                case TransactionStatus.ACTIVE:
                    self._give_up()
                case TransactionStatus.INTRANS | TransactionStatus.INERROR:
                    with suppress(psycopg.Error):
                        self.execute("ROLLBACK")
            if isinstance(exc, psycopg.errors.InvalidSqlStatementName):  # a function has called DEALLOCATE ALL
                self.close()
            raise

    def _give_up(self) -> None:
        try:
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=1)
        finally:
            self.close()
