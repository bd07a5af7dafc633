"""Who vouches for what a fleet's run was begun with: until it has ended and is sealed, anybody may
have changed its journal.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path

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
    """Return the events that begin the journal of that name, and the signature of them if the
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
    """Yield what is wrong with how a run was begun, as its journal says; nothing where the project
    has no keys.
    """
    keys = verification.trusted_keys(project)
    if keys and not _is_signed(path, keys):
        yield Problem(
            "was not begun with what it says, for all that is signed",
            path.name,
            "its first lines as they were signed with a key of pgrunbook.toml",
        )


def _is_signed(path: Path, keys: Sequence[Key]) -> bool:
    """Return whether one of the keys has signed how the run was begun, and nothing of that kind
    comes later.
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
    """Return the events without their times: those are not known before they are written."""
    said = [{key: value for key, value in event.items() if key != "at"} for event in begun]
    return json.dumps([name, *said], sort_keys=True).encode()
