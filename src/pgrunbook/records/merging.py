"""Merges archives: what several machines have recorded becomes one archive. No seal is made anew:
the chains stay as they are beside each other, and so do their signatures.
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
    """How many records an archive has brought, and how many were there before."""

    added: int
    known: int


def merge(archive: Archive, folder: Path, keys: Sequence[Key] = ()) -> Merged:
    """Bring the records of the archive in this folder into another one. A record that is there
    already is left as it is. What breaks off in the middle is finished by the same call.

    Raises Refused with all that is wrong if one of the two does not verify, if they have different
    files of the same name, or if they are copies of one archive that both went on; nothing is
    changed then.
    """
    other = Archive(folder)
    other.require_there()
    if folder.resolve().is_relative_to(archive.root.resolve()):
        raise Refused.of(
            "is in the archive that it is to be merged into",
            where=folder.name,
            remedy="move it to another place",
        )
    with archive.alone(shlex.join(["pgrunbook", "archive", "merge", str(folder)])):
        mine, theirs = read_archive(archive), read_archive(other)
        noted = {each[-1].archive: each[-1] for each in _chains(mine)}
        seals = [seal for each in _chains(theirs) for seal in each]
        added = [
            seal
            for seal in seals
            if seal.archive not in noted or seal.sequence > noted[seal.archive].sequence
        ]
        digests = _digests(added)
        problems = [*verification.problems(mine.without(digests.keys()), keys)]
        problems += (
            replace(problem, where=f"{folder.name}/{problem.where}")
            for problem in verification.problems(theirs, keys)
        )
        problems += _differing(archive, digests)
        problems += _apart(mine, [seal for seal in seals if seal not in added])
        problems += (problem for problem, _ in chain.links(added, {**mine.seals, **theirs.seals}))
        if problems:
            what = "The archives cannot be merged: nothing was changed."
            raise Refused(what, problems=problems)
        _copy(other, archive, digests)
        _note(archive, mine, theirs, {**noted, **{seal.archive: seal for seal in added}})
    return Merged(len(added), len(seals) - len(added))


def _chains(reading: Reading) -> list[list[Seal]]:
    """Its chains that have seals, as far as they are noted: what was copied beyond that belongs to
    a merge that was broken off.
    """
    ends = [*([reading.end.noted] if reading.end.noted else []), *reading.end.merged]
    chains = []
    for _, name in ends:
        if last := reading.seals.get(name):
            own = (seal for seal in reading.seals.values() if seal.archive == last.archive)
            until = [seal for seal in own if seal.sequence <= last.sequence]
            chains.append(sorted(until, key=lambda seal: seal.sequence))
    return chains


def _digests(seals: Sequence[Seal]) -> dict[str, str]:
    """The files of these records with their SHA-256, the seals last."""
    found = {each.name: each.sha256 for seal in seals for each in seal.statement.subject}
    return found | {seal.name: seal.sha256 for seal in seals}


def _differing(archive: Archive, digests: Mapping[str, str]) -> Iterator[Problem]:
    for name, sha256 in digests.items():
        path = archive.root / name
        if is_there(path) and (found := sha256_of(archive.file(name))) != sha256:
            yield Problem(
                "is another file in the other archive",
                where=name,
                expected=sha256,
                found=found,
                remedy="one of them is no record of its run: see which its seal is about",
            )


def _apart(mine: Reading, known: Sequence[Seal]) -> Iterator[Problem]:
    """Two copies of one archive that both went on have different seals of the same number."""
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
    """The archive's own chain stays its own; an empty archive takes that of the other one."""
    noted = mine.end.noted or theirs.end.noted
    if noted is None:
        return
    seals = {**theirs.seals, **mine.seals}
    own = seals[noted[1]].archive
    archive.note(ends[own], [seal for name, seal in ends.items() if name != own])
