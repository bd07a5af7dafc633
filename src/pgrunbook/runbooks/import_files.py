"""Makes a runbook of a folder of SQL files: of the whole folder, or nothing."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pgrunbook import files as atomic
from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import migrations, pieces, scaffold
from pgrunbook.runbooks.migrations import Migration, Note
from pgrunbook.runbooks.pieces import Piece
from pgrunbook.runbooks.project import Project
from pgrunbook.runbooks.source import Source


@dataclass(frozen=True, slots=True)
class Imported:
    """A runbook that was made of a folder, or on a dry run would be: its name, its blocks, notes on
    what is said in another way than in the files, and the files that were left alone.
    """

    runbook: str
    blocks: tuple[ImportedBlock, ...]
    notes: tuple[Note, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportedBlock:
    """One block, and where it comes from: the file, and the line of it."""

    name: str
    file: str
    line: int
    transaction: bool
    revert: bool = False


@dataclass(frozen=True, slots=True)
class _Written:
    """A script below `deploy/` or `revert/`, and where its SQL begins: here, and in its file."""

    name: str
    text: str
    file: str
    header_lines: int
    line: int

    def in_its_file(self, problem: Problem) -> Problem:
        """Return a problem of the script, with its place in the file that it comes from."""
        match = re.fullmatch(rf"{re.escape(self.name)}(?::(\d+))?(.*)", problem.where, re.DOTALL)
        if not match:
            return replace(problem, where=f"{self.file}, {problem.where}")
        line = int(match[1] or 0) - self.header_lines + self.line - 1
        return replace(problem, where=f"{self.file}:{max(line, self.line)}{match[2]}")


def import_files(project: Project, folder: Path, name: str, *, dry_run: bool = False) -> Imported:
    """Make a runbook of the SQL files below a folder: a block each, in their order.

    `name` is words, or `NNN_words`. Raises Refused with all that cannot be taken over, each with
    its file and line; then, and on a dry run, nothing is written.
    """
    runbook = scaffold.runbook_name(project, name)
    if not folder.is_dir():
        raise Refused.of(
            "is no folder", where=str(folder), remedy="name the one with the SQL files"
        )
    found = migrations.read(folder)
    problems = list(found.problems)
    notes = list(found.notes)
    chosen: list[tuple[Migration, Sequence[Piece]]] = []
    for migration in found.migrations:
        cut = pieces.cut(migration.deploy)
        problems += cut.problems
        notes += cut.notes
        if cut.pieces:
            chosen.append((migration, cut.pieces))
        elif not cut.problems:
            notes.append(Note("is left out: it holds no statement", migration.deploy.file))
    # A dry run writes them too, into a temporary folder: they are checked as a run reads them.
    with _beside(project, dry_run=dry_run) as place:
        blocks, scripts = _write(chosen, place, notes)
        problems += _unusable(place, scripts, notes)
        undone = {path.stem for path in place.glob("revert/*.sql")}
        blocks = [replace(block, revert=block.name in undone) for block in blocks]
        if problems:
            raise Refused(f"{folder} was not imported: nothing was written.", problems=problems)
        imported = Imported(runbook, tuple(blocks), tuple(notes), found.others)
        if not dry_run:
            _put(project, place, imported, folder)
    return imported


def _write(
    chosen: Sequence[tuple[Migration, Sequence[Piece]]], place: Path, notes: list[Note]
) -> tuple[list[ImportedBlock], dict[str, _Written]]:
    """Write the scripts below a folder. Return the blocks, and each script by its name."""
    wanted: list[str] = []
    for migration, cut in chosen:
        wanted += _names(migration, len(cut))
    names = iter(_in_order(wanted))
    blocks = []
    scripts: list[_Written] = []
    for migration, cut in chosen:
        file = migration.deploy.file
        called = [next(names) for _ in cut]
        for number, (name, piece) in enumerate(zip(called, cut, strict=True), start=1):
            title = migrations.words(migration.name).capitalize()
            if len(cut) > 1:
                title += f" ({number} of {len(cut)})"
            header = {"title": title} | _header(piece)
            if migration.repeatable:
                header["repeatable"] = "yes"
            scripts.append(_script(f"deploy/{name}.sql", file, piece, header))
            blocks.append(ImportedBlock(name, file, piece.line, piece.transaction))
        if called != _names(migration, len(cut)):
            what = "got another name, so that the blocks sort as the files are applied"
            notes.append(Note(what, file))
        scripts += _revert(migration, called, notes)
    for script in scripts:
        path = place / script.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(script.text.encode())
    return blocks, {script.name: script for script in scripts}


def _revert(migration: Migration, called: Sequence[str], notes: list[Note]) -> list[_Written]:
    """Return what undoes a migration, as the script of its block; noted if that cannot be."""
    if migration.revert is None:
        return []
    cut = pieces.cut(migration.revert)
    file = migration.revert.file
    if cut.problems:
        notes += [_as_note(problem) for problem in cut.problems]
    elif len(cut.pieces) > 1 or (cut.pieces and len(called) > 1):
        what = "does not become a revert script, as what it undoes and it are not one block each"
        notes.append(Note(f"{what}: write revert/{called[-1]}.sql", file))
    elif cut.pieces:
        notes += cut.notes
        (piece,) = cut.pieces
        title = f"Undo: {migrations.words(migration.name)}"
        header = {"title": title} | _header(piece)
        return [_script(f"revert/{called[0]}.sql", file, piece, header)]
    return []


def _as_note(problem: Problem) -> Note:
    return Note(f"does not become a revert script: {problem.what}", problem.where)


def _names(migration: Migration, count: int) -> list[str]:
    """Return the names of a migration's pieces: its own, with a number if there are several."""
    if count == 1:
        return [migration.name]
    digits = len(str(count))
    return [f"{migration.name}_{number:0{digits}}" for number in range(1, count + 1)]


