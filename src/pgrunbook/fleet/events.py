"""The events of a fleet's journal, a line each: their kinds, and the keys of each kind.

Anybody may write to a journal. So each line of another process is checked here before it is used.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    model_validator,
)

from pgrunbook.errors import Verdict as _Verdict
from pgrunbook.fleet import targets
from pgrunbook.fleet.journal import Event


class EventKind(StrEnum):
    """The kinds of events. The keys of each are those of its class in `_MODELS`."""

    BEGUN = "begun"
    TARGET = "target"
    SIGNED = "signed"
    WAVE = "wave"
    STARTED = "started"
    ENDED = "ended"
    VERIFIED = "verified"
    STOP = "stop"
    LEFT_OUT = "left out"
    END = "end"


def _moment(text: str) -> str:
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError("no time of ISO 8601 with its zone")
    return text


def _moment_if_any(text: str) -> str:
    return text and _moment(text)


def _listed(row: dict[str, str]) -> dict[str, str]:
    if problem := next(targets.row_problems(row, "the target"), None):
        raise ValueError(problem.what)
    return row


Moment = Annotated[str, AfterValidator(_moment)]
MomentIfAny = Annotated[str, AfterValidator(_moment_if_any)]
Verdict = Annotated[_Verdict, Strict(strict=False)]
Number = Annotated[int, Field(ge=0)]


class _Event(BaseModel):
    """What every event has. Further keys are let pass: a later version may have added them."""

    model_config = ConfigDict(strict=True, defer_build=True)

    at: Moment


class _Operator(BaseModel):
    operator: str


class _Approval(BaseModel):
    set: str
    approver: str


class _Begun(_Event):
    """The first event: what was asked for.

    - `list`, `own`: the digests of the whole list of targets, and of the part that is this slice.
    - `code`: the digest of what the runbook runs.
    - `until`: the number of the last wave to be run, from 1 on; None for all.
    - `resumes`: the id of the run that this one goes on with.
    """

    id: str
    fleet: str
    runbook: str
    mode: str
    parameters: _Operator
    list_: str = Field(alias="list")
    approved: _Approval | Annotated[dict[str, str], Field(max_length=0)]
    waves: list[str]
    budgets: list[str]
    code: str = ""
    own: str = ""
    slice_: str = Field("", alias="slice")
    until: int | None = None
    resumes: str = ""

    @model_validator(mode="after")
    def _each_has_one(self) -> Self:
        if len(self.waves) != len(self.budgets):
            raise ValueError("not as many budgets as waves")
        return self


class _Target(_Event):
    wave: Number
    target: Annotated[dict[str, str], AfterValidator(_listed)]


class _Signed(_Event):
    """Who has signed the events before it: see `signature`."""

    signatures: list[dict[str, str]]


class _Wave(_Event):
    wave: Number
    state: str


class _Started(_Event):
    name: str
    run: str
    attempt: Number


class _Ended(_Event):
    """What came of a target. If it has times, it was repeated from the journal of another run."""

    name: str
    run: str
    verdict: Verdict
    reason: str
    record: str = ""
    sha256: str = ""
    remark: str = ""
    again: bool = False
    not_done: bool = False
    verified: Verdict | None = None
    started_at: MomentIfAny = ""
    ended_at: MomentIfAny = ""


class _Verified(_Event):
    name: str
    verdict: Verdict
    reason: str


class _Stop(_Event):
    by: str


class _LeftOut(_Event):
    """The number of a line that the run has not written, and why it is left out."""

    line: Number
    why: str


class _End(_Event):
    verdict: Verdict
    reason: str


_MODELS: dict[str, type[_Event]] = {
    EventKind.BEGUN: _Begun,
    EventKind.TARGET: _Target,
    EventKind.SIGNED: _Signed,
    EventKind.WAVE: _Wave,
    EventKind.STARTED: _Started,
    EventKind.ENDED: _Ended,
    EventKind.VERIFIED: _Verified,
    EventKind.STOP: _Stop,
    EventKind.LEFT_OUT: _LeftOut,
    EventKind.END: _End,
}


def without_left_out(numbered: dict[int, Event]) -> list[Event]:
    """Return the events of a journal, but for those that its coordinator has left out. Raises
    ValueError as `check` does.
    """
    found: list[Event] = []
    left_out = set()
    # from the end: a line that says so may be left out by a later one itself
    for number, event in reversed(numbered.items()):
        if number not in left_out:
            found.append(check(event))
            if event["event"] == EventKind.LEFT_OUT:
                left_out.add(event["line"])
    return found[::-1]


def why_not_added(event: Event) -> str:
    """Return why an event that somebody else has added is left out; empty for a stop, which
    anybody may ask for.
    """
    try:
        kind = check(event)["event"]
    except ValueError as exc:
        return str(exc)
    if kind == EventKind.STOP:
        return ""
    return "only a stop may be added to the journal of a run at work"


def check(event: Event) -> Event:
    """Return the event. Raises ValueError if it lacks what its kind needs, in words that repeat no
    value of it: that could be a secret. An event of a kind that is not known passes.
    """
    kind = event["event"]
    if not isinstance(kind, str):
        raise ValueError("an event whose kind is not a text")
    json.dumps(event, ensure_ascii=False).encode()  # its record repeats it, in Unicode
    try:
        if kind in {*EventKind}:
            _MODELS[kind].model_validate(event)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, (kind, *first["loc"])))
        raise ValueError(f"{where}: {first['msg']}") from exc
    return event
