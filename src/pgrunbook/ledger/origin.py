"""Origin: what tells a server from its copies, and whether it is the one that the ledger was
written on.

A physical copy (a base backup, a snapshot, a branch, a promoted standby) shares system identifier,
databases, and every row of the ledger. It does not share all of: the timeline, the address, the
data directory, and when it was started.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import psycopg

from pgrunbook.errors import Problem, Refused
from pgrunbook.ledger import versions
from pgrunbook.postgres import catalog, lockers
from pgrunbook.postgres.catalog import Connection
from pgrunbook.postgres.target import Target


@dataclass(frozen=True, slots=True)
class Origin:
    """A server and database, by what no copy has all of. A fact is None where it is not shown, or
    there is none.

    `branch` is what a hosted server calls its branch, which keeps its name whichever machine serves
    it.
    """

    system_identifier: str
    database_oid: int
    timeline: int | None
    address: str
    data_directory: str | None
    branch: str | None
    server_started_at: datetime

    @classmethod
    def of(cls, conn: Connection) -> Self:
        """Return who answers. Reads only."""
        found = catalog.rows(conn, "server")[0]
        # the server tells none over a Unix-domain socket
        found["address"] = found["address"] or _route(conn)
        return cls(**found, timeline=_timeline(conn))

    @property
    def text(self) -> str:
        """What of it a restart leaves as it is, in a line."""
        place = f"branch {self.branch}" if self.branch else self.address
        return f"{place}, timeline {self.timeline or 'not shown'}, database {self.database_oid}"

    def facts(self) -> Mapping[str, Any]:
        """Return the facts by their names, which are those of the columns in the ledger."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def differences(self, other: Origin) -> Mapping[str, tuple[Any, Any]]:
        """Return the facts that both have and that differ, by their names: this one's, and the
        other's.
        """
        found = {}
        for name, value in self.facts().items():
            there = getattr(other, name)
            if value is not None and there is not None and value != there:
                found[name] = (value, there)
        return found

    def is_same(self, noted: Origin) -> bool:
        """Return whether it is one and the same server: it runs since the same moment, however it
        is reached, or was started anew where it was.
        """
        differing = self.differences(noted).keys()
        # none of these changes with a restart; a promotion begins another timeline
        if differing & {"system_identifier", "database_oid", "timeline"}:
            return False
        if "server_started_at" not in differing:
            return True
        # a hosted server may be started anew on another machine, under the name of its branch
        if self.branch and self.branch == noted.branch:
            return True
        return not differing & {"address", "data_directory", "branch"}

    def is_copy(self, noted: Origin) -> bool:
        """Return whether it is a copy for certain: without a promotion, which makes the true one
        out of a standby, it has another data directory.
        """
        on_same_timeline = self.timeline is not None and self.timeline == noted.timeline
        return on_same_timeline and "data_directory" in self.differences(noted)


@lockers.named
def _noted_servers(conn: Connection) -> list[dict[str, Any]]:
    if versions.installed(conn) < versions.WITH_SERVERS:
        return []
    return catalog.rows(conn, "ledger_servers")


def _timeline(conn: Connection) -> int | None:
    with suppress(*_NOT_SHOWN):
        timeline: int | None = catalog.rows(conn, "timeline")[0]["timeline"]
        return timeline
    return None


# Aurora has no WAL of its own to tell about, and says the one or the other by its settings.
_NOT_SHOWN = (
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.InsufficientPrivilege,
)


def _route(conn: Connection) -> str:
    """Return how this host gets to a server that tells no address: over a Unix-domain socket, or a
    tunnel.
    """
    host = conn.info.host
    if host.startswith("/"):
        host = os.path.realpath(host)
    return f"{host}:{conn.info.port} on {socket.gethostname()}"


