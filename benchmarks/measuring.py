"""What whole processes cost in time and memory. Contestants take turns, so that all meet the same
machine.
"""

from __future__ import annotations

import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import peers
import psutil  # type: ignore[import-untyped]  # ships no type information

TIMEOUT_S = 600
SAMPLING_S = 0.01


# Makes what a run needs, and returns what is to be run.
Prepare = Callable[[], list[peers.Command]]


class Usage(NamedTuple):
    """What one run cost, in seconds: from start to exit, and on the processors, of all its
    processes together.
    """

    wall_s: float
    cpu_s: float


def usage(commands: Sequence[peers.Command]) -> Usage:
    """Run the commands, one after the other. Ends the benchmark if one fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = peers.run(commands, TIMEOUT_S)
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended != "done":
        raise SystemExit(f"{ended}: {' '.join(map(str, commands[0].arguments))}")
    return Usage(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@contextmanager
def beside(work: Callable[..., None], over: threading.Event, *arguments: Any) -> Iterator[None]:
    """Have this done in a thread as long as the `with` block lasts: it ends when that is `over`."""
    thread = threading.Thread(target=work, args=arguments)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass
class Memory:
    """The most memory that this process's children had at one time, in bytes: resident, shared
    pages divided.
    """

    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[Memory]:
        """Sample as long as the `with` block lasts. It costs the children time: do not measure both
        at once.
        """
        with beside(self._watch, self._over):
            yield self

    def _watch(self) -> None:
        while not self._over.wait(SAMPLING_S):
            self.peak = max(
                self.peak, sum(_resident(p) for p in psutil.Process().children(recursive=True))
            )


def _resident(process: Any) -> int:
    with suppress(psutil.Error):
        return int(process.memory_full_info().pss)
    return 0  # it has ended


def timed(prepare: Prepare) -> Callable[[], Usage]:
    """A run as `in_turns` takes it; what it takes to prepare it does not count."""
    return lambda: usage(prepare())


def peak(prepare: Prepare) -> int:
    """The most memory of a run of its own, in bytes."""
    commands = prepare()
    with Memory().watching() as memory:
        usage(commands)
    return memory.peak


def in_turns(contestants: Mapping[str, Callable[[], Usage]], times: int) -> dict[str, list[Usage]]:
    """Each contestant once, then each once more, so many times."""
    found: dict[str, list[Usage]] = {name: [] for name in contestants}
    for _ in range(times):
        for name, run in contestants.items():
            found[name].append(run())
    return found


def wall(found: Sequence[Usage]) -> float:
    """The median time from start to exit, in seconds."""
    return statistics.median(usage.wall_s for usage in found)


def cpu(found: Sequence[Usage]) -> float:
    """The median processor time, in seconds."""
    return statistics.median(usage.cpu_s for usage in found)


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown; all columns but the first to the right."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
