"""One session on a server: several statements in one message, queries that are prepared once, a look while it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import generators, sql
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from pgrunbook.errors import RunbookError

T = TypeVar("T")

# What is done while a session waits, whenever the server has said nothing for so many seconds.
Look = tuple[float, Callable[[], object]]


class Session(psycopg.Connection[Any]):
    """A connection that an interrupt closes, after it has cancelled what the server is at.

    Between sending a query and taking its results, psycopg executes Python too, where the signal may come; what is
    asked next would be given those results, or would be in a transaction that nobody ends.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._prepares: set[str] = set()
        self._looks: list[Look] = []

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Consume a generator that operates on the connection."""
        try:
            if not self._looks:
                return super().wait(gen, interval, timeout)
            return super().wait(self._looking(gen), min(seconds for seconds, _ in self._looks), timeout)
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
        for look in list(self._looks):
            try:
                look[1]()
            except (psycopg.Error, RunbookError):
                self._looks.remove(look)

    @contextmanager
    def watched(self, every_s: float, look: Callable[[], object]) -> Iterator[None]:
        """Call `look`, which asks another session, as long as the `with` block lasts and this one waits."""
        self._looks.append(mine := (every_s, look))
        try:
            yield
        finally:
            with suppress(ValueError):  # it could not look, and was given up
                self._looks.remove(mine)

    def prepared(self, name: str, query: str, parameters: Mapping[str, object]) -> str:
        """The query, whose placeholders are `%(name)s`, as an EXECUTE that can stand among other statements. Its name
        stands for its text.

        It is parsed and planned once for the session, if its settings are those of `connection.connect`.
        """
        if name not in self._prepares:
            places = {parameter: f"${number}" for number, parameter in enumerate(parameters, 1)}
            self.execute(f"PREPARE pgrunbook_{name} AS {query % places}".encode())
            self._prepares.add(name)
        values = ", ".join(sql.Literal(value).as_string(self) for value in parameters.values())
        return f"EXECUTE pgrunbook_{name}" + (f" ({values})" if values else "")

    def send(self, statements: str) -> None:
        """Send statements as one message; the server works on them while we do something else.

        Whoever does not come to `results` has to see to `undoing`.
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
        """Roll back the transaction that is open if the `with` block fails; close the session if it is in the middle of
        a message.
        """
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):
                match self.info.transaction_status:
                    case TransactionStatus.ACTIVE:
                        self.cancel_safe(timeout=1)
                        self.close()
                    case TransactionStatus.INTRANS | TransactionStatus.INERROR:
                        self.execute("ROLLBACK")
            raise
