"""Checks the place of a record in the archive before its run begins: later it would be too late."""

from __future__ import annotations

from pathlib import Path

from pgrunbook.records.archive import Archive
from pgrunbook.runbooks.project import Project


def check(project: Project, notebook: Path) -> None:
    """Raise Refused if the record of this notebook could not be sealed."""
    key = project.signing_key
    if key:
        from pgrunbook.records import attestation  # what signs takes a while to import, and 8 MB

        attestation.signer(key)
    Archive(project.outputs).check(notebook)
