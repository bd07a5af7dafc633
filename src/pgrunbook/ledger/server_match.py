"""Whether the server that answers is the one that the ledger was written on, or a copy of it.

A physical copy (a base backup, a snapshot, a branch, a promoted standby) shares system identifier,
databases, and every row of the ledger. It has another timeline, address, data directory, or moment
of its start: not all four are the same.
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
from pgrunbook.postgres.session import Session
from pgrunbook.postgres.target import Target


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What tells a server, and a database on it, from a copy: no copy has all of these facts. None:
    it is not shown to this role, or there is none.

    `branch` is what a hosted server calls its branch: the name stays, whichever machine serves it.
    Which database answers, as people are shown it, is `postgres.identity.Identity`.
    """

    system_identifier: str
    database_oid: int
    timeline: int | None
    address: str
    data_directory: str | None
    branch: str | None
    server_started_at: datetime

    @classmethod
    def of(cls, conn: Session) -> Self:
        """Return who answers. Reads only."""
        found = catalog.rows(conn, "server")[0]
        # over a Unix-domain socket the server has no address
        found["address"] = found["address"] or _route(conn)
        return cls(**found, timeline=_timeline(conn))

    @property
    def text(self) -> str:
        """Those facts that a restart does not change, in a line."""
        place = f"branch {self.branch}" if self.branch else self.address
        return f"{place}, timeline {self.timeline or 'not shown'}, database {self.database_oid}"

    def facts(self) -> Mapping[str, Any]:
        """Return the facts by their names, which are those of the columns in the ledger."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def differences(self, other: ServerIdentity) -> Mapping[str, tuple[Any, Any]]:
        """Return the facts that differ, by their names: (this one's, the other's). Those that one
        of the two does not have are left out.
        """
        found = {}
        for name, own in self.facts().items():
            others = getattr(other, name)
            if own is not None and others is not None and own != others:
                found[name] = (own, others)
        return found

    def is_same(self, noted: ServerIdentity) -> bool:
        """Return whether both are one server: it was started at the same moment, by whatever
        address it is reached, or it was started anew in the same place.
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

    def is_copy(self, noted: ServerIdentity) -> bool:
        """Return whether it is a copy for certain: it has another data directory, and the same
        timeline. A standby that was promoted has another timeline, and may be the right one now.
        """
        on_same_timeline = self.timeline is not None and self.timeline == noted.timeline
        return on_same_timeline and "data_directory" in self.differences(noted)


@lockers.named
def _noted_servers(conn: Session) -> list[dict[str, Any]]:
    if versions.installed(conn) < versions.WITH_SERVERS:
        return []
    return catalog.rows(conn, "ledger_servers")


def _timeline(conn: Session) -> int | None:
    with suppress(*_NOT_SHOWN):
        timeline: int | None = catalog.rows(conn, "timeline")[0]["timeline"]
        return timeline
    return None


# Aurora has no WAL of its own, and so no timeline: which error it raises depends on its settings.
_NOT_SHOWN = (
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.InsufficientPrivilege,
)


def _route(conn: Session) -> str:
    """Return how this host gets to a server that tells no address: over a Unix-domain socket, or a
    tunnel.
    """
    host = conn.info.host
    if host.startswith("/"):
        host = os.path.realpath(host)
    return f"{host}:{conn.info.port} on {socket.gethostname()}"


