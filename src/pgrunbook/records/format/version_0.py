"""Reads version 0 of the format: records from before the format had a version.

They have facts under the labels that a person reads, and times and durations in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pgrunbook.records.format.parts import Card, Frame, Kind, Part, Problems

# The labels of the identity card, with the keys of today. Those that need more than another name
# are below.
_TARGET = {
    "database": "database",
    "host": "host",
    "server version": "server_version",
    "system identifier": "system_identifier",
    "server": "server",
    "primary or standby": "recovery",
    "run": "run",
    "mode": "mode",
    "schema": "schema",
    "operator": "operator",
    "rehearsed on": "rehearsed_on",
}
_KINDS = {
    "expected columns": Kind.EXPECTED_COLUMNS,
    "part of the verification": Kind.VERIFIED_IN_PART,
}
_LONG_LOCKS = "ACCESS EXCLUSIVE longer than "
_SUPERUSER = " (superuser)"


def adapt(kind: type[Part], said: Any) -> Any:
    """Return a part of version 0 under the keys of today."""
    adapter = _ADAPTERS.get(kind)
    return adapter(said) if adapter else said


def in_transaction(statements: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a block ran in a transaction: in version 0 the times of its statements have a
    COMMIT then.
    """
    return any(str(row.get("statement")).startswith("COMMIT,") for row in statements)


def _card(said: Mapping[str, Any]) -> dict[str, Any]:
    name, _, place = str(said.get("target", "")).partition(": ")
    database, _, schema = place.rpartition(", schema ")
    names = ("verdict", "reason", "run", "runbook", "mode", "plan")
    card = {name: said[name] for name in names if name in said}
    if "ended" in said:
        card["ended_at"] = _moment(said["ended"])
    if "the verdict in the ledger" in said:
        card["ledger_remark"] = said["the verdict in the ledger"]
    if name:
        card["target"] = name
    if place:
        card |= {"database": database, "schema": schema}
    for label, value in said.items():
        if label.startswith(_LONG_LOCKS):
            card |= {"lock_timeout": label.removeprefix(_LONG_LOCKS), "long_locks": value}
    return card


def _frame(said: Mapping[str, Any]) -> dict[str, Any]:
    frame = {**said, "kind": _KINDS.get(said["kind"], said["kind"])}
    if frame["kind"] == Kind.HAZARDS and "rule" in said["columns"]:
        return frame | {"kind": Kind.SQUAWK, "columns": Kind.SQUAWK.columns}
    if frame["kind"] != Kind.IDENTITY:
        return frame
    rows = [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]
    labelled = {row["identity"]: row["value"] for row in rows}
    return {"kind": frame["kind"], "target": _target(labelled)}


def _target(labelled: Mapping[str, str]) -> dict[str, Any]:
    target: dict[str, Any] = {}
    for label, key in _TARGET.items():
        if label in labelled:
            target[key] = labelled[label]
    if "role" in labelled:
        target["role"] = labelled["role"].removesuffix(_SUPERUSER)
        target["superuser"] = labelled["role"].endswith(_SUPERUSER)
    if "read-only" in labelled:
        target["read_only"] = labelled["read-only"] == "yes"
    if "ticket" in labelled:
        target["ticket"] = _given(labelled["ticket"], "none given")
    if "started" in labelled:
        target["started_at"] = _moment(labelled["started"])
    if "versions" in labelled:
        named = [each.rpartition(" ") for each in labelled["versions"].split(", ")]
        target["versions"] = {name: version for name, _, version in named}
    if "not copied" in labelled:
        target["not_copied"] = labelled["not copied"].splitlines()
    return target | _approval(labelled.get("approved"))


def _approval(said: str | None) -> dict[str, str]:
    """Read `plan 0123… by grace`. The approver was given only for protected targets."""
    if said is None:
        return {}
    plan, _, approver = said.removeprefix("plan ").partition(" by ")
    return {"approved_plan": plan, "approver": _given(approver, "nobody who is named")}


def _given(text: str, none: str) -> str:
    """Return a text; empty for the words that version 0 wrote where there was none."""
    return "" if text == none else text


def _problems(said: Sequence[Any]) -> dict[str, Any]:
    return {"problems": said}


def _moment(text: str) -> str:
    """Return `2026-01-31 12:00:00 UTC` in ISO 8601; any other text as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC", text)
    return f"{found[1]}T{found[2]}+00:00" if found else text


_ADAPTERS: Mapping[type[Part], Callable[[Any], dict[str, Any]]] = {
    Card: _card,
    Frame: _frame,
    Problems: _problems,
}
