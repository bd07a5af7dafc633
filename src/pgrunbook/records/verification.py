"""Checks whether an archive is as it was sealed, and names every file that was changed, removed,
added or moved.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from securesystemslib.signer import Key

from pgrunbook.errors import Problem, Refused, Unreadable
from pgrunbook.ledger import heads
from pgrunbook.ledger.heads import Head
from pgrunbook.records import attestation, chain
from pgrunbook.records.archive import Archive, seal_command, sha256_of
from pgrunbook.records.findings import Verification
from pgrunbook.records.malformed_notebook import MALFORMED
from pgrunbook.records.naming import JOURNAL, SEAL, names, seal_of
from pgrunbook.records.reading import Reading, read_archive
from pgrunbook.records.record import UNENDED, Record
from pgrunbook.records.seal import Seal
from pgrunbook.records.untrusted_files import is_regular, name_problem
from pgrunbook.records.words import counted
from pgrunbook.runbooks.project import Project


def of_project(
    project: Project,
    keys: Sequence[Path] = (),
    targets: Sequence[str] = (),
    only: Path | None = None,
) -> Verification:
    """Check the project's archive, or the record `only`, which may lie elsewhere.

    - `keys`: files with public keys; those of `pgrunbook.toml` if none is given.
    - `targets`: the targets whose ledgers are asked for the heads that they have noted.

    Raises Refused if a key cannot be read, a target cannot be reached, or `only` is not a notebook.
    """
    known = known_keys(project, keys)
    if only and not only.resolve().is_relative_to(project.outputs):
        return verify_alone(only, known)
    archive = Archive(project.outputs)
    archive.require_there()
    heads = {name: _noted_heads(project, name) for name in targets}
    return verify(archive, known, heads, only.resolve() if only else None)


def known_keys(project: Project, keys: Sequence[Path]) -> list[Key]:
    """Return the public keys in these files; without any, those of `pgrunbook.toml`. Raises Refused
    if one cannot be read.
    """
    paths = keys or [project.root / path for path in project.settings.archive.public_keys]
    return [attestation.public_key(path, project.signing_key) for path in paths]


def trusted_keys(project: Project) -> list[Key]:
    """Return the keys that a record which a run relies on may be signed with: those of
    `pgrunbook.toml`, and the public half of the project's own. Raises Refused if one cannot be
    read.
    """
    keys = known_keys(project, ())
    if project.signing_key:
        keys.append(attestation.signer(project.signing_key).public_key)
    return keys


def _noted_heads(project: Project, name: str) -> list[Head]:
    # Imported here, because an archive can be checked without its targets.
    from pgrunbook.ledger import server_match
    from pgrunbook.postgres import connection, driver_errors
    from pgrunbook.runbooks import targets

    target = targets.resolve(name, project)
    with (
        driver_errors.driver_errors("The ledger could not be read.", where=f"target {name!r}"),
        connection.connect(target, schema="pg_catalog", label="verify", read_only=True) as conn,
    ):
        if problem := server_match.ServerMatch.of(conn).refusal(target):
            raise Refused(
                "The ledger cannot tell what was sealed since it was copied.", problems=[problem]
            )
        return heads.heads(conn)


def verify(
    archive: Archive,
    keys: Sequence[Key] = (),
    heads: Mapping[str, Sequence[Head]] | None = None,
    only: Path | None = None,
    reading: Reading | None = None,
) -> Verification:
    """Check every byte of the archive, or of the record of the notebook `only`, and its place in
    the chain.

    - `keys`: every seal must be signed with one of them, and there must be at least one seal.
    - `heads`: by the name of a target, the heads that its ledger has noted: the chain must still
      have all of them.
    - `reading`: the archive, if it was read already.

    Raises Refused if no record can have the name of `only`.
    """
    own = names(archive.record(only)) if only else None
    reading = reading or read_archive(archive)
    seals = [seal for seal in _all_seals(reading) if own is None or seal.name in own]
    unsigned = _unsigned(seals, keys)
    signed = len(seals) - len(unsigned) if keys else None
    problems = []
    for problem, about in _find_problems(reading, seals, unsigned, heads or {}):
        if own is None or not own.isdisjoint(about):
            problems.append(problem)
    if own is not None:
        return Verification.of(len(seals), signed, None, problems, seals)
    if not seals and not problems:
        problems += _check_not_empty(keys, heads or {})
    head = None
    if reading.chain:
        last = reading.chain[-1]
        head = Head(last.sequence, last.name, last.sha256, last.archive)
    notes = _missing_archives(seals, heads or {})
    return Verification.of(len(seals), signed, head, problems, seals, notes)


def _missing_archives(seals: Sequence[Seal], heads: Mapping[str, Sequence[Head]]) -> Iterator[str]:
    """Yield notes about archives that ledgers know, and of which nothing is here. They may belong
    to other machines. But nothing else shows that a merged one was removed as a whole.
    """
    for name, noted in heads.items():
        others = chain.of_other_archives(seals, noted)
        if others and len(others) < len(noted):  # else it is a problem
            last = {head.archive: head.name for head in others}
            yield (
                f"the ledger of {name} names heads of {counted(len(last), 'other archive')}, of "
                f"which nothing is here; the last seals: {', '.join(last.values())}"
            )


def problems(reading: Reading, keys: Sequence[Key]) -> list[Problem]:
    """Return all that is wrong with an archive as it was read; `keys` as in `verify`."""
    seals = _all_seals(reading)
    return [problem for problem, _ in _find_problems(reading, seals, _unsigned(seals, keys), {})]


def _all_seals(reading: Reading) -> list[Seal]:
    """Return the seals of all its chains, its own first."""
    seals = list(reading.chain)
    for merged in reading.merged:
        seals += merged
    return seals


def verify_alone(notebook: Path, keys: Sequence[Key] = ()) -> Verification:
    """Check a record outside its archive: its bytes and their signature, not its place in the
    chain.
    """
    path = seal_of(notebook)
    try:
        seal = Archive(notebook.parent).read(path)
    except (Unreadable, OSError) as exc:
        return Verification.of(0, None, None, [_unreadable(path, exc)], [])
    here = {}
    for name in _names(seal):
        if not name_problem(name):
            here[name] = notebook.with_name(Path(name).name)
    files = {name: file for name, file in here.items() if is_regular(file)}
    problems = list(_check_record(seal, files))
    if here.get(seal.notebook) != notebook:
        problems.append(
            Problem("the seal is another record's", path.name, notebook.name, seal.notebook)
        )
    unsigned = _unsigned([seal], keys)
    signed = 1 - len(unsigned) if keys else None
    return Verification.of(1, signed, None, [*problems, *unsigned], [seal])


def _names(seal: Seal) -> list[str]:
    return [resource.name for resource in seal.statement.subject]


def _check_not_empty(keys: Sequence[Key], heads: Mapping[str, Sequence[Head]]) -> Iterator[Problem]:
    # Keys or targets are given where records are expected: an empty archive is a problem then.
    given = ["a key"] if keys else []
    given += [f"target {name!r}" for name in heads]
    if given:
        yield Problem(
            f"nothing is sealed here that could be checked with {' and '.join(given)}",
            where="outputs/",
            expected="at least one seal",
            found="none: no run was recorded yet, or the archive was emptied",
            remedy="bring the archive back; before the first run there is nothing to check",
        )


def _unreadable(seal: Path, exc: Exception) -> Problem:
    what, found = "changed: the seal cannot be read", str(exc)
    if isinstance(exc, FileNotFoundError):
        what, found = "the seal is missing", "no file of that name"
    return Problem(
        what,
        where=seal.name,
        expected="the seal beside the notebook",
        found=found,
        remedy="copy the record with all its files, or check it in its archive",
    )


def _find_problems(
    reading: Reading,
    asked: Sequence[Seal],
    unsigned: Sequence[Problem],
    heads: Mapping[str, Sequence[Head]],
) -> Iterator[chain.Finding]:
    """Yield everything that is wrong with the chains, and with the records of the seals `asked`."""
    files, seals = reading.files, reading.seals
    for problem in (*reading.problems, *unsigned):
        yield problem, [problem.where]
    for each in (reading.chain, *reading.merged):
        yield from chain.check_links(each, seals)
        yield from chain.check_merged_seals(each, seals)
    yield from chain.check_head(reading.end, reading.chain)
    yield from chain.check_merged_ends(reading.end, reading.merged)
    for seal in asked:
        for problem in _check_record(seal, files):
            yield problem, [problem.where]
    for problem in _check_all_sealed(files, seals):
        yield problem, [problem.where]
    for name, noted in heads.items():
        yield from chain.check_noted_heads(_all_seals(reading), name, noted)


def _unsigned(seals: Sequence[Seal], keys: Sequence[Key]) -> list[Problem]:
    """Return a problem for each seal that none of the keys has signed; none without keys."""
    if not keys:
        return []
    problems = []
    for seal in seals:
        if not attestation.is_signed(seal.envelope, keys):
            found = "no signature"
            if seal.envelope.signatures:
                found = "a signature that does not hold"
            problems.append(Problem("not signed with any of the keys", seal.name, found=found))
    return problems


def _check_record(seal: Seal, files: Mapping[str, Path]) -> Iterator[Problem]:
    """Check each byte of the files of a record."""
    for resource in seal.statement.subject:
        if resource.name not in files:
            yield Problem(
                "removed", where=resource.name, expected=f"a file with SHA-256 {resource.sha256}"
            )
            continue
        found = sha256_of(files[resource.name])
        if found != resource.sha256:
            yield Problem("changed", where=resource.name, expected=resource.sha256, found=found)


def _check_all_sealed(files: Mapping[str, Path], seals: Mapping[str, Seal]) -> Iterator[Problem]:
    """Find files that are in no seal, each with what to do."""
    sealed: set[str] = set()
    for seal in seals.values():
        sealed.update(_names(seal))
    # A seal that cannot be read is a problem by itself: its files are not named on top of that.
    beside: set[str] = set()
    for name in files:
        if name.endswith(SEAL) and name not in seals:
            beside |= names(name.removesuffix(SEAL))
    for name in sorted(files.keys() - sealed - seals.keys() - beside):
        remedy = seal_command(files[name]) if name.endswith(".ipynb") else ""
        if name.endswith(JOURNAL):
            yield Problem(f"not sealed yet: {_FLEET_UNENDED}", where=name, remedy=_resume(name))
        elif _CHECKPOINTS in name:
            what = "JupyterLab's own copy of a record that was saved there"
            yield Problem(what, where=name, remedy=shlex.join(["rm", str(files[name])]))
        elif remedy and _unended(files[name]):
            remedy = f"wait until it has ended; if its runner was killed: {remedy}"
            yield Problem(f"not sealed yet: {UNENDED}", where=name, remedy=remedy)
        else:
            yield Problem(
                "added, or not sealed yet: no seal is about it", where=name, remedy=remedy
            )


_CHECKPOINTS = ".ipynb_checkpoints/"
_FLEET_UNENDED = "its fleet's run has not ended, or its coordinator was killed"


def _resume(name: str) -> str:
    folder = PurePosixPath(name).parent
    resume = ["pgrunbook", "fleet", "resume", folder.name, "--fleet", folder.parent.name]
    return f"wait until it has ended; if it was killed: {shlex.join(resume)}"


def _unended(notebook: Path) -> bool:
    """Return whether a notebook says that its run has not ended; False if it cannot be read."""
    with suppress(OSError, *MALFORMED):
        return Record.read(notebook).unended
    return False
