"""`pgrunbook import`: a folder of SQL files becomes a runbook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pgrunbook import controls
from pgrunbook.cli import commands
from pgrunbook.errors import Verdict
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.runbooks.import_files import Imported
    from pgrunbook.runbooks.migrations import Note


@click.command("import")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and write nothing.")
@commands.AS_JSON
def import_(folder: Path, name: str, dry_run: bool, as_json: bool) -> None:
    """Make a runbook called NAME of the SQL files below DIR: each is a block, in their order.

    NAME is lower-case words joined by underscores, such as billing, or with a number of its own:
    007_billing. Files that undo others (.down.sql, .undo.sql, the second half of one file) become
    revert scripts. What cannot be taken over is named with its file and line, all at once; then
    nothing is written.
    """
    from pgrunbook.runbooks.import_files import import_files

    project = Project.find()
    imported = import_files(project, folder, name, dry_run=dry_run)
    if as_json:
        commands.print_document(_document(imported, dry_run=dry_run))
    else:
        for line in _lines(project, imported, dry_run=dry_run):
            click.echo(controls.one_line(line))


def _document(imported: Imported, *, dry_run: bool) -> dict[str, Any]:
    return {
        "verdict": Verdict.PASSED,
        "message": _message(imported, dry_run=dry_run),
        "problems": [],
        "runbook": imported.runbook,
        "blocks": [asdict(block) for block in imported.blocks],
        "notes": [asdict(note) for note in imported.notes],
        "left": list(imported.others),
    }


def _message(imported: Imported, *, dry_run: bool) -> str:
    from pgrunbook.records.words import counted

    files = len({block.file for block in imported.blocks})
    reverts = sum(block.revert for block in imported.blocks)
    made = "would be made" if dry_run else "made"
    of = f"{counted(len(imported.blocks), 'block')} {made} of {counted(files, 'file')}"
    return f"{imported.runbook}: {of}, {reverts} with a revert script"


def _lines(project: Project, imported: Imported, *, dry_run: bool) -> Iterator[str]:
    yield from _told(imported.notes)
    if imported.others:
        yield f"left alone, as no SQL: {', '.join(imported.others)}"
    yield _message(imported, dry_run=dry_run)
    if not dry_run:
        number = imported.runbook.partition("_")[0]
        yield f"next: pgrunbook lint; {commands.plan(project, number)}"


def _told(notes: Iterable[Note]) -> Iterator[str]:
    """Yield each note once, with its first place, and how many more places it has."""
    places: dict[str, list[str]] = {}
    for note in notes:
        places.setdefault(note.what, []).append(note.where)
    for what, where in places.items():
        more = f", and {len(where) - 1} more" if len(where) > 1 else ""
        yield f"note: {where[0]}{more}: {what}"
