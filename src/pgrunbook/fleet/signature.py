"""Signs what a fleet's run was begun with, where the archive has a key.

Until a run has ended and is sealed, nothing else shows that its journal was edited.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.signer import Key

from pgrunbook.errors import Problem
from pgrunbook.fleet import events, journal
from pgrunbook.fleet.events import EventKind
from pgrunbook.fleet.journal import Event
from pgrunbook.records import attestation, verification
from pgrunbook.runbooks.project import Project

_PAYLOAD_TYPE = "application/vnd.pgrunbook.fleet+json"
_BEGINS = (EventKind.BEGUN, EventKind.TARGET)


def sign(project: Project, name: str, begun: Sequence[Event]) -> list[Event]:
    """Return the events that begin the journal of that name, followed by their signature if the
    project has a key.
    """
    key = project.signing_key
    if key is None:
        return [*begun]
    envelope = Envelope(_payload(name, begun), _PAYLOAD_TYPE, {})
    envelope.sign(attestation.signer(key))
    signatures = envelope.to_dict()["signatures"]
    return [*begun, {"event": EventKind.SIGNED, "signatures": signatures}]


def problems(project: Project, path: Path) -> Iterator[Problem]:
    """Yield a problem if the first events of a journal are not as they were signed; nothing where
    the project has no keys.
    """
    keys = verification.trusted_keys(project)
    if keys and not _is_signed(path, keys):
        yield Problem(
            "was not begun with what it says, for all that is signed",
            path.name,
            "its first lines as they were signed with a key of pgrunbook.toml",
        )


def _is_signed(path: Path, keys: Sequence[Key]) -> bool:
    """Return whether one of the keys has signed the events that begin the run, and no such event
    comes later: it would be in force, too.
    """
    found = events.without_left_out(journal.read(path))
    end = next((n for n, event in enumerate(found) if event["event"] == EventKind.SIGNED), None)
    if end is None or any(event["event"] in _BEGINS for event in found[end:]):
        return False
    said = {
        "payload": b64encode(_payload(path.name, found[:end])).decode(),
        "payloadType": _PAYLOAD_TYPE,
        "signatures": found[end]["signatures"],
    }
    try:
        envelope = Envelope.from_dict(said)
    except (KeyError, ValueError):
        return False
    return attestation.is_signed(envelope, keys)


def _payload(name: str, begun: Sequence[Event]) -> bytes:
    """Return what is signed: the events without their times, which the journal adds later."""
    signed: list[Any] = [name]
    for event in begun:
        signed.append({key: value for key, value in event.items() if key != "at"})
    return json.dumps(signed, sort_keys=True).encode()