def _in_order(names: Sequence[str]) -> list[str]:
    """Return the names, changed no more than it takes for their files to sort in this order."""
    padded = migrations.pad_versions(names)
    for candidate in (list(names), [padded[name] for name in names]):
        files = [f"{name}.sql" for name in candidate]
        if files == sorted(set(files)):
            return candidate
    return [f"{number:04}_{name}" for number, name in enumerate(names, start=1)]


def _header(piece: Piece) -> dict[str, str]:
    header = {}
    if not piece.transaction:
        header["transaction"] = "no"
    if piece.statement_timeout:
        header["statement_timeout"] = piece.statement_timeout
    return header


def _script(name: str, file: str, piece: Piece, header: dict[str, str]) -> _Written:
    """Return the SQL of a piece below a header, with the ends of lines that it has."""
    source = file
    if piece.line > 1:
        source += f":{piece.line}"
    above = [f"-- {key}: {value}" for key, value in header.items()]
    above += [f"-- imported: {source}", ""]
    above += [f"{setting};" for setting in piece.settings]
    # Those of the file: one inside a string is part of its value, and so stays as it is.
    end = "\r\n" if "\r\n" in piece.text else "\n"
    text = end.join([*above, piece.text, ""])
    before = text[: text.index(piece.text)] if piece.text else text
    return _Written(name, text, file, before.count("\n"), piece.line)


def _unusable(place: Path, scripts: dict[str, _Written], notes: list[Note]) -> Iterator[Problem]:
    """Yield what a run would refuse of the scripts. One that only undoes is left out, and noted."""
    if not scripts:
        return
    for name, found in Source.read_usable(place).unusable.items():
        script = scripts[name]
        problems = [script.in_its_file(problem) for problem in found]
        if name.startswith("revert/"):
            notes += [_as_note(problem) for problem in problems]
            (place / name).unlink()
        else:
            yield from problems


@contextmanager
def _beside(project: Project, *, dry_run: bool) -> Iterator[Path]:
    """A folder for the scripts, from where they can be moved into the project at once."""
    root = None
    if not dry_run:
        root = project.root  # a folder can be renamed within one file system only
    temporary = Path(tempfile.mkdtemp(dir=root, prefix=".import-"))
    try:
        # mkdtemp makes a folder for this user alone; what is moved into the project is for others
        # too
        place = temporary / "sql"
        place.mkdir()
        yield place
    finally:
        shutil.rmtree(temporary)


def _put(project: Project, place: Path, imported: Imported, folder: Path) -> None:
    """Move the scripts into the project, and write the notebook that applies them."""
    sql = project.sql(imported.runbook)
    sql.parent.mkdir(exist_ok=True)
    notebook = project.root / "runbooks" / f"{imported.runbook}.ipynb"
    notebook.parent.mkdir(exist_ok=True)
    text = scaffold.notebook(
        imported.runbook,
        "imported.ipynb",
        folder=json.dumps(folder.resolve().name)[1:-1],
        count=len({block.file for block in imported.blocks}),
    )
    place.rename(sql)
    try:
        atomic.write(notebook, text.encode())
    except BaseException:  # an interrupt, too: both are there, or neither
        shutil.rmtree(sql)
        raise
