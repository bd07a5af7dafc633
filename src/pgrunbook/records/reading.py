"""Reads an archive as it is at one moment, while nothing is added to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pgrunbook.errors import Problem, Unreadable
from pgrunbook.records.archive import HEAD, MERGED, Archive
from pgrunbook.records.naming import SEAL
from pgrunbook.records.seal import Seal
from pgrunbook.records.untrusted_files import is_regular

# How often to begin anew because a run has sealed its record meanwhile.
_READINGS = 5


class End(NamedTuple):
    """The end of an archive: digest and name of the last seals.

    - `noted`: as HEAD says. `merged`: as MERGED says, of other archives' chains.
    - `left`: a seal that an interrupted run has not put into its place.
    - `problem`: why they cannot be read.
    """

    noted: tuple[str, str] | None = None
    left: tuple[str, str] | None = None
    problem: Problem | None = None
    merged: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(cls, archive: Archive) -> End:
        """Read the end as it is now."""
        try:
            noted, left = archive.noted_head(), archive.interrupted()
        except (Unreadable, OSError) as exc:
            return cls(problem=Problem("changed: it cannot be read", where=HEAD, found=str(exc)))
        try:
            return cls(noted, left, merged=archive.noted_merged())
        except (Unreadable, OSError) as exc:
            why = Problem("changed: it cannot be read", where=MERGED, found=str(exc))
            return cls(noted, left, why)


class Reading(NamedTuple):
    """An archive at one moment: its end, its files and its seals by name, and `problems` for what
    could not be read.
    """

    end: End
    files: Mapping[str, Path]
    seals: Mapping[str, Seal]
    problems: Sequence[Problem]

    @property
    def chain(self) -> list[Seal]:
        """The seals of the archive's own chain, in the order in which they were made."""
        of_others = {chain[-1].archive for chain in self.merged if chain}
        own = [seal for seal in self.seals.values() if seal.archive not in of_others]
        return sorted(own, key=lambda seal: seal.sequence)

    @property
    def merged(self) -> list[list[Seal]]:
        """The chains that other archives have brought, in the order of `MERGED`; an empty one for a
        line whose seal is not there.
        """
        chains: list[list[Seal]] = []
        for _, name in self.end.merged:
            last = self.seals.get(name)
            chains.append(self.of_archive(last.archive) if last else [])
        return chains

    def of_archive(self, archive: str) -> list[Seal]:
        """Return the seals of one archive's chain, in the order in which they were made."""
        found = [seal for seal in self.seals.values() if seal.archive == archive]
        return sorted(found, key=lambda seal: seal.sequence)

    def without(self, names: Collection[str]) -> Reading:
        """Return the reading as if these files did not exist."""
        return self._replace(
            files={name: path for name, path in self.files.items() if name not in names},
            seals={name: seal for name, seal in self.seals.items() if name not in names},
        )


def read_archive(archive: Archive) -> Reading:
    """Read the archive at a moment at which no run was sealing its record."""
    # Without the archive's lock, as a copy on a read-only disk is to be checked, too. Instead it is
    # read again if its end has moved meanwhile.
    for _ in range(_READINGS):
        reading = _read(archive)
        if End.of(archive) == reading.end:
            return reading
    restless = Problem(
        "runs seal their records faster than the archive is read",
        where=HEAD,
        expected="the same head before and after",
        found=f"another one, {_READINGS} times",
        remedy="check again when fewer runs end",
    )
    return reading._replace(end=End(problem=restless))


def _read(archive: Archive) -> Reading:
    # The end first. Seals are only ever added: so all seals before this end are read.
    end = End.of(archive)
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    for path in archive.files():
        name = path.relative_to(archive.root).as_posix()
        if is_regular(path):
            files[name] = path
        else:
            problems.append(_no_file(name, path))
    seals = {}
    for name, path in files.items():
        if name.endswith(SEAL):
            try:
                seals[name] = archive.read(path)
            except (Unreadable, OSError) as exc:
                problems.append(
                    Problem("changed: the seal cannot be read", where=name, found=str(exc))
                )
    return Reading(end, files, seals, problems)


def _no_file(name: str, path: Path) -> Problem:
    return Problem(
        "is not a file of a record, and was not read",
        name,
        "a regular file",
        "a symbolic link" if path.is_symlink() else "something else",
        "remove it",
    )


def sealed_run(archive: Archive, run_id: str) -> Seal | None:
    """Return the seal of a run's record; None if there is none among the seals that can be read."""
    for path in archive.files():
        if path.name.endswith(SEAL):
            with suppress(Unreadable, OSError):  # `archive verify` names those
                seal = archive.read(path)
                if seal.statement.predicate.run.get("id") == run_id:
                    return seal
    return None