# without slots: a cached property needs a `__dict__`
@dataclass(frozen=True)
class ServerMatch:
    """The server that answers, beside the one that the ledger was written on.

    - `here`: the server that answers.
    - `known`: the ledger's server, as runs have found it, the first one first; empty if the ledger
      names none.
    - `event`: how the first of these came to be the ledger's server: `first`, `confirmed`,
      `copied`.
    - `standby`: whether the server that answers is a standby.
    """

    here: ServerIdentity
    event: str = ""
    known: Sequence[ServerIdentity] = ()
    standby: bool = False

    @classmethod
    def of(cls, conn: Session) -> Self:
        """Ask the server and its ledger. The role must be able to read the ledger, if there is one;
        before version 5 it names no server. Reads only.
        """
        rows = _noted_servers(conn)
        events = [row.pop("event") for row in rows]
        event = events[0] if events else ""
        noted = [ServerIdentity(**row) for row in rows]
        standby = catalog.rows(conn, "place")[0]["standby"]
        return cls(ServerIdentity.of(conn), event, noted, standby)

    @cached_property
    def is_other_server(self) -> bool:
        """Whether the ledger was written on another server. False on a standby: its ledger is its
        primary's.
        """
        if not self.known or self.standby:
            return False
        return not any(self.here.is_same(noted) for noted in self.known)

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy for certain, and not the server itself after a failover."""
        if self.is_other_server:
            return any(self.here.is_copy(noted) for noted in self.known)
        return self.marked_as_copy

    @property
    def marked_as_copy(self) -> bool:
        """Whether the ledger itself calls this server a copy: a run has written on it, and nobody
        has confirmed it.
        """
        return self.event == "copied" and not self.is_other_server

    @property
    def is_original(self) -> bool:
        """Whether it is the server that the ledger was written on, and not marked as a copy."""
        return bool(self.known) and not (
            self.standby or self.is_other_server or self.marked_as_copy
        )

    @property
    def server(self) -> str:
        """The server in a line, for plans: as the ledger first has it, if it is that server."""
        if self.is_other_server or not self.known:
            return self.here.text
        return self.known[0].text

    @property
    def differences_text(self) -> str:
        """The facts in which it differs from what the ledger last has of its server, a line each;
        and those that are not shown.
        """
        lines = []
        for name, (now, then) in self.here.differences(self.known[-1]).items():
            lines.append(f"{name.replace('_', ' ')}: {then}, and here {now}")
        if self.here.timeline is None:
            lines.append("timeline: not shown to this role")
        if self.here.data_directory is None:
            lines.append("data directory: not shown to this role")
        return "\n".join(lines)

    def __str__(self) -> str:
        if self.standby:
            ledger = "names no server yet, if there is one"
            if self.known:
                ledger = "was written on its primary"
            return f"a standby at {self.here.address}; the ledger {ledger}"
        if not self.known:
            return f"{self.here.text}; the ledger names none yet"
        if self.is_other_server:
            return (
                f"{self.here.text}: NOT the one that the ledger was written on, but a copy, or "
                f"the same after a failover\n{self.differences_text}"
            )
        if self.marked_as_copy:
            return (
                f"{self.server}: as in the ledger, by a run that found another server than before"
            )
        return f"{self.server}: as in the ledger"

    def refusal(self, target: Target) -> Problem | None:
        """Return why the server is not taken for the target; None if it is. Only a target that is
        protected, or needs a rehearsal, has to be the server that the ledger was written on: others
        are copied every night.
        """
        given = target.expected
        # of a target with `copy_of` a copy is expected
        if given.copy_of or not (given.protected or given.rehearsal):
            return None
        if not (self.is_other_server or self.marked_as_copy):
            return None
        expected, found = "a server that somebody has confirmed", str(self)
        if self.is_other_server:
            expected, found = self.known[-1].text, self.differences_text
        return Problem(
            "is not the one that the ledger was written on: a copy of it, or it after a failover",
            where="server",
            expected=expected,
            found=found,
            remedy=f"connect to the right one; or, if this one is {target.name} now:\n"
            f'pgrunbook server --target {shlex.quote(target.name)} --confirm "failover of …"',
        )

    def require_here(self, conn: Session, target: str) -> None:
        """Raise Refused if this session is on another server than the one that answered before: a
        name may lead to several. Reads only.
        """
        here = ServerIdentity.of(conn)
        if not here.is_same(self.here):
            raise Refused.of(
                "the name of the target leads to different servers",
                where=f"target {target!r}",
                expected=self.here.text,
                found=here.text,
                remedy="name one host in the connection string or the service",
            )

    def note(
        self, conn: Session, *, target: str, operator: str, reason: str, confirmed: bool = False
    ) -> None:
        """Write the server that answers into the ledger, unless it is there as it is now."""
        event = "confirmed" if confirmed else self._event
        if event == "seen" and any(_covers(noted, self.here) for noted in self.known):
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
        if self.is_other_server:
            return "copied"
        if self.known:
            return "seen"
        return "first"


_NOTE = """\
INSERT INTO pgrunbook.servers (
    event, system_identifier, database_oid, timeline, address, data_directory, branch,
    server_started_at, target, operator, reason
) VALUES (
    %(event)s, %(system_identifier)s, %(database_oid)s, %(timeline)s, %(address)s,
    %(data_directory)s, %(branch)s, %(server_started_at)s, %(target)s, %(operator)s, %(reason)s
)"""


def _covers(noted: ServerIdentity, here: ServerIdentity) -> bool:
    """Return whether a row of the ledger has every fact of the server. It may have one more: the
    data directory is not shown to every role.
    """
    if here.data_directory and noted.data_directory is None:
        return False
    return not here.differences(noted)
