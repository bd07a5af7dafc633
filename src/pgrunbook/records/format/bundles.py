"""Writes the parts of a record into the outputs of a notebook, and reads them from there.

Each output says in which version of the format it is written. Records from before there were
versions are version 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pgrunbook.errors import Refused
from pgrunbook.records.format import version_0
from pgrunbook.records.format.mime_types import MIME_TYPES, OURS
from pgrunbook.records.format.parts import Noted, Part, Snapshot

# Raise it if a key goes or means something else. A new key, or a new kind of frame, needs no new
# version: who does not know it leaves it out.
VERSION = 1

# What `parts` raises if an output is not a part of ours, or of a version that is not known.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)

P = TypeVar("P", bound=Part)


class NewerFormat(Refused, ValueError):
    """The record cannot be read by this version of pgrunbook.

    It is a ValueError, too, as other records that cannot be read raise: who reads many records
    leaves both out.
    """


def bundle(part: Part) -> dict[str, Any]:
    """Return a part as the data of an output."""
    return {MIME_TYPES[type(part)]: {"version": VERSION, **part.said()}}


def bundle_many(parts: Sequence[Part]) -> dict[str, Any]:
    """Return many parts of one kind as the data of one output: the keys once, as `columns`, and the
    values of each. All parts must have the same keys.
    """
    if not parts:
        return {}
    each = [part.said() for part in parts]
    values = [list(said.values()) for said in each]
    data = {"version": VERSION, "columns": list(each[0]), "blocks": values}
    return {MIME_TYPES[type(parts[0])]: data}


def parts(data: Mapping[str, Any], kind: type[P]) -> list[P]:
    """Return the parts of a kind in the data of an output, of any version of the format.

    Raises one of UNREADABLE if the data is of another form; NewerFormat, a ValueError, for a
    version that is not known yet.
    """
    mime = MIME_TYPES[kind]
    if mime not in data:
        return []
    said = data[mime]
    version = _version(said, mime)
    each = [said]
    if "blocks" in said:
        each = [dict(zip(said["columns"], values, strict=True)) for values in said["blocks"]]
    if version == 0:
        each = [version_0.adapt(kind, one) for one in each]
    return [kind.model_validate(one) for one in each]


def noted(metadata: Mapping[str, Any]) -> Noted:
    """Return what the runner has noted in a notebook's metadata; an empty Noted without that."""
    said = metadata.get("pgrunbook") or {}
    _version(said, "metadata")
    return Noted.model_validate(said)


def note(what: Noted) -> dict[str, Any]:
    """Return the value of `pgrunbook` in a notebook's metadata."""
    return {"version": VERSION, **what.said()}


def snapshots_file(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file beside a record holds: see `Record.snapshots`."""
    return {"version": VERSION, **data}


def snapshots(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the snapshots in such a file, of any version."""
    _version(data, where)
    return {name: value for name, value in data.items() if name != "version"}


def take_out_snapshots(cell: Mapping[str, Any], file: str) -> None:
    """Replace the snapshots in a cell by the name of the file that has them now. They may be large,
    and a program can read the file without the notebook.
    """
    for output in cell.get("outputs", ()):
        for said in parts(output.get("data", {}), Snapshot):
            output["data"].update(bundle(Snapshot(when=said.when, file=file)))


def require_known(notebook: Mapping[str, Any], where: str) -> None:
    """Raise NewerFormat if any part of the notebook is of a version that is not known yet; one of
    UNREADABLE if it is not a notebook.
    """
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("not a notebook")
    _version((notebook.get("metadata") or {}).get("pgrunbook"), where)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            for mime in OURS & data.keys():
                _version(data[mime], where)


def _version(said: Any, where: str) -> int:
    """Return the version of the format that something was written in."""
    version = said.get("version", 0) if isinstance(said, Mapping) else 0
    if not isinstance(version, int):
        raise ValueError(f"{where}: the version of the format is {version!r}, not a number")
    if version > VERSION:
        raise NewerFormat.of(
            "is of a newer format",
            where=where,
            expected=f"version {VERSION} of the format of records, or an older one",
            found=f"version {version}",
            remedy="upgrade pgrunbook to the version that has written it, or a later one",
        )
    return version
