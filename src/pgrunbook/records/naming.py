"""What the files of a record are called, and what no record can be called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pgrunbook.errors import Problem, Unreadable
from pgrunbook.records import untrusted_files

# How the names of a record's files end: of what its seal is about, the executed notebook first, and
# of the seal.
NOTEBOOK = ".ipynb"
JOURNAL = ".fleet.jsonl"  # of a fleet's run
BESIDE = (".html", ".ledger.json", ".snapshots.json", JOURNAL)
SEAL = ".dsse.json"

# The folder in an archive where the pages are made, which can be made anew from the records.
MADE = "site"


def seal_of(notebook: Path) -> Path:
    """Where the seal of an executed notebook lies, if it has one: beside it."""
    return notebook.with_name(notebook.stem + SEAL)


def records_of(folder: Path, run_id: str) -> Iterator[Path]:
    """The executed notebooks in a folder that are called after a run."""
    return folder.glob(f"*-{run_id[:8]}{NOTEBOOK}")


def names(record: str) -> set[str]:
    """What the files of a record and its seal can be called, by what all of them begin with."""
    return {record + ending for ending in (NOTEBOOK, *BESIDE, SEAL)}


def problems(root: Path, name: str) -> Iterator[Problem]:
    """Why the notebook of this name cannot be a record's, as what is sealed has to be found again;
    nothing if it can.
    """
    if PurePosixPath(name).suffix != NOTEBOOK:
        yield Problem(
            "is not called as the notebook of a record is",
            name,
            f"a name that ends in {NOTEBOOK}",
            remedy=f"name a notebook, or rename it to {name}{NOTEBOOK}",
        )
    if name.startswith(f"{MADE}/"):
        yield Problem(
            "is where the pages are made, and no record is looked for",
            name,
            f"a folder other than {MADE}/",
            remedy="move it to outputs/<target>/<runbook>/",
        )
    try:
        for each in sorted(names(name.removesuffix(NOTEBOOK))):
            untrusted_files.path_below(root, each)
    except Unreadable as exc:
        yield Problem(
            "is not kept in an archive",
            untrusted_files.printable(name),
            "a regular file with a name that can be read",
            str(exc),
            "copy it to another name below outputs/",
        )
