"""Whether an archive is as it was sealed: every file changed, removed, added or put elsewhere, by
its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from securesystemslib.signer import Key

from pgrunbook.errors import Problem, Refused, Unreadable
from pgrunbook.ledger import heads
from pgrunbook.ledger.heads import Head
from pgrunbook.records import attestation
from pgrunbook.records.archive import HEAD, SEAL, Archive, Seal, names, seal_command, sha256_of
from pgrunbook.records.attestation import Resource
from pgrunbook.records.contained import is_regular, unnameable
from pgrunbook.records.findings import Verification
from pgrunbook.records.record import UNENDED, Record
from pgrunbook.runbooks.project import Project

# How often to begin anew because a run has just sealed its record.
_READINGS = 5


def of_project(
    project: Project,
    keys: Sequence[Path] = (),
    targets: Sequence[str] = (),
    only: Path | None = None,
) -> Verification:
    """Check the project's archive, or one record, which may lie elsewhere.

    Without `keys` the ones of `pgrunbook.toml` are taken. `targets`: whose ledgers to ask for the
    heads that they have noted. Raises Refused if a key cannot be read, a target cannot be reached,
    or `only` is no notebook.
    """
    paths = keys or [project.root / path for path in project.settings.archive.public_keys]
    known = [attestation.public_key(path, project.signing_key) for path in paths]
    if only and not only.resolve().is_relative_to(project.outputs):
        return verify_alone(only, known)
    archive = Archive(project.outputs)
    archive.require_there()
    heads = {name: _noted(project, name) for name in targets}
    return (
        verify_one(archive, only.resolve(), known, heads) if only else verify(archive, known, heads)
    )


def _noted(project: Project, name: str) -> list[Head]:
    # Here, because an archive can be checked without its targets.
    from pgrunbook import checks
    from pgrunbook.ledger import origin
    from pgrunbook.postgres import connection
    from pgrunbook.runbooks import targets

    target = targets.resolve(name, project)
    with (
        connection.driver_errors("The ledger could not be read.", where=f"target {name!r}"),
        connection.connect(target, schema="pg_catalog", label="verify", read_only=True) as conn,
    ):
        ours = origin.Standing.of(conn).check(target)
        checks.require(
            [ours], Refused, "The ledger cannot tell what was sealed since it was copied."
        )
        return heads.heads(conn)


def verify(
    archive: Archive, keys: Sequence[Key] = (), heads: Mapping[str, Sequence[Head]] | None = None
) -> Verification:
    """Check every byte of the archive.

    With `keys`, every seal must be signed with one of them, and there must be some. `heads` are
    what the ledgers of targets, by their names, have noted as the head at some time: the chain must
    still hold them.
    """
    reading = _settled(archive)
    chain = reading.chain
    last = chain[-1] if chain else None
    head = Head(last.sequence, last.name, last.sha256, last.archive) if last else None
    unsigned = _unsigned(chain, keys)
    problems = [problem for problem, _ in _found(reading, chain, unsigned, heads or {})]
    if not chain and not problems:
        problems += _emptied(keys, heads or {})
    signed = len(chain) - len(unsigned) if keys else None
    return Verification.of(len(chain), signed, head, problems, chain)


def verify_one(
    archive: Archive,
    notebook: Path,
    keys: Sequence[Key] = (),
    heads: Mapping[str, Sequence[Head]] | None = None,
) -> Verification:
    """Check one record of the archive: its bytes, who signed them, and its place in the chain.

    `keys` and `heads` as for `verify`. Raises Refused if no record is called so.
    """
    own = names(archive.record(notebook))
    reading = _settled(archive)
    seals = [seal for seal in reading.chain if seal.name in own]
    unsigned = _unsigned(seals, keys)
    found = _found(reading, seals, unsigned, heads or {})
    problems = [problem for problem, about in found if not own.isdisjoint(about)]
    signed = len(seals) - len(unsigned) if keys else None
    return Verification.of(len(seals), signed, None, problems, seals)


def verify_alone(notebook: Path, keys: Sequence[Key] = ()) -> Verification:
    """Check one record that lies outside of its archive: its bytes, and who signed them; not its
    place in the chain.
    """
    path = notebook.with_name(notebook.stem + SEAL)
    try:
        seal = Archive(notebook.parent).read(path)
    except (Unreadable, OSError) as exc:
        return Verification.of(0, None, None, [_unreadable(path, exc)], [])
    here = {
        name: notebook.with_name(Path(name).name) for name in _names(seal) if not unnameable(name)
    }
    problems = list(_record(seal, {name: path for name, path in here.items() if is_regular(path)}))
    if here.get(seal.notebook) != notebook:
        problems.append(
            Problem("the seal is another record's", path.name, notebook.name, seal.notebook)
        )
    unsigned = _unsigned([seal], keys)
    signed = 1 - len(unsigned) if keys else None
    return Verification.of(1, signed, None, [*problems, *unsigned], [seal])


def _names(seal: Seal) -> list[str]:
    return [resource.name for resource in seal.statement.subject]


def _emptied(keys: Sequence[Key], heads: Mapping[str, Sequence[Head]]) -> Iterator[Problem]:
    """Where somebody expects records, none is as wrong as one that was changed."""
    if asked := [*(["a key"] if keys else []), *(f"target {name!r}" for name in heads)]:
        yield Problem(
            f"nothing is sealed here that could be checked with {' and '.join(asked)}",
            where="outputs/",
            expected="at least one seal",
            found="none: no run was recorded yet, or the archive was emptied",
            remedy="bring the archive back; before the first run there is nothing to check",
        )


def _unreadable(seal: Path, exc: Exception) -> Problem:
    missing = isinstance(exc, FileNotFoundError)
    return Problem(
        "the seal is missing" if missing else "changed: the seal cannot be read",
        where=seal.name,
        expected="the seal beside the notebook",
        found="no file of that name" if missing else str(exc),
        remedy="copy the record with all its files, or check it in its archive",
    )


class _End(NamedTuple):
    """What `HEAD` notes, and the seal that is not in its place yet; or why that cannot be read."""

    noted: tuple[str, str] | None = None
    left: tuple[str, str] | None = None
    problem: Problem | None = None

    @classmethod
    def of(cls, archive: Archive) -> _End:
        """As it is at this moment."""
        try:
            return cls(archive.noted_head(), archive.interrupted())
        except (Unreadable, OSError) as exc:
            return cls(problem=Problem("changed: it cannot be read", where=HEAD, found=str(exc)))


class _Reading(NamedTuple):
    """An archive at one moment: where it ends, its files and its seals by name, and what could not
    be read.
    """

    end: _End
    files: Mapping[str, Path]
    seals: Mapping[str, Seal]
    problems: Sequence[Problem]

    @property
    def chain(self) -> list[Seal]:
        """The seals in the order in which they were made."""
        return sorted(self.seals.values(), key=lambda seal: seal.sequence)


# A problem, and the names of the files that it is about, of which it need not name all.
_Finding = tuple[Problem, Collection[str]]


def _found(
    reading: _Reading,
    asked: Sequence[Seal],
    unsigned: Sequence[Problem],
    heads: Mapping[str, Sequence[Head]],
) -> Iterator[_Finding]:
    """All that is wrong with the chain, and with the records of the seals that are asked about."""
    files, seals, chain = reading.files, reading.seals, reading.chain
    for problem in (*reading.problems, *unsigned):
        yield problem, [problem.where]
    yield from _links(chain, seals)
    yield from _end(reading.end, chain)
    for problem in (
        *(problem for seal in asked for problem in _record(seal, files)),
        *_not_sealed(files, seals),
    ):
        yield problem, [problem.where]
    for name, noted in heads.items():
        yield from _cut_off(chain, name, noted)


def _settled(archive: Archive) -> _Reading:
    """The archive at a moment at which no run was sealing its record. No lock is taken: a copy may
    be read-only.
    """
    for _ in range(_READINGS):
        reading = _read(archive)
        if _End.of(archive) == reading.end:
            return reading
    restless = Problem(
        "runs seal their records faster than the archive is read",
        where=HEAD,
        expected="the same head before and after",
        found=f"another one, {_READINGS} times",
        remedy="check again when fewer runs end",
    )
    return reading._replace(end=_End(problem=restless))


def _read(archive: Archive) -> _Reading:
    """Where the archive ends first, as seals are only ever added."""
    end = _End.of(archive)
    found = {path.relative_to(archive.root).as_posix(): path for path in archive.files()}
    files = {name: path for name, path in found.items() if is_regular(path)}
    what, expected = "is no file of a record, and was not read", "a regular file"
    problems = [
        Problem(
            what,
            name,
            expected,
            "a symbolic link" if path.is_symlink() else "something else",
            "remove it",
        )
        for name, path in found.items()
        if name not in files
    ]
    seals = {}
    for name, path in files.items():
        if name.endswith(SEAL):
            try:
                seals[name] = archive.read(path)
            except (Unreadable, OSError) as exc:
                problems.append(
                    Problem("changed: the seal cannot be read", where=name, found=str(exc))
                )
    return _Reading(end, files, seals, problems)


def _unsigned(seals: Sequence[Seal], keys: Sequence[Key]) -> list[Problem]:
    """The seals that none of the keys has signed; none without keys."""
    what = "not signed with any of the keys"
    return [
        Problem(
            what,
            seal.name,
            found="a signature that does not hold" if seal.envelope.signatures else "no signature",
        )
        for seal in seals
        if keys and not attestation.vouched(seal.envelope, keys)
    ]


def _links(chain: Sequence[Seal], seals: Mapping[str, Seal]) -> Iterator[_Finding]:
    """Each seal names the one before it, and stands where it was made."""
    for seal in chain:
        if seal.name != seal.notebook.removesuffix(".ipynb") + SEAL:
            yield (
                Problem("not where it was sealed", seal.name, f"the seal of {seal.notebook}"),
                [seal.name],
            )
        previous = seal.statement.predicate.previous
        if previous is None:
            if seal.sequence != 1:
                problem = Problem(
                    "names no seal before it", where=seal.name, found=f"number {seal.sequence}"
                )
                yield problem, [seal.name]
        elif previous.name not in seals:
            problem = Problem(
                "removed, or it cannot be read", previous.name, f"number {seal.sequence - 1}"
            )
            yield problem, [previous.name, seal.name]
        elif not _leads_to(seals[previous.name], seal, previous):
            what = f"changed: it is not the one that number {seal.sequence} was made after"
            problem = Problem(what, previous.name, previous.sha256, seals[previous.name].sha256)
            yield problem, [previous.name, seal.name]
    for one, other in pairwise(chain):
        if one.sequence == other.sequence:
            problem = Problem(
                f"two seals are number {one.sequence}", other.name, found=f"the other is {one.name}"
            )
            yield problem, [one.name, other.name]


def _leads_to(previous: Seal, seal: Seal, named: Resource) -> bool:
    same_chain = previous.archive == seal.archive and previous.sequence == seal.sequence - 1
    return previous.sha256 == named.sha256 and same_chain


def _end(end: _End, chain: Sequence[Seal]) -> Iterator[_Finding]:
    """HEAD names the last seal."""
    noted, last = end.noted, (chain[-1].sha256, chain[-1].name) if chain else ("", "")
    about = [last[1], *(noted or ())[1:]]
    if end.problem:
        yield end.problem, about
    elif end.left:
        remedy = "the next seal finishes it"
        yield Problem("its seal was interrupted", where=end.left[1], remedy=remedy), [end.left[1]]
    elif noted is None and chain:
        yield Problem("removed", where=HEAD, expected="  ".join(last)), about
    elif noted and noted != last:
        what = (
            "the chain does not end as it says: it was changed, or seals were, or some were "
            "removed or added"
        )
        yield Problem(what, HEAD, "  ".join(noted), "  ".join(last).strip() or "no seals"), about


def _record(seal: Seal, files: Mapping[str, Path]) -> Iterator[Problem]:
    """The files of a record, each byte of them."""
    for resource in seal.statement.subject:
        if resource.name not in files:
            yield Problem(
                "removed", where=resource.name, expected=f"a file with SHA-256 {resource.sha256}"
            )
        elif (found := sha256_of(files[resource.name])) != resource.sha256:
            yield Problem("changed", where=resource.name, expected=resource.sha256, found=found)


def _not_sealed(files: Mapping[str, Path], seals: Mapping[str, Seal]) -> Iterator[Problem]:
    """Files that no seal is about. Those beside a seal that cannot be read are not named one by
    one.
    """
    sealed = {resource.name for seal in seals.values() for resource in seal.statement.subject}
    unreadable = [
        name.removesuffix(SEAL) for name in files if name.endswith(SEAL) and name not in seals
    ]
    beside = {each for record in unreadable for each in names(record)}
    for name in sorted(files.keys() - sealed - seals.keys() - beside):
        remedy = seal_command(files[name]) if name.endswith(".ipynb") else ""
        if remedy and _unended(files[name]):
            remedy = f"wait until it has ended; if its runner was killed: {remedy}"
            yield Problem(f"not sealed yet: {UNENDED}", where=name, remedy=remedy)
        else:
            yield Problem(
                "added, or not sealed yet: no seal is about it", where=name, remedy=remedy
            )


def _unended(notebook: Path) -> bool:
    """Whether it says so itself; not if it says nothing that can be read."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Record.read(notebook).unended
    return False


def _cut_off(chain: Sequence[Seal], target: str, heads: Sequence[Head]) -> Iterator[_Finding]:
    """What a target's ledger has noted of this archive is still there."""
    digests = {seal.sha256 for seal in chain}
    archives = {seal.archive for seal in chain}
    own = [head for head in heads if head.archive in archives]
    if heads and not own:
        last = heads[-1]
        problem = Problem(
            f"the ledger of {target} names heads of other archives only: this one was emptied, or "
            "begun anew",
            where=HEAD,
            expected=f"number {last.sequence}, {last.name}",
            found="an archive that this target's runs are not in" if chain else "no seals",
            remedy="bring the archive back, or name the target whose runs it holds",
        )
        yield problem, [seal.name for seal in chain]
    for head in own:
        if head.sha256 not in digests:
            what = (
                f"removed or changed: the ledger of {target} names it as the head of this archive"
            )
            problem = Problem(
                what, where=head.name, expected=f"number {head.sequence}, SHA-256 {head.sha256}"
            )
            yield problem, [head.name]
