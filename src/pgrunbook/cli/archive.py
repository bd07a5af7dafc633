"""`pgrunbook archive`: seals, checks, shows and compares the records under outputs/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pgrunbook import controls
from pgrunbook.cli import commands
from pgrunbook.errors import Problem, Refused, Verdict
from pgrunbook.runbooks.project import Project

if TYPE_CHECKING:
    from pgrunbook.records.record import Record

_KEYS = click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A public key (PEM); every seal must be signed with one of those given. May be repeated."
    "  [default: public_keys in pgrunbook.toml]",
)


@click.group()
def archive() -> None:
    """Seal the executed notebooks under outputs/, and check that nothing was changed since.

    `pgrunbook run` and `papermill --engine pgrunbook` seal what they write, whatever the verdict.
    Signed with the Ed25519 key in the PEM file that `[archive] key` of pgrunbook.toml or
    PGRUNBOOK_KEY names.
    """


@archive.command()
@click.argument("notebook", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@commands.AS_JSON
def seal(notebook: Path, as_json: bool) -> None:
    """Seal NOTEBOOK under outputs/, which JupyterLab or papermill's own engine executed, or whose
    runner was killed.

    Refused if the target's ledger does not know the run, or tells otherwise. Where the ledger
    cannot be asked, the seal says so.
    """
    from pgrunbook.records import sealing

    done = sealing.seal(Project.find(), notebook, by_hand=True)
    head, *told = str(done).split("\n", 1)
    if as_json:
        commands.print_end(
            head,
            found=[Problem(text, where=str(commands.relative(notebook))) for text in done.problems],
            seal=done.head._asdict(),
            signed=done.signed,
            ledger=done.told,
        )
        return
    commands.warn(done.problems)
    for line in (f"seal: {head}", *told):
        click.echo(controls.one_line(line))


@archive.command()
@click.argument(
    "notebook", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@_KEYS
@click.option(
    "--target",
    "names",
    multiple=True,
    metavar="NAME",
    help="Compare with the heads in this target's ledger.",
)
@commands.AS_JSON
def verify(
    notebook: Path | None, keys: tuple[Path, ...], names: tuple[str, ...], as_json: bool
) -> None:
    """Check every byte of the archive, or of the record of NOTEBOOK. Exits with 0, or with 1 if
    anything is wrong.

    Names what was changed, removed, added or put elsewhere. That the end of the archive was cut off
    shows only in the ledgers of the targets: name them with --target.
    """
    from pgrunbook.records import verification

    report = verification.of_project(Project.find(), keys, names, only=notebook)
    verdict = Verdict.FAILED if report.problems else Verdict.PASSED
    text = controls.visible(report.text())  # a file name may hold escape sequences of terminals
    if as_json:
        commands.print_document(
            {"verdict": verdict, "message": text.rpartition("\n")[2], **report.data()}
        )
    else:
        click.echo(text)
    sys.exit(verdict.exit_code)


@archive.command()
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@_KEYS
@commands.AS_JSON
def merge(folders: tuple[Path, ...], keys: tuple[Path, ...], as_json: bool) -> None:
    """Bring the records of the archives in FOLDERS into outputs/: what several machines have
    recorded is one archive then.

    Each is verified first, and outputs/ too; if anything is wrong, that archive is refused and
    nothing of it is taken. No seal is made anew. A record that is there already is taken once.
    """
    from pgrunbook.records import merging, verification
    from pgrunbook.records.archive import Archive

    project = Project.find()
    known = verification.known_keys(project, keys)
    archived = Archive(project.outputs)
    added = there = 0
    for folder in folders:
        done = merging.merge(archived, folder, known)
        added, there = added + done.added, there + done.known
    message = f"merged: {added} records added, {there} were there already"
    if as_json:
        commands.print_end(message, added=added, known=there)
    else:
        click.echo(message)


@archive.command()
@click.option("--rebuild", is_flag=True, help="Make every page anew.")
@commands.AS_JSON
def site(rebuild: bool, as_json: bool) -> None:
    """Make the reviewer's pages, outputs/site/: an index, and one page per record. Adds only what
    is missing.
    """
    from pgrunbook.records.archive import Archive
    from pgrunbook.records.site import Site
    from pgrunbook.records.words import counted

    archived = Archive(Project.find().outputs)
    archived.require_there()
    pages = Site(archived)
    made, records = pages.build(anew=rebuild)
    index = str(commands.relative(pages.root / "index.html"))
    message = f"{index}: {counted(records, 'record')}, {counted(made, 'page')} made"
    if as_json:
        commands.print_end(message, made=made, records=records, index=index)
    else:
        click.echo(controls.one_line(message))


@archive.command()
@click.argument("one", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("other", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@commands.AS_JSON
def diff(one: Path, other: Path, as_json: bool) -> None:
    """Compare two records: staging and production, last quarter and today. Exits with 1 if they
    differ.

    The same SQL, decisions, locks and result count; times are shown, and never count.
    """
    from pgrunbook.records import compare

    parts = compare.compare(_executed(one), _executed(other))
    if as_json:
        commands.print_document(compare.data(parts))
    else:
        click.echo(controls.visible(compare.text(parts)))
    if not all(part.same for part in parts):
        sys.exit(Verdict.FAILED.exit_code)


def _executed(path: Path) -> Record:
    """Return a record that can be compared. Raises Refused if the notebook is not a record, was not
    run, or did not reach its target.
    """
    from pgrunbook.records import compare, malformed_notebook

    record = commands.record(path)
    with malformed_notebook.refuse(path.name):
        if record.fleet or not record.identity:  # of a fleet, the records of targets can
            raise Refused.of(
                "has nothing to compare",
                where=path.name,
                expected="a record whose run reached its target",
                remedy="name records under outputs/",
            )
        # Compared with itself first: if a part is malformed, this is the notebook to name.
        compare.compare(record, record)
    return record
