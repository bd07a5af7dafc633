"""Finds which objects the open transaction of a twin, or its present statement, has written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pgrunbook.inventory.catalogs import SHARED
from pgrunbook.inventory.changes import read_changes, read_overwritten
from pgrunbook.inventory.objects import Address
from pgrunbook.postgres.session import Session

# catalogs with rows about objects that stay when such a row is deleted
_OF_OTHERS = frozenset(
    {"pg_amop", "pg_amproc", "pg_description", "pg_seclabel", "pg_ts_config_map"}
)


class Written:
    """What the open transaction of `conn` has written. `beside` is a session that still sees what
    it has dropped.
    """

    def __init__(self, conn: Session, beside: Session) -> None:
        self._conn = conn
        self._beside = beside
        self._since: int | None = None  # the number from which on its present statement writes
        self._all: set[Address] = set()
        # how many rows it has deleted, by catalog: when it was last looked at, and as its present
        # statement began
        self._deleted: Mapping[str, int | None] = {}
        self._deleted_before: Mapping[str, int | None] = {}

    def begin(self) -> None:
        """Begin a transaction, with a savepoint that the first statement takes the place of."""
        self._conn.execute("BEGIN; SAVEPOINT pgrunbook_statement")
        self._all = set()
        self._deleted = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Look for all that the transaction has written."""
        self._since = None
        self._deleted_before = {}

    def begin_statement(self) -> None:
        """From here on look only for what is written later, in a subtransaction that begins later:
        a block with thousands of statements would read thousands of times what it has written.
        """
        # another transaction's number is greater than all before it, and less than all that follow
        number = "SELECT pg_catalog.pg_current_xact_id()::text::bigint"
        ((self._since,),) = self._beside.execute(number)
        self._deleted_before = self._deleted

    @contextmanager
    def by_one_statement(self) -> Iterator[None]:
        """Look only for what is written within, and then for all that was looked for before."""
        before = self._since, self._deleted_before
        self.begin_statement()
        try:
            yield
        finally:
            self._since, self._deleted_before = before

    @property
    def in_part(self) -> bool:
        """Whether only the present statement is looked at."""
        return self._since is not None

    def look(self, *, near: bool) -> tuple[set[Address], Mapping[int, set[Address]]]:
        """Return the objects that were written, and, by catalog, those that may be gone.

        `near`: all that is changed hangs on relations that the transaction has locked.
        """
        # Not by reading everything again, which takes long for each statement: rows of the catalog
        # that the transaction has written carry its number (xmin). A row that it has deleted is
        # gone for it, but not for the session beside it.
        found = read_changes(self._conn, near=near, since=self._since)
        lost: dict[int, set[Address]] = defaultdict(set)
        if found.xid is None:
            return set(), lost
        # Roles and other shared objects are not copied: a twin has the names of roles alone.
        addresses = {each for each in found.addresses if each.classid not in SHARED}
        self._deleted = found.deleted_from
        deleted_from = self._newly_deleted_from()
        if deleted_from:
            since = self._since or found.xid
            addresses |= {*read_overwritten(self._beside, since, deleted_from)}
            # What it has made and dropped again no session sees.
            for each in self._all:
                lost[each.classid].add(each)
        if not deleted_from.isdisjoint(_OF_OTHERS):
            addresses |= self._all
        self._all |= addresses
        return addresses, lost

    def _newly_deleted_from(self) -> set[str]:
        found = set()
        for catalog, rows in self._deleted.items():
            if rows is None or rows != self._deleted_before.get(catalog):
                found.add(catalog)
        return found
