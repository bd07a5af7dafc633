"""A question to every target of a fleet, and the groups of equal answers. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any

from pgrunbook import signals
from pgrunbook.errors import Interrupted, Verdict, first_line
from pgrunbook.fleet.places import Places
from pgrunbook.fleet.targets import FleetTarget


@dataclass
class Group:
    """Targets that gave the same answer: what it is, in a line, and their names."""

    key: str
    verdict: Verdict
    told: str
    names: list[str] = field(default_factory=list)
    answer: Any = None


def ask(
    found: Sequence[FleetTarget],
    executor: Executor,
    places: Places,
    question: Callable[[FleetTarget], Callable[[], dict[str, Any]]],
) -> Iterator[tuple[FleetTarget, dict[str, Any]]]:
    """Each target with what its task returned, as they end: `verdict`, `reason` and more. Raises
    Interrupted at a signal.
    """
    queue = [*found]
    at_work: dict[Future[dict[str, Any]], FleetTarget] = {}
    while queue or at_work:
        if signals.stopped():
            raise Interrupted("Stopped by a signal. Nothing was written.")
        while target := places.first(queue, at_work.values(), {}):
            queue.remove(target)
            at_work[executor.submit(question(target))] = target
        for future in wait(at_work, 0.5, FIRST_COMPLETED).done:
            yield at_work.pop(future), _answer(future)


def _answer(future: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return future.result()
    # whatever a worker's end looks like to an executor
    except Exception as exc:
        lost = f"{type(exc).__name__}: {first_line(exc)}"
        return {"verdict": Verdict.INTERRUPTED, "reason": lost}
