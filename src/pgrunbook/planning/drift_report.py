"""Reports what is not there as the ledger of a target expects it. Reads only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import psycopg

from pgrunbook.errors import Refused
from pgrunbook.inventory.objects import Inventory
from pgrunbook.inventory.read import read
from pgrunbook.ledger import drift
from pgrunbook.ledger.fold import Fold, read_fold
from pgrunbook.planning import checks, preflight, right_target
from pgrunbook.postgres import locks
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.driver_errors import driver_errors
from pgrunbook.postgres.identity import identify
from pgrunbook.runbooks import targets
from pgrunbook.runbooks.project import Project


def collect(project: Project, target: str, schema: str) -> dict[str, Any]:
    """Compare all that runbooks have made in a schema of a target with what is there.

    Returns JSON values: `target`, `schema`; `expected`, the number of objects that runbooks have
    set; `drift`, a list of problems with `object` and its `origin` in words; `unread`, objects of
    which the definition is not known, or was printed by another major version of the server, and
    which are only missed; `others`, objects that no runbook has set. Raises
    Refused if the target, its schema, its ledger or a table cannot be read: Failed is for drift.
    """
    resolved = targets.resolve(target, project)
    with (
        driver_errors("The target could not be read.", where=f"target {target!r}"),
        connect(resolved, schema=schema, label="drift", read_only=True) as conn,
    ):
        right_target.check_identity(resolved, identify(conn))
        checks.require(preflight.check_schema(conn, schema), Refused, "The target cannot be read.")
        expected = read_fold(conn, schema)
        try:
            found = read(conn, sorted({schema, *expected.schemas}))
        except psycopg.errors.LockNotAvailable as exc:
            raise Refused(problems=[locks.unreadable(conn, target)]) from exc
        version = conn.info.server_version // 10_000
        drifted = []
        for each in drift.find_drift(expected, found, version):
            about = {"object": str(each.object), "origin": each.origin}
            drifted.append(about | asdict(each.problem))
    return {
        "target": target,
        "schema": schema,
        "expected": len(expected.history),
        "drift": drifted,
        "unread": [str(each) for each in sorted(expected.unread | expected.outdated(version))],
        "others": _others(expected, found, schema),
    }


def _others(expected: Fold, found: Inventory, schema: str) -> list[str]:
    """Return what no block has set, in the schema and in those where blocks have set something."""
    within = {schema, *expected.schemas}
    others = []
    for each in sorted(found):
        if each not in expected.history and each.type != "schema" and each.schema in within:
            others.append(str(each))
    return others
