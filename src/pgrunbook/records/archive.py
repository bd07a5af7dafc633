"""The archive: executed notebooks and what belongs to each, sealed one after the other into a
chain.

A record is the file `….ipynb`, the files `BESIDE` it, and its seal `….dsse.json`: an envelope that
holds the digest of each of these files and of the seal before it. `HEAD` in the archive's root
names the last seal, as sha256sum writes it. So every file shows that is changed, removed, added or
moved. Only if the end of the chain is cut off together with `HEAD`, the archive cannot tell: then
it shows where somebody else has noted the head, as the ledgers of the targets do.

Other archives may have been merged into it. Their chains stay as they are, and `MERGED` names the
last seal of each. Every seal that is made after that names them, too.

Nothing outside this module knows that an archive is a folder. Whoever can write to the folder may
have put anything there. So a path that stands in one of its files is resolved by `Archive.file`
alone, and nothing outside the archive is read, written or removed.
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
    # Only for types: it takes 8 MB, and a run that begins only checks whether it can be sealed.
    from securesystemslib.signer import Signer


HEAD = "HEAD"
MERGED = "MERGED"
_LOCK = ".lock"
_NEW = ".seal"  # a seal that is not in its place yet

# Files in the root of an archive that belong to no record; those of git keep the folder in a
# repository.
_IN_ROOT = {"README.md", HEAD, MERGED, _LOCK, ".gitattributes", ".gitignore", ".gitkeep"}

# How long to wait for another run that is just sealing its record.
_LOCK_S = 60

_NOT_STARTED = "The archive cannot take another record: nothing was started."


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
        """Seal the record of this executed notebook. Returns the new head.

        - `run` and `sources`: what the seal says of the run, and the digests of what was run.
        - `complete` is called when nothing else can refuse the seal, while nobody else adds to the
          archive: it writes the files of the record that are missing. They may not change later.

        What an interrupted seal has left is finished, or removed, first. Raises Refused if the
        record has a seal, or if no record can have its name; Failed if the archive is not whole
        enough to add to it.
        """
        from pgrunbook.records import attestation
        from pgrunbook.records.attestation import Predicate, Resource, Statement

        record = self.record(notebook)
        target = self.root / f"{record}{SEAL}"
        with self.alone(seal_command(notebook)) as name:
            head = self._head(name) if name else None
            self.require_unsealed(notebook)
            complete()
            predicate = Predicate(
                # the digest of the first seal, which that seal itself cannot hold
                archive=head.archive if head else None,
                sequence=head.sequence + 1 if head else 1,
                previous=Resource.of(head.name, head.sha256) if head else None,
                sealed_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                sealed_by=f"pgrunbook {version('pgrunbook')}",
                run=run,
                sources=sources,
                merged=[Resource.of(name, sha256) for sha256, name in self.noted_merged()],
            )
            names = self._file_names(record)
            statement = Statement(
                subject=[Resource.of(name, sha256_of(self.file(name))) for name in names],
                predicate=predicate,
            )
            data = attestation.seal_envelope(statement, signer)
            sha256 = hashlib.sha256(data).hexdigest()
            # In this order: if we are killed before HEAD names the seal, the next run removes it;
            # if after that, the next run puts it into its place.
            atomic.write(self.root / _NEW, data)
            atomic.write(self.root / HEAD, f"{sha256}  {record}{SEAL}\n".encode())
            (self.root / _NEW).replace(target)
            return Head(predicate.sequence, f"{record}{SEAL}", sha256, predicate.archive or sha256)

    def check(self, notebook: Path) -> None:
        """Raise Refused unless a record of this name can be written and sealed. Finishes what an
        interrupted seal has left.
        """
        record = self.record(notebook)
        taken = sorted(name for name in names(record) if is_there(self.root / name))
        if taken:
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
        except Failed as exc:
            raise Refused(_NOT_STARTED, problems=exc.problems) from exc
        except OSError as exc:
            problem = Problem(exc.strerror or str(exc), where=_LOCK)
            raise Refused(_NOT_STARTED, problems=[problem]) from exc

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
        record = self.record(notebook)
        if is_there(self.root / f"{record}{SEAL}"):
            raise Refused.of(
                "the record is sealed already", where=record, remedy="pgrunbook archive verify"
            )

    def is_sealed(self, notebook: Path) -> bool:
        """Return whether the record of this executed notebook has a seal."""
        return seal_of(notebook).exists()

    def noted_head(self) -> tuple[str, str] | None:
        """Return digest and name of the last seal, as `HEAD` says; None if there is none yet.
        Raises Unreadable if `HEAD` is not as sha256sum writes it.
        """
        noted = self._read_ends(HEAD)
        if len(noted) > 1:
            raise Unreadable("not a line as sha256sum writes it")
        return noted[0] if noted else None

    def noted_merged(self) -> list[tuple[str, str]]:
        """Return digest and name of the last seal of each merged chain, as `MERGED` says."""
        return self._read_ends(MERGED)

    def _read_ends(self, name: str) -> list[tuple[str, str]]:
        try:
            text = untrusted_files.read_small(self.file(name)).decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        noted = []
        for line in text.splitlines(keepends=True) or [""]:
            match = re.fullmatch(r"([0-9a-f]{64})  ([^\n]+)\n", line)
            if not match:
                raise Unreadable("not a line as sha256sum writes it")
            sha256, seal = match[1], match[2]
            if not seal.endswith(SEAL):
                raise Unreadable(f"{printable(seal)} is not the name of a seal")
            self.file(seal)  # raises Unreadable if it leads elsewhere
            noted.append((sha256, seal))
        return noted

    def note(self, head: Seal, merged: Iterable[Seal]) -> None:
        """Write HEAD and MERGED: the last seals of the archive's own chain, and of merged ones."""
        lines = [f"{seal.sha256}  {seal.name}\n" for seal in merged]
        if lines:
            atomic.write(self.root / MERGED, "".join(lines).encode())
        atomic.write(self.root / HEAD, f"{head.sha256}  {head.name}\n".encode())

    def files(self) -> Iterator[Path]:
        """Yield all paths of records: not the pages, which can be made anew, nor `_IN_ROOT`."""
        for path in sorted(self.root.rglob("*")):
            parts = path.relative_to(self.root).parts
            is_folder = path.is_dir() and not path.is_symlink()
            in_root = len(parts) == 1 and parts[0] in _IN_ROOT
            if not is_folder and not in_root and parts[0] != MADE:
                yield path

    def read(self, path: Path) -> Seal:
        """Read the seal in a file. Raises Unreadable or OSError."""
        from pgrunbook.records import attestation

        name = self.name(path)
        data = untrusted_files.read_small(self.file(name))
        statement, envelope = attestation.open_envelope(data)
        return Seal(name, hashlib.sha256(data).hexdigest(), statement, envelope)

    def interrupted(self) -> tuple[str, str] | None:
        """Return digest and name of the seal that was not put into its place though `HEAD` names
        it; None if there is none.
        """
        noted, new = self.noted_head(), self.root / _NEW
        if noted is None or is_there(self.root / noted[1]):
            return None
        if is_regular(new) and sha256_of(new) == noted[0]:
            return noted
        return None

    def _file_names(self, record: str) -> list[str]:
        """Return the files of a record, the notebook first."""
        beside = [record + part for part in BESIDE]
        return [record + NOTEBOOK, *(name for name in beside if is_there(self.root / name))]

    def file(self, name: str) -> Path:
        """Return the path of a file of the archive, by its name from the root on. Raises Unreadable
        if it leads elsewhere.
        """
        return untrusted_files.path_below(self.root, name)

    def name(self, path: Path) -> str:
        """Return a file's name from the root on. Raises Refused if it is not below the root."""
        # The folder is resolved, and the file is not: a symbolic link has a name of its own.
        resolved, root = path.parent.resolve() / path.name, self.root.resolve()
        if resolved.is_relative_to(root) and path.name != "..":
            return resolved.relative_to(root).as_posix()
        remedy = "move it below outputs/, to <target>/<runbook>/"
        raise Refused.of("is not in the archive", where=printable(path.name), remedy=remedy)

    def record(self, notebook: Path) -> str:
        """Return what the names of all files of a record begin with, from the root on. Raises
        Refused if no record can have this name, see `naming.problems`.
        """
        name = self.name(notebook)
        problems = list(naming.problems(self.root, name))
        if problems:
            raise Refused(problems=problems)
        return name.removesuffix(NOTEBOOK)

    # -- the end of the chain

    @contextmanager
    def alone(self, again: str) -> Iterator[str | None]:
        """Keep other processes from adding to the archive during the `with` block.

        Yields the name of the last seal, None if there is none yet. What an interrupted seal has
        left is in its place by then. Raises Failed if another process does not let go, with `again`
        as the command of the remedy; and if the chain has no end to go on from.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            for name in (_LOCK, _NEW, HEAD, MERGED):
                self.file(name)
        except Unreadable as exc:
            raise _broken("the archive cannot be written to", str(exc)) from exc
        # flock: the kernel takes it from a process that is killed, so that no stale lock is left
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
        """Put into its place what an interrupted seal has left. Returns the name of the last seal,
        None if there is none yet. Raises Failed if the chain has no end to go on from.
        """
        try:
            left = self.interrupted()
            if left:
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
    """Return the command that seals this notebook by hand, as a shell takes it."""
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
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
