"""The names of a record's files, and names that no record can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pgrunbook.errors import Problem, Unreadable
from pgrunbook.records import untrusted_files

# The ends of the names of a record's files: the executed notebook, the files beside it, the seal.
NOTEBOOK = ".ipynb"
JOURNAL = ".fleet.jsonl"  # of a fleet's run
BESIDE = (".html", ".ledger.json", ".snapshots.json", JOURNAL)
SEAL = ".dsse.json"

# The folder of an archive with the pages. They are no records, and can be made anew from them.
MADE = "site"


def seal_of(notebook: Path) -> Path:
    """Return the path of an executed notebook's seal, which need not exist."""
    return notebook.with_name(notebook.stem + SEAL)


def records_of(folder: Path, run_id: str) -> Iterator[Path]:
    """Return the executed notebooks in a folder whose names have the id of this run."""
    return folder.glob(f"*-{run_id[:8]}{NOTEBOOK}")


def names(record: str) -> set[str]:
    """Return all names that files of a record can have. `record` is what they begin with."""
    return {record + ending for ending in (NOTEBOOK, *BESIDE, SEAL)}


def problems(root: Path, name: str) -> Iterator[Problem]:
    """Yield why no record can have this name: what is sealed has to be found again."""
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
