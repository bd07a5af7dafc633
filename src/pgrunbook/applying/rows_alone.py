"""Checks that a batch has changed rows, and nothing else. What a function or a trigger of it makes
would be in no block's effect, and so the ledger would not expect it.
"""

from __future__ import annotations

from pgrunbook.errors import Failed
from pgrunbook.inventory import changes
from pgrunbook.inventory.read import read_objects
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session

_REMEDY = (
    "do that in a block of its own before this one, without the header batch; "
    "what a function needs for itself may be a temporary table"
)


def catalogs_query(conn: Session) -> str:
    """Return the query which catalogs the transaction has written to, to be sent with others."""
    return catalog.statement(conn, "catalogs_written")


def require(work: Session, look: Session, block: str) -> None:
    """Raise Failed, with everything rolled back, if the open transaction of `work` has changed
    anything but rows and temporary objects. Called only if it has written to a catalog.
    """
    by_batch = changes.read_changes(work)
    found = [f"{each}: made or altered" for each in read_objects(work, by_batch.addresses)]
    lost = []
    if by_batch.xid and by_batch.deleted_from:
        lost = changes.read_overwritten(look, by_batch.xid, by_batch.deleted_from)
    if not found and not lost:
        return
    work.execute("ROLLBACK")  # what it has dropped can be named then
    found += [f"{each}: dropped" for each in read_objects(work, lost)]
    what = "a batch has changed more than rows, by a function or a trigger"
    raise Failed.of(
        what, where=block, expected="rows alone", found="\n".join(found), remedy=_REMEDY
    )
