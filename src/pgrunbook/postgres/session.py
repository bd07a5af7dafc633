"""A session on a server: psycopg's connection, with several statements in one message, queries that
are prepared once, and something to do while it waits.

Whatever it waits for has a deadline on our side: no timeout of the server ends a wait on a network
that is silent, or of a COMMIT for a synchronous standby.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, NoReturn, Self, TypeVar

import psycopg
from psycopg import capabilities, generators, sql, waiting
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

T = TypeVar("T")

# How we read and write types. Copied at import: a cell may register others with psycopg later.
_TYPES = AdaptersMap(psycopg.adapters)

# Seconds that the network and a busy server may add to the time that a statement is allowed.
MARGIN_S = 5.0

# Seconds, once that is over: to tell the server to stop, and again for its answer.
CANCEL_S = 1.0


class Silent(psycopg.OperationalError):
    """The server did not answer in time, nor when it was told to stop; the session is closed."""

    remedy = (
        "see that whatever lies between here and the server (tunnel, proxy, firewall) still "
        "passes bytes on; then run again: the server ends what it still has of this session "
        "within a minute"
    )


@dataclass(slots=True)
class Patience:
    """How long a session waits for one answer, in seconds; None: as long as it takes.

    `cancelled`: it was used up, and the server was told to stop. What it answered then is its
    answer: an error, or that it was done all the same, as a COMMIT is that waits for a standby.
    """

    seconds: float | None
    cancelled: bool = False


@dataclass(slots=True)
class _Look:
    """What is done while a session waits: whenever the server has said nothing for so many
    seconds.
    """

    every_s: float
    look: Callable[[], object]
    due: float = 0.0  # by time.monotonic


class Session(psycopg.Connection[Any]):
    """A connection that an interrupt closes, after it has cancelled what the server is at.

    Between sending a query and taking its results, psycopg executes Python too, where the signal
    may come; what is asked next would be given those results, or would be in a transaction that
    nobody ends.
    """

    @classmethod
    def opened(cls, conninfo: str, **options: Any) -> Self:
        """Return a session in autocommit. psycopg prepares nothing by itself in it: it would
        deallocate ours with its own after each DROP, ALTER or ROLLBACK.
        """
        options |= {"autocommit": True, "prepare_threshold": None, "context": _TYPES}
        return cls.connect(conninfo, **options)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.schema = ""  # the one that a block's statements see
        self.behind: Sequence[str] = ()  # those that they see behind it, see `DefaultPath`
        # by the names of queries those of their parameters
        self._prepared_with: dict[str, tuple[str, ...]] = {}
        self.kept: dict[str, str] = {}  # queries that are prepared by the way, and their names
        self._names = count()
        self._looks: list[_Look] = []
        self.allow(None)
        self._given: list[str] = []
        # opens another session on the same server, for who is to look while this one waits
        self.beside: Callable[[], Session] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it was closed; or the server has ended it meanwhile, as it does with one that was
        idle for long.
        """
        if not self.closed and self.info.transaction_status == TransactionStatus.IDLE:
            # libpq reads what has arrived, the end of the session say, when it is told to
            arrived = select.poll()
            arrived.register(self.pgconn.socket, select.POLLIN)
            try:
                while arrived.poll(0):
                    self.pgconn.consume_input()
            except psycopg.OperationalError:
                self.close()
        return self.closed

    def give(self, settings: str) -> psycopg.Cursor[Any]:
        """Set what the session is to have as long as it lasts; the cursor has the last result."""
        cursor = self.execute(settings.encode())
        while cursor.nextset():
            pass
        self._given.append(settings)
        return cursor

    def put_back(self, unsetting: str, asked: str) -> list[Any]:
        """Have the session as it was given, whatever others' code has set in it meanwhile. Returns
        the rows of what is asked of it afterwards.
        """
        # a message of its own: the server parses a whole message by the settings before it
        cursor = self.execute("; ".join([unsetting, *self._given, asked]).encode())
        while cursor.nextset():
            pass
        return cursor.fetchall()

    def index(self, error: psycopg.Error, sent: str) -> int | None:
        """Return the index of the character in `sent` that an error points to; None if to none.

        A database whose encoding is SQL_ASCII knows no characters: it counts bytes.
        """
        position = error.diag.statement_position
        if not position:
            return None
        before = int(position) - 1
        if self.info.parameter_status("server_encoding") == "SQL_ASCII":
            before = len(sent.encode()[:before].decode(errors="ignore"))
        return before

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Consume a generator that operates on the connection. Raises Silent if the server has not
        answered in time.
        """
        interval = min([interval, *(look.every_s for look in self._looks)])
        gen = self._patiently(gen)
        try:
            return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except KeyboardInterrupt:
            self.give_up()
            raise

    def _patiently(self, gen: PQGen[T]) -> PQGen[T]:
        """Hand psycopg's generator on. Whenever nothing has come for an interval, call the watchers
        and look at the clock.
        """
        begun, patience = time.monotonic(), self._patience
        deadline = None
        if patience.seconds is not None:
            deadline = begun + patience.seconds
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready is not None and not ready:  # psycopg's interval is over
                    self._look()
                    if deadline is not None and time.monotonic() > deadline:
                        # the first time the server is told to stop, the second time given up
                        if patience.cancelled or not self._cancel():
                            self._fall_out(time.monotonic() - begun)
                        patience.cancelled, deadline = True, time.monotonic() + CANCEL_S
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _fall_out(self, waited_s: float) -> NoReturn:
        self.close()
        raise Silent(
            f"the server has not answered for {waited_s:.0f} s, and the session was given up"
        )

    def allow(self, statement_s: float | None) -> None:
        """Let each statement take so long from now on, as its statement_timeout does; None: as long
        as it takes.
        """
        self._statement_s = statement_s
        self._patience = _patience_for(statement_s, 1)

    @contextmanager
    def allowing(self, statement_s: float | None) -> Iterator[None]:
        """Let a statement take so long in the `with` block."""
        before = self._statement_s
        self.allow(statement_s)
        try:
            yield
        finally:
            self.allow(before)

    @contextmanager
    def message_of(self, statements: int) -> Iterator[None]:
        """In the `with` block so many statements are sent as one message: the server allows each of
        them its time.
        """
        with self.patient(_patience_for(self._statement_s, statements)):
            yield

    @contextmanager
    def patient(self, patience: Patience) -> Iterator[Patience]:
        """Wait so long for an answer in the `with` block, whatever its statements are allowed."""
        before, self._patience = self._patience, patience
        try:
            yield patience
        finally:
            self._patience = before

    def _look(self) -> None:
        now = time.monotonic()
        for each in [look for look in self._looks if look.due <= now]:
            try:
                each.look()
                each.due = now + each.every_s
            except Silent:  # so is this session, then, which may wait without a limit
                self.give_up()
                raise
            except Exception:  # whatever it is: the one that waits is not to fail for it
                self._looks.remove(each)

    @contextmanager
    def watched(self, every_s: float, look: Callable[[], object]) -> Iterator[None]:
        """Call `look`, which asks another session, as long as the `with` block lasts and this one
        waits.
        """
        self._looks.append(mine := _Look(every_s, look))
        try:
            yield
        finally:
            with suppress(ValueError):  # it could not look, and was given up
                self._looks.remove(mine)

    def prepare(self, name: str, query: str, parameters: Sequence[str]) -> None:
        """Prepare a query whose placeholders are `%(name)s`, unless it is already. Its name stands
        for its text.

        It is parsed and planned once for the session, if its settings are those of
        `connection.connect`.
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

    def new_name(self) -> str:
        """Return a name for a query to prepare in a message with others; one that fails leaves it,
        and who knows whether it is: it is given once.
        """
        return f"pgrunbook_kept_{next(self._names)}"

    def prepared(self, name: str, query: str, parameters: Mapping[str, object]) -> str:
        """Return the same query, prepared, as an EXECUTE with these values that can stand among
        other statements.
        """
        self.prepare(name, query, [*parameters])
        ordered = [sql.Literal(parameters[each]) for each in self._prepared_with[name]]
        if not ordered:
            return f"EXECUTE pgrunbook_{name}"
        return f"EXECUTE pgrunbook_{name} ({sql.SQL(', ').join(ordered).as_string(self)})"

    def send(self, statements: str) -> None:
        """Send statements as one message; the server works on them while we do something else.

        It is to be inside `undoing`, for who does not come to `results`.
        """
        self.pgconn.send_query(statements.encode())
        self.wait(generators.send(self.pgconn))

    def results(self) -> list[PGresult]:
        """Return what the server says of the statements that were sent, one each, up to the first
        that fails.
        """
        return self.wait(generators.fetch_many(self.pgconn))

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Roll back the transaction that is open if the `with` block, which begins it, fails. Close
        the session in the middle of a message, or if what it has prepared is gone.
        """
        try:
            yield
        except BaseException as exc:
            match self.info.transaction_status:
                case TransactionStatus.ACTIVE:
                    self.give_up()
                case TransactionStatus.INTRANS | TransactionStatus.INERROR:
                    with suppress(psycopg.Error):
                        self.execute("ROLLBACK")
            # a function has called DEALLOCATE ALL
            if isinstance(exc, psycopg.errors.InvalidSqlStatementName):
                self.close()
            raise

    def give_up(self) -> None:
        """Close the session; if the server is at work for it, tell it to stop, which takes a second
        at most.
        """
        try:
            if self.info.transaction_status == TransactionStatus.ACTIVE:
                self._cancel()
        finally:
            self.close()

    def _cancel(self) -> bool:
        """Tell the server to stop. Whether it has taken notice: it is reached by a connection of
        its own.
        """
        if capabilities.has_cancel_safe():
            try:
                self.cancel_safe(timeout=CANCEL_S)
            except psycopg.Error:
                return False
            return True
        # libpq before 17 waits as long as the network does
        asking = threading.Thread(target=self.cancel, daemon=True)
        asking.start()
        asking.join(CANCEL_S)
        return not asking.is_alive()


def _patience_for(statement_s: float | None, statements: int) -> Patience:
    if statement_s is None:
        return Patience(None)
    return Patience(statement_s * statements + MARGIN_S)
