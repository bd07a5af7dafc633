"""Merges archives: what several machines have recorded becomes one archive.

No seal is made anew. The chains stay beside each other as they are, with their signatures.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from securesystemslib.signer import Key

from pgrunbook import files
from pgrunbook.errors import Failed, Problem, Refused
from pgrunbook.records import chain, verification
from pgrunbook.records.archive import Archive, sha256_of
from pgrunbook.records.reading import Reading, read_archive
from pgrunbook.records.seal import Seal
from pgrunbook.records.untrusted_files import is_there


class Merged(NamedTuple):
    """How many records were added by an archive, and how many of its records were known."""

    added: int
    known: int


def merge(archive: Archive, folder: Path, keys: Sequence[Key] = ()) -> Merged:
    """Bring the records of the archive in `folder` into `archive`. Known records are left as they
    are. If it breaks off in the middle, the same call finishes it.

    Raises Refused, and changes nothing, if one of the two does not verify, if they have different
    files of the same name, or if they are copies of one archive that both went on. It names
    everything that is wrong.
    """
    other = Archive(folder)
    other.require_there()
    if folder.resolve().is_relative_to(archive.root.resolve()):
        raise Refused.of(
            "is in the archive that it is to be merged into",
            where=folder.name,
            remedy="move it to another place",
        )
    if archive.root.exists():
        archive.require_there()
    with archive.alone(shlex.join(["pgrunbook", "archive", "merge", str(folder)])):
        mine, theirs = read_archive(archive), read_archive(other)
        last = {each[-1].archive: each[-1] for each in _chains(mine)}
        added: list[Seal] = []
        known: list[Seal] = []
        for each in _chains(theirs):
            for seal in each:
                new = seal.archive not in last or seal.sequence > last[seal.archive].sequence
                (added if new else known).append(seal)
        digests = _digests(added)
        # What a merge that broke off has copied is in no chain of ours yet: it would be a problem.
        problems = verification.problems(mine.without(digests.keys()), keys)
        for problem in verification.problems(theirs, keys):
            problems.append(replace(problem, where=f"{folder.name}/{problem.where}"))
        problems += _check_names(archive, digests)
        problems += _check_known(mine, known)
        links = chain.check_links(added, {**mine.seals, **theirs.seals})
        problems += [problem for problem, _ in links]
        if problems:
            what = "The archives cannot be merged: nothing was changed."
            raise Refused(what, problems=problems)
        _copy(other, archive, digests)
        _note(archive, mine, theirs, {**last, **{seal.archive: seal for seal in added}})
    return Merged(len(added), len(known))


def _chains(reading: Reading) -> list[list[Seal]]:
    """Return the chains that have seals, each up to the seal that HEAD or MERGED names."""
    # Seals behind that belong to a merge that was broken off.
    ends = list(reading.end.merged)
    if reading.end.noted:
        ends.insert(0, reading.end.noted)
    chains = []
    for _, name in ends:
        last = reading.seals.get(name)
        if last:
            own = reading.of_archive(last.archive)
            chains.append([seal for seal in own if seal.sequence <= last.sequence])
    return chains


def _digests(seals: Sequence[Seal]) -> dict[str, str]:
    """Return the SHA-256 of each file of these records, the seals last. In this order they are
    copied: a copy that breaks off leaves no seal without its files.
    """
    digests: dict[str, str] = {}
    for seal in seals:
        digests |= {each.name: each.sha256 for each in seal.statement.subject}
    return digests | {seal.name: seal.sha256 for seal in seals}


def _check_names(archive: Archive, digests: Mapping[str, str]) -> Iterator[Problem]:
    """Find files that the archive has under the same name, with other bytes."""
    for name, sha256 in digests.items():
        if not is_there(archive.root / name):
            continue
        found = sha256_of(archive.file(name))
        if found != sha256:
            yield Problem(
                "is another file in the other archive",
                where=name,
                expected=sha256,
                found=found,
                remedy="one of them is not the record of its run: see which its seal is about",
            )


def _check_known(mine: Reading, known: Sequence[Seal]) -> Iterator[Problem]:
    """Find seals that differ from ours of the same number and chain: two copies of one archive both
    went on.
    """
    for seal in known:
        there = mine.seals.get(seal.name)
        if there is None or there.sha256 != seal.sha256:
            yield Problem(
                f"copies of one archive went on apart: this is another number {seal.sequence}",
                where=seal.name,
                expected="an archive that was begun by itself, or is further than this one",
                remedy="let each machine begin with an empty outputs/",
            )


def _copy(other: Archive, archive: Archive, digests: Mapping[str, str]) -> None:
    for name, sha256 in digests.items():
        path = archive.file(name)
        if is_there(path):
            continue
        data = other.file(name).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Failed.of("changed while it was read", where=name, expected=sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, data)


def _note(archive: Archive, mine: Reading, theirs: Reading, ends: Mapping[str, Seal]) -> None:
    """Note the new ends. The archive's own chain stays its own; an empty archive takes the chain of
    the other one as its own.
    """
    noted = mine.end.noted or theirs.end.noted
    if noted is None:
        return
    seals = {**theirs.seals, **mine.seals}
    own = seals[noted[1]].archive
    archive.note(ends[own], [seal for name, seal in ends.items() if name != own])
