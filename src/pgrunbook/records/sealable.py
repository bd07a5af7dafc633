"""Checks before a run begins that its record can be sealed: once it has ended it is too late."""

from __future__ import annotations

from pathlib import Path

from pgrunbook.records.archive import Archive
from pgrunbook.runbooks.project import Project


def require(project: Project, notebook: Path) -> None:
    """Raise Refused unless the record of this notebook can be sealed."""
    key = project.signing_key
    if key:
        from pgrunbook.records import attestation  # what signs takes a while to import, and 8 MB

        attestation.signer(key)
    Archive(project.outputs).check(notebook)