# without slots: a cached property needs a `__dict__`
@dataclass(frozen=True)
class Standing:
    """Who answers (`here`), beside the server that the ledger was written on: `noted`, as runs have
    found it; the first of these rows says by its `event` how it came to be the one. Empty if the
    ledger names none.
    """

    here: Origin
    event: str = ""
    noted: Sequence[Origin] = ()
    standby: bool = False

    @classmethod
    def of(cls, conn: Connection) -> Self:
        """Return who answers now, and what the ledger has of its server. The ledger must be one
        that can be read; before version 5 it names no server. Reads only.
        """
        rows = _noted_servers(conn)
        events = [row.pop("event") for row in rows]
        event = events[0] if events else ""
        noted = [Origin(**row) for row in rows]
        standby = catalog.rows(conn, "place")[0]["standby"]
        return cls(Origin.of(conn), event, noted, standby)

    @cached_property
    def elsewhere(self) -> bool:
        """Whether the ledger was written on another server. Not on a standby, whose ledger is that
        of its primary.
        """
        if not self.noted or self.standby:
            return False
        return not any(self.here.is_same(noted) for noted in self.noted)

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy for certain, and not the server itself after a failover."""
        if self.elsewhere:
            return any(self.here.is_copy(noted) for noted in self.noted)
        return self.says_copy

    @property
    def says_copy(self) -> bool:
        """Whether the ledger itself takes it for one: nobody has confirmed it, but a run has
        written on it.
        """
        return self.event == "copied" and not self.elsewhere

    @property
    def is_original(self) -> bool:
        """Whether it is the server that the ledger was written on, and that one no copy."""
        return bool(self.noted) and not (self.standby or self.elsewhere or self.says_copy)

    @property
    def server(self) -> str:
        """The server by what a plan knows it by: as the ledger first has it, if it is that one."""
        if self.elsewhere or not self.noted:
            return self.here.text
        return self.noted[0].text

    @property
    def differing(self) -> str:
        """In what it differs from what the ledger last has of its server, one fact a line; and what
        is not shown.
        """
        lines = []
        for name, (now, then) in self.here.differences(self.noted[-1]).items():
            lines.append(f"{name.replace('_', ' ')}: {then}, and here {now}")
        if self.here.timeline is None:
            lines.append("timeline: not shown to this role")
        if self.here.data_directory is None:
            lines.append("data directory: not shown to this role")
        return "\n".join(lines)

    def __str__(self) -> str:
        if self.standby:
            ledger = "names no server yet, if there is one"
            if self.noted:
                ledger = "was written on its primary"
            return f"a standby at {self.here.address}; the ledger {ledger}"
        if not self.noted:
            return f"{self.here.text}; the ledger names none yet"
        if self.elsewhere:
            return (
                f"{self.here.text}: NOT the one that the ledger was written on, but a copy, or "
                f"the same after a failover\n{self.differing}"
            )
        if self.says_copy:
            return (
                f"{self.server}: as in the ledger, by a run that found another server than before"
            )
        return f"{self.server}: as in the ledger"

    def refusal(self, target: Target) -> Problem | None:
        """Return why the server is not taken for the target: it is protected, or asks for a
        rehearsal, and the ledger was written on another server. Elsewhere any copy will do, as
        databases are copied every night.
        """
        given = target.expected
        # a copy is what it is to be; and what nobody protects may be one
        if given.copy_of or not (given.protected or given.rehearsal):
            return None
        if not (self.elsewhere or self.says_copy):
            return None
        expected, found = "a server that somebody has confirmed", str(self)
        if self.elsewhere:
            expected, found = self.noted[-1].text, self.differing
        return Problem(
            "is not the one that the ledger was written on: a copy of it, or it after a failover",
            where="server",
            expected=expected,
            found=found,
            remedy=f"connect to the right one; or, if this one is {target.name} now:\n"
            f'pgrunbook server --target {shlex.quote(target.name)} --confirm "failover of …"',
        )

    def require_here(self, conn: Connection, target: str) -> None:
        """Raise Refused if this session has reached another server: a name may lead to several.
        Reads only.
        """
        here = Origin.of(conn)
        if not here.is_same(self.here):
            raise Refused.of(
                "the name of the target leads to different servers",
                where=f"target {target!r}",
                expected=self.here.text,
                found=here.text,
                remedy="name one host in the connection string or the service",
            )

    def note(
        self, conn: Connection, *, target: str, operator: str, reason: str, confirmed: bool = False
    ) -> None:
        """Write who answers into the ledger, unless it is there."""
        event = "confirmed" if confirmed else self._event
        if event == "seen" and any(_says_all(noted, self.here) for noted in self.noted):
            return
        row = {
            "event": event,
            **self.here.facts(),
            "target": target,
            "operator": operator,
            "reason": reason,
        }
        with lockers.naming(conn):
            conn.execute(_NOTE, row)

    @property
    def _event(self) -> str:
        """How the server came to be the ledger's, where nobody has confirmed it."""
        if self.elsewhere:
            return "copied"
        return "seen" if self.noted else "first"


_NOTE = """\
INSERT INTO pgrunbook.servers (
    event, system_identifier, database_oid, timeline, address, data_directory, branch,
    server_started_at, target, operator, reason
) VALUES (
    %(event)s, %(system_identifier)s, %(database_oid)s, %(timeline)s, %(address)s,
    %(data_directory)s, %(branch)s, %(server_started_at)s, %(target)s, %(operator)s, %(reason)s
)"""


def _says_all(noted: Origin, here: Origin) -> bool:
    """Return whether the row has every fact. It may have one more: the data directory is not shown
    to every role.
    """
    if here.data_directory and noted.data_directory is None:
        return False
    return not here.differences(noted)
