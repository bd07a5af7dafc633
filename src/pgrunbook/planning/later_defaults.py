"""Takes default privileges back on a twin which the target has got since the pending blocks were
run there: what they make anew would have these privileges, as what they made did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psycopg

from pgrunbook.inventory.names import own
from pgrunbook.inventory.objects import Inventory
from pgrunbook.postgres import catalog
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.twin_server import Twin
from pgrunbook.runbooks.blocks import Block


def take_back(twin: Twin, look: Session, target: Inventory, pending: Sequence[Block]) -> None:
    """Take back, on the twin, default privileges that are younger on the target than what the
    blocks have made there.

    A dump has them at its end, and they may have been given by hand.
    """
    made = {(each.kind, each.name) for block in pending for each in block.made}
    classes, oids = [], []
    for each, address in target.addresses.items():
        if (each.type, own(each.identity)) in made and not address.objsubid:  # no column
            classes.append(address.classid)
            oids.append(address.objid)
    statements = catalog.rows(look, "later_default_privileges", classes=classes, oids=oids)
    if not statements:
        return
    with twin.owner_session() as conn:
        for row in statements:
            # a role that the twin lacks has none there
            with suppress(psycopg.errors.UndefinedObject):
                conn.execute(row["statement"].encode())
