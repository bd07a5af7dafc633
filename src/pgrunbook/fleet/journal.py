"""The journal of a fleet's run: a file of JSON, a line an event.

An event is on the disk before anything that follows from it is done. So whoever reads the journal
after a kill knows what was begun, and what came of it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pgrunbook.errors import Failed, Refused
from pgrunbook.fleet.command import fleet_command

Event = Mapping[str, Any]


class Journal:
    """The journal of a run, for the one process that coordinates it.

    Other processes may add lines, such as a stop: `read_added` returns those. The coordinator holds
    a lock on the file (flock) as long as it lives; the kernel takes it from a process that is
    killed. Raises Refused if another process holds it.
    """

    def __init__(self, path: Path, flags: int = 0) -> None:
        self.path = path
        self._file = os.open(path, flags | os.O_RDWR | os.O_APPEND, 0o644)
        self._read = os.fstat(self._file).st_size  # up to this byte its lines are known
        self.begun: list[Event] = []  # the first events, as they were written
        # Behind that byte: from where to where it was written here, and by nobody else.
        self._own: list[tuple[int, int]] = []
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._file)
            raise Refused.of(
                "is at work already",
                where=path.name,
                remedy="wait until it has ended: pgrunbook fleet status",
            ) from exc

    @classmethod
    def create(
        cls, path: Path, *events: Event, check: Callable[[Path], object] = lambda _: None
    ) -> Journal:
        """Begin a journal with these events: it is there with all of them, or not at all.

        `check` may raise to give it up. It is called with the path of the half-made file, which
        others can see by then: of two processes that begin at once, each sees the other.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        # A rename is atomic, https://pubs.opengroup.org/onlinepubs/9699919799/functions/rename.html
        half_made = path.with_name(f".{path.name}")
        journal = cls(half_made, os.O_CREAT | os.O_EXCL)
        try:
            check(half_made)
            journal.begun = journal.write(*events)
            half_made.rename(path)
            _sync(path.parent)
        except BaseException:
            journal.close()
            half_made.unlink(missing_ok=True)
            raise
        journal.path = path
        return journal

    def write(self, *events: Event) -> list[Event]:
        """Add events, each with the time, and return them once they are on the disk, as a reader of
        the journal has them. Raises Failed if they could not be written as a whole.
        """
        lines = [*map(_line, events)]
        own = b"".join(lines)
        end = self._append(own)
        # Somebody may have begun a line in that moment, and left it without an end: ours would be
        # a part of it.
        while not self._is_line_end(end - len(own)):
            end = self._append(own)
        self._own.append((end - len(own), end))
        return [json.loads(line) for line in lines]

    def _append(self, own: bytes) -> int:
        """Append lines to the file, and return where they end once they are on the disk."""
        data = own if self._is_line_end(os.fstat(self._file).st_size) else b"\n" + own
        try:
            # one call, O_APPEND: no line of another process gets in between
            written = os.write(self._file, data)
            os.fsync(self._file)
        except OSError as exc:
            raise write_error(self.path, exc.strerror or str(exc)) from exc
        if written < len(data):
            raise write_error(
                self.path, f"{written} of {len(data)} bytes could be written: a full disk"
            )
        return os.lseek(self._file, 0, os.SEEK_CUR)

    def _is_line_end(self, at: int) -> bool:
        """Return whether a line can begin at this byte: whoever was killed may have left a part of
        one.
        """
        return not at or os.pread(self._file, 1, at - 1) == b"\n"

    def read_added(self) -> dict[int, Event]:
        """Return the events that others have added since the last call, by the number of the line.
        Raises Failed if the journal was cut short.
        """
        found: dict[int, Event] = {}
        for begin, end in self._own:
            found |= self._read_lines(begin)
            self._read = end
        self._own.clear()
        return found | self._read_lines(os.fstat(self._file).st_size)

    def _read_lines(self, end: int) -> dict[int, Event]:
        """Return the events of the lines up to this byte that were not read yet."""
        if end == self._read:
            return {}
        if end < self._read:
            raise self._cut_short_error()
        data = os.pread(self._file, end - self._read, self._read)
        whole = data[: data.rfind(b"\n") + 1]  # the rest is a line that somebody is writing
        before = os.pread(self._file, self._read, 0).count(b"\n")
        self._read += len(whole)
        return {before + number: event for number, event in _events(whole).items()}

    def _cut_short_error(self) -> Failed:
        runbook, fleet = self.path.parent.name, self.path.parent.parent.name
        run = fleet_command("run", runbook, fleet, mode=self.begun[0]["mode"])
        return Failed.of(
            "was cut short by somebody else while its run was at work",
            where=str(self.path),
            remedy=f"see who writes there; then begin anew, which finds done what is done: {run}",
        )

    def close(self) -> None:
        """Close the file, and let go of its lock."""
        os.close(self._file)


def write_error(path: Path, found: str) -> Failed:
    """Return the error that a file of a fleet's run could not be written, with what to do."""
    runbook, fleet = path.parent.name, path.parent.parent.name
    begun = not path.name.startswith(".")  # as long as a journal is not in its place
    again = fleet_command("resume" if begun else "run", runbook, fleet)
    return Failed.of(
        "could not be written",
        where=str(path),
        found=found,
        remedy=f"make room on the disk, then: {again}",
    )


def read(path: Path) -> dict[int, Event]:
    """Return all events of a journal by the number of the line. A line that is no event is left
    out: whoever wrote it may have been killed in the middle of it.
    """
    return _events(path.read_bytes())


def add(path: Path, event: Event) -> None:
    """Add an event to the journal of another process."""
    with path.open("ab", buffering=0) as file:
        file.write(_line(event))
        os.fsync(file.fileno())


def is_at_work(path: Path) -> bool:
    """Return whether the process that writes a journal is alive: it holds the lock."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _sync(folder: Path) -> None:
    """Write a folder to the disk, and with it the name of a new file: fsync(2) of the file itself
    does not do that.
    """
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _line(event: Event) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"at": at, **event}, ensure_ascii=False).encode() + b"\n"


def _events(data: bytes) -> dict[int, Event]:
    found: dict[int, Event] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        with suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                found[number] = event
    return found
