"""The archive: executed notebooks and what belongs to each, sealed one after the other into a
chain.

A record is the file `….ipynb`, the others that are `BESIDE` it, and its seal `….dsse.json`: an
envelope that holds the digest of each of these files and of the seal before it. `HEAD` in the
archive's root names the last seal, as sha256sum writes it. So whatever is changed, removed, added
or put elsewhere shows; but for the end of the chain, cut off together with `HEAD`: that shows where
somebody else has noted the head, as the targets' ledgers do.

Other archives may have been merged into it: their chains stay as they are, and `MERGED` names the
last seal of each. Every seal that is made after that names them, too.

Nothing outside this module knows that an archive is a folder. Whoever can write to it may have put
anything there: a name that stands in one of its files is taken by `Archive.file` alone, and nothing
outside is read, written or removed.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pgrunbook import files as atomic
from pgrunbook.errors import Failed, Problem, Refused, Unreadable
from pgrunbook.ledger.heads import Head
from pgrunbook.records import naming, untrusted_files
from pgrunbook.records.naming import BESIDE, MADE, NOTEBOOK, SEAL, names, seal_of
from pgrunbook.records.seal import Seal
from pgrunbook.records.untrusted_files import is_regular, is_there, printable

if TYPE_CHECKING:
    # Not when a run begins, which only looks whether it could be sealed: what signs takes 8 MB.
    from securesystemslib.signer import Signer


HEAD = "HEAD"
MERGED = "MERGED"
_LOCK = ".lock"
_NEW = ".seal"  # a seal that is not in its place yet

# What is in the root of an archive and is no record: how to read it, and where it ends.
_BESIDE = {"README.md", HEAD, MERGED, _LOCK}

# How long to wait for another run that is just sealing its record.
_LOCK_S = 60


@dataclass(frozen=True)
class Archive:
    """A folder of records."""

    root: Path

    def seal(
        self,
        notebook: Path,
        run: Mapping[str, Any],
        sources: Mapping[str, str],
        signer: Signer | None,
        complete: Callable[[], None] = lambda: None,
    ) -> Head:
        """Seal the record of this executed notebook, whose files will not change any more; the new
        head.

        `complete` writes what is missing of its files, once nothing else can refuse. Raises Refused
        if it has a seal or no record can be called so, Failed if the archive is not whole enough to
        add to it. What an interrupted seal has left is finished, or removed, first.
        """
        from pgrunbook.records import attestation
        from pgrunbook.records.attestation import Predicate, Resource, Statement

        record = self.record(notebook)
        target = self.root / f"{record}{SEAL}"
        with self.alone(seal_command(notebook)) as name:
            head = self._head(name) if name else None
            self.require_unsealed(notebook)
            complete()
            first, sequence, previous = None, 1, None
            if head:
                first, sequence = head.archive, head.sequence + 1
                previous = Resource.of(head.name, head.sha256)
            predicate = Predicate(
                archive=first,
                sequence=sequence,
                previous=previous,
                sealed_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                sealed_by=f"pgrunbook {version('pgrunbook')}",
                run=run,
                sources=sources,
                merged=[Resource.of(name, sha256) for sha256, name in self.noted_merged()],
            )
            names = self._names(record)
            statement = Statement(
                subject=[Resource.of(name, sha256_of(self.file(name))) for name in names],
                predicate=predicate,
            )
            data = attestation.seal_envelope(statement, signer)
            sha256 = hashlib.sha256(data).hexdigest()
            # The head before the seal is in its place: cut off in between, it is finished by the
            # next.
            atomic.write(self.root / _NEW, data)
            atomic.write(self.root / HEAD, f"{sha256}  {record}{SEAL}\n".encode())
            (self.root / _NEW).replace(target)
            return Head(predicate.sequence, f"{record}{SEAL}", sha256, predicate.archive or sha256)

    def check(self, notebook: Path) -> None:
        """Raise Refused unless a record of this name could be written and sealed. What an
        interrupted seal has left is finished.
        """
        record = self.record(notebook)
        if taken := sorted(name for name in names(record) if is_there(self.root / name)):
            another = f"outputs/{{pm[run_uuid]}}{NOTEBOOK} is another one each time"
            raise Refused.of(
                "is there already, and a record is not written over",
                where=f"{record}{NOTEBOOK}",
                expected="no file of that record",
                found=", ".join(taken),
                remedy=f"name another file: {another}",
            )
        try:
            with self.alone(seal_command(notebook)):
                pass
        except (Failed, OSError) as exc:
            problems = (
                exc.problems
                if isinstance(exc, Failed)
                else [Problem(exc.strerror or str(exc), where=_LOCK)]
            )
            raise Refused(
                "The archive cannot take another record: nothing was started.", problems=problems
            ) from exc

    def require_there(self) -> None:
        """Raise Refused if there is no such folder: an archive that is not mounted looks like an
        empty one.
        """
        if not self.root.is_dir():
            raise Refused.of(
                "there is no archive",
                where=self.root.name,
                expected="a folder with the records of runs",
                found="a file" if self.root.exists() else "nothing of that name",
                remedy=f"bring it back, or mount it; if there was none yet: "
                f"{shlex.join(['mkdir', str(self.root)])}",
            )

    def require_unsealed(self, notebook: Path) -> None:
        """Raise Refused if the record of this executed notebook has a seal."""
        if is_there(self.root / f"{(record := self.record(notebook))}{SEAL}"):
            raise Refused.of(
                "the record is sealed already", where=record, remedy="pgrunbook archive verify"
            )

    def is_sealed(self, notebook: Path) -> bool:
        """Whether the record of this executed notebook has a seal."""
        return seal_of(notebook).exists()

    def noted_head(self) -> tuple[str, str] | None:
        """Digest and name of the last seal, as `HEAD` says; None if there is none yet. Raises
        Unreadable.
        """
        noted = self._noted(HEAD)
        if len(noted) > 1:
            raise Unreadable("not a line as sha256sum writes it")
        return noted[0] if noted else None

    def noted_merged(self) -> list[tuple[str, str]]:
        """The same of the chains that other archives have brought, as `MERGED` says."""
        return self._noted(MERGED)

    def _noted(self, name: str) -> list[tuple[str, str]]:
        try:
            text = untrusted_files.read_small(self.file(name)).decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        noted = []
        for line in text.splitlines(keepends=True) or [""]:
            if not (match := re.fullmatch(r"([0-9a-f]{64})  ([^\n]+)\n", line)):
                raise Unreadable("not a line as sha256sum writes it")
            if not match[2].endswith(SEAL):
                raise Unreadable(f"{printable(match[2])} is not the name of a seal")
            self.file(match[2])
            noted.append((match[1], match[2]))
        return noted

    def note(self, head: Seal, merged: Iterable[Seal]) -> None:
        """Write which seals are the last ones: of the archive's own chain, and of those that others
        have brought.
        """
        lines = [f"{seal.sha256}  {seal.name}\n" for seal in merged]
        if lines:
            atomic.write(self.root / MERGED, "".join(lines).encode())
        atomic.write(self.root / HEAD, f"{head.sha256}  {head.name}\n".encode())

    def files(self) -> Iterator[Path]:
        """Everything in the archive that is no folder, but for what is not of it."""
        for path in sorted(self.root.rglob("*")):
            parts = path.relative_to(self.root).parts
            if (
                parts[0] != MADE
                and not (len(parts) == 1 and parts[0] in _BESIDE)
                and not (path.is_dir() and not path.is_symlink())
            ):
                yield path

    def read(self, path: Path) -> Seal:
        """The seal in a file. Raises Unreadable or OSError."""
        from pgrunbook.records import attestation

        name = self.name(path)
        data = untrusted_files.read_small(self.file(name))
        statement, envelope = attestation.open_envelope(data)
        return Seal(name, hashlib.sha256(data).hexdigest(), statement, envelope)

    def interrupted(self) -> tuple[str, str] | None:
        """Digest and name of the seal that could not be put into its place any more, though `HEAD`
        names it.
        """
        noted, new = self.noted_head(), self.root / _NEW
        if (
            noted
            and is_regular(new)
            and sha256_of(new) == noted[0]
            and not is_there(self.root / noted[1])
        ):
            return noted
        return None

    def _names(self, record: str) -> list[str]:
        """The files of a record, the notebook first."""
        beside = [record + part for part in BESIDE]
        return [record + NOTEBOOK, *(name for name in beside if is_there(self.root / name))]

    def file(self, name: str) -> Path:
        """The file that a name in the archive stands for. Raises Unreadable if that cannot be one
        of it.
        """
        return untrusted_files.path_below(self.root, name)

    def name(self, path: Path) -> str:
        """The path from the root on, wherever a symbolic link leads. Raises Refused if it is not
        below the root.
        """
        resolved, root = path.parent.resolve() / path.name, self.root.resolve()
        if resolved.is_relative_to(root) and path.name != "..":
            return resolved.relative_to(root).as_posix()
        remedy = "move it below outputs/, to <target>/<runbook>/"
        raise Refused.of("is not in the archive", where=printable(path.name), remedy=remedy)

    def record(self, notebook: Path) -> str:
        """What the names of the record's files begin with, from the root on. Raises Refused if no
        record is called so, as what is sealed has to be found again.
        """
        name = self.name(notebook)
        if problems := list(naming.problems(self.root, name)):
            raise Refused(problems=problems)
        return name.removesuffix(NOTEBOOK)

    # -- the end of the chain
    # --------------------------------------------------------------------------------

    @contextmanager
    def alone(self, again: str) -> Iterator[str | None]:
        """The name of the last seal, while nobody else adds to the archive; None if there is none
        yet. What an interrupted seal has left is in its place then.

        `again`: the command to give once more where another process does not let go. Raises Failed
        then, and if the chain has no end to go on from.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            for name in (_LOCK, _NEW, HEAD, MERGED):
                self.file(name)
        except Unreadable as exc:
            raise _broken("the archive cannot be written to", str(exc)) from exc
        lock = FileLock(self.root / _LOCK, timeout=_LOCK_S)
        try:
            lock.acquire()
        except Timeout:
            what = f"another process has been sealing a record for {_LOCK_S} s"
            raise Failed.of(what, where=_LOCK, remedy=f"see what it does; then: {again}") from None
        try:
            yield self._finish_interrupted()
        finally:
            lock.release()

    def _finish_interrupted(self) -> str | None:
        """The name of the last seal, after putting into its place what an interrupted seal has
        left; None if there is none yet. Raises Failed if the chain has no end to go on from.
        """
        try:
            if left := self.interrupted():
                (self.root / _NEW).replace(self.root / left[1])
            (self.root / _NEW).unlink(missing_ok=True)
            noted = self.noted_head()
            sha256 = sha256_of(self.file(noted[1])) if noted else ""
        except (Unreadable, OSError) as exc:
            raise _unreadable(exc) from exc
        if noted and sha256 != noted[0]:
            raise _broken("the last seal is not the one that HEAD names", noted[1])
        if not noted and any(self.root.rglob(f"*{SEAL}")):
            raise _broken("there are seals, but no HEAD", "")
        return noted[1] if noted else None

    def _head(self, name: str) -> Seal:
        try:
            return self.read(self.root / name)
        except (Unreadable, OSError) as exc:
            raise _unreadable(exc) from exc


def seal_command(notebook: Path) -> str:
    """The command that seals this notebook by hand. Can be pasted into a shell."""
    return shlex.join(["pgrunbook", "archive", "seal", str(notebook)])


def _unreadable(exc: Exception) -> Failed:
    found = exc.strerror if isinstance(exc, OSError) else str(exc)
    return _broken("the last seal cannot be read", found or "")


def _broken(what: str, found: str) -> Failed:
    remedy = (
        "pgrunbook archive verify; bring back what is missing, or begin another archive elsewhere"
    )
    return Failed.of(what, where=HEAD, found=found, remedy=remedy)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
