"""Puts the parts of a record into the outputs of a notebook, and takes them out of there again.

Each output says which version of the format it is written in; the records of before there were
versions are version 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pgrunbook.errors import Refused
from pgrunbook.records.format import version_0
from pgrunbook.records.format.mime_types import MIME_TYPES, OURS
from pgrunbook.records.format.parts import Noted, Part, Snapshot

# A new key needs no new version, nor does a new kind of frame: who does not know it leaves it out.
# A key that goes, or means something else, does.
VERSION = 1

# What `parts` raises for what is no part of ours, or one of a version that is not known.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)

P = TypeVar("P", bound=Part)


class NewerFormat(Refused, ValueError):
    """The record cannot be read by this version of pgrunbook.

    Also a ValueError, as of whatever else is no record that can be read: who goes through many
    records leaves this one out.
    """


def bundle(part: Part) -> dict[str, Any]:
    """Return a part as the data of an output."""
    return {MIME_TYPES[type(part)]: {"version": VERSION, **part.said()}}


def bundle_many(parts: Sequence[Part]) -> dict[str, Any]:
    """Return many parts of one kind as the data of one output: the keys once, as `columns`, and for
    each block its values. All of them must say the same keys.
    """
    if not parts:
        return {}
    each = [part.said() for part in parts]
    values = [list(said.values()) for said in each]
    data = {"version": VERSION, "columns": list(each[0]), "blocks": values}
    return {MIME_TYPES[type(parts[0])]: data}


def parts(data: Mapping[str, Any], kind: type[P]) -> list[P]:
    """Return the parts of a kind that the data of an output holds, of any version of the format.

    Raises one of UNREADABLE for what is no such part: NewerFormat, a ValueError, for a version that
    is not known yet.
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
    """Return what the runner has noted in a notebook's metadata; empty if it has noted nothing."""
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
    """Return what such a file says, of any version."""
    _version(data, where)
    return {name: value for name, value in data.items() if name != "version"}


def take_out_snapshots(cell: Mapping[str, Any], file: str) -> None:
    """Have a cell name the file beside the record in place of the snapshots that it holds, which
    may be large, and which a program can then read without the notebook.
    """
    for output in cell.get("outputs", ()):
        for said in parts(output.get("data", {}), Snapshot):
            output["data"].update(bundle(Snapshot(when=said.when, file=file)))


def require_known(notebook: Mapping[str, Any], where: str) -> None:
    """Raise NewerFormat if anything in the notebook is of a version that is not known yet; one of
    UNREADABLE if it is no notebook.
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
