"""How many targets are worked on at once: by all workers, and on each database server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pgrunbook.fleet import targets
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.runbooks.project import Project


@dataclass
class Concurrency:
    """The limits of a fleet: `workers` targets in all, `per_server` on each database server.

    Two targets are on one server if libpq reaches them at the same host and port: schemas of
    tenants in one database share its CPU and its connections.
    """

    project: Project
    workers: int
    per_server: int
    _servers: dict[tuple[str, str], str] = field(default_factory=dict)

    def next_ready(
        self,
        queue: Sequence[FleetTarget],
        at_work: Collection[FleetTarget],
        not_before: Mapping[str, float],
    ) -> FleetTarget | None:
        """Return the first target of the queue that may be begun now; None if none may.

        `at_work` are the targets that count against the limits. `not_before` has, by the name of a
        target, the time (`time.monotonic`) at which it may be tried again.
        """
        if len(at_work) >= self.workers:
            return None
        busy = Counter(self.server(target) for target in at_work)
        now = time.monotonic()
        for target in queue:
            ready = not_before.get(target.name, 0) <= now
            if ready and busy[self.server(target)] < self.per_server:
                return target
        return None

    def server(self, target: FleetTarget) -> str:
        """Return host and port of the target's server."""
        # libpq's service file is read once for all tenants behind it
        reached = target.service, target.env
        if reached not in self._servers:
            self._servers[reached] = targets.server(target, self.project)
        return self._servers[reached]
