"""What a record says to programs, part by part: the keys of each, which stay.

A part says only what it knows: a key that is not there is not known. Times are ISO 8601 in UTC,
durations in milliseconds, digests SHA-256 in hexadecimal.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pgrunbook.errors import Problem, Verdict


class Part(BaseModel):
    """One thing that a record says. A key that this version does not know is left out: a later one
    may have added it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        serialize_by_alias=True,
        defer_build=True,
    )

    def said(self) -> dict[str, Any]:
        """What it says, as JSON values by key."""
        return self.model_dump(mode="json", exclude_unset=True)


class IdentityCard(Part):
    """The identity card: which server and database answered, and which run it was.

    `host`: address and port, or `local socket`. `recovery`: `primary` or `standby`. `server`: how
    the server is known, and whether the ledger was written there, in words. `versions`: by program.
    `rehearsed_on`: the copy of a rehearsal, `not_copied` what it lacks. `ticket` and
    `approved_plan` are empty if none was given. `given`: the parameters that are not as they are by
    default. `planned_after`: the pending runbooks whose blocks the copy had already; in a
    plan, too.
    """

    database: str = ""
    host: str = ""
    server_version: str = ""
    system_identifier: str = ""
    server: str = ""
    role: str = ""
    superuser: bool = False
    recovery: str = ""
    read_only: bool = False
    run: str = ""
    mode: str = ""
    schema_: str = Field("", alias="schema")
    operator: str = ""
    ticket: str = ""
    approved_plan: str = ""
    approver: str = ""
    given: Mapping[str, Any] = {}
    started_at: str = ""
    versions: Mapping[str, str] = {}
    rehearsed_on: str = ""
    not_copied: Sequence[str] = ()
    planned_after: Sequence[str] = ()


class Frame(Part):
    """A frame that a method of a run returned: its `columns`, those of the index first, and `rows`
    of values as JSON has them.

    `block`, `table`: what it is about. `files`, of the kind `sources`: the digest of each file by
    its path from the project's root. `target`, of the kind `identity`, in place of rows. Of the
    kind `preconditions`: `code`, the digest of the notebook's code under its path, and those of
    what it imports of the project; `cells`, its cells by id, kind and digest. `mode`, of the kind
    `hazards`: that of the run.
    """

    kind: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    block: str = ""
    table: str = ""
    files: Mapping[str, str] = {}
    code: Mapping[str, str] = {}
    cells: Sequence[Sequence[str]] = ()
    mode: str = ""
    target: IdentityCard | None = None


class Kind(enum.StrEnum):
    """The kinds of frames, each with the keys of its columns."""

    columns: tuple[str, ...]

    def __new__(cls, name: str, columns: str) -> Kind:
        """A kind with its columns, blanks between them."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.columns = tuple(columns.split())
        return kind

    IDENTITY = "identity", ""
    SOURCES = "sources", "file deploy verify revert"
    CIRCUMSTANCES = "circumstances", "what found remark"
    ADMISSION = "admission", "table column type accepted because"
    PRECONDITIONS = "preconditions", "where check result found"
    DECISIONS = "decisions", "block title decision reason"
    HAZARDS = "hazards", "block line hazards concerns size dependents takes accepted"
    # of a rehearsal: what squawk knows of the SQL
    SQUAWK = "squawk", "block rule complaint"
    STATEMENTS = "statements", "statement ms"
    EFFECT = "effect", "object change what"
    ROWS = "rows", "table inserted updated deleted truncated"
    BACKFILL = "backfill", "from seconds rows rows_per_s lag_s paused_s paused"
    LOCKS = "locks", "relation lock blocks held_ms rewritten"
    ATTEMPTS = (
        "attempts",
        "attempt at waited_ms pid application role state transaction_s lock query autovacuum",
    )
    # before a block in batches begins
    BACKFILLS = "backfills", "block table key upto rows bytes to_change leaves_dead wal takes"
    # the runs that have worked on a block in batches
    BATCHES = (
        "batches",
        "run began ended batches rows skipped ms longest_ms wal_bytes tried_again",
    )
    COLUMNS = "columns", "column type nullable default comment"
    EXPECTED_COLUMNS = "expected_columns", "table column present type nullable default as_expected"
    VERIFICATION = "verification", "where check result found"
    # of some blocks only
    VERIFIED_IN_PART = "verified_in_part", "where check result found"
    DIFFERENCE = "difference", "change kind table name before after"


class Decided(Part):
    """What was decided about a block: `action` is apply, complete, adopt, skip, revert or refuse;
    `sql` what is to run, empty if nothing is. `makes`: what the block makes, lists of kind, table,
    name and value, by the names in its SQL.
    """

    block: str
    title: str
    action: str
    reason: str
    sql: str
    source_sha256: str
    tree_sha256: str = ""
    in_transaction: bool | None = None
    makes: Sequence[Any] = ()


class Done(Part):
    """What was done with a block: `event` is applied, adopted or reverted."""

    block: str
    event: str
    started_at: str
    elapsed_ms: float


class Progress(Part):
    """How far a backfill has come: rows `done`, of `total` by the planner's estimate; `rows_per_s`,
    and how far the slowest replica is behind. `paused`: why it does nothing now.
    """

    block: str
    done: int
    total: int | None = None
    rows_per_s: float | None = None
    lag_s: float | None = None
    paused: Sequence[str] = ()


class Rows(Part):
    """A frame of a snapshot: the keys of its columns, and its rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Snapshot(Part):
    """The state of the tables at one moment: its frames by name, or once the record is sealed the
    name of the `file` that holds them.
    """

    when: Literal["before", "after"]
    frames: Mapping[str, Rows] = {}
    file: str = ""


class PlanShown(Part):
    """What the run was going to do: as `plan.Plan` has it, whose `digest` an approval names, and
    the rehearsals of the same plan. `steps`: block, action and SQL of each, unless they are masked.
    """

    digest: str
    runbook: str = ""
    direction: str = ""
    target: Mapping[str, str] = {}
    steps: Sequence[Any] = ()
    files: Mapping[str, str] = {}
    facts: Mapping[str, str] = {}
    rehearsals: Sequence[str] = ()


class Card(Part):
    """How a run ended, and which. `plan`: its digest. `long_locks`: the locks that were held longer
    than `lock_timeout`, in words; `ledger_remark`: why the verdict may not be in the ledger.
    `put_aside`: how many rows of which block were, and the constraints that they break, in words.
    """

    verdict: Verdict
    reason: str = ""
    run: str = ""
    runbook: str = ""
    mode: str = ""
    target: str = ""
    database: str = ""
    schema_: str = Field("", alias="schema")
    ended_at: str = ""
    took_ms: float = 0.0
    plan: str = ""
    lock_timeout: str = ""
    long_locks: str = ""
    ledger_remark: str = ""
    put_aside: str = ""


class FleetShown(Part):
    """A fleet's run, of whose record no cell was run: the coordinator has written it. `list`: the
    digest of the list of targets. `approved`: of an approval of the set, `set`, `list` and
    `approver`. `waves` and `targets`: a row each, by the keys of their columns; a target's `record`
    is a path in the archive with its `sha256`.
    """

    fleet: str
    runbook: str = ""
    mode: str = ""
    run: str = ""
    resumes: str = ""
    list_: str = Field("", alias="list")
    approved: Mapping[str, str] = {}
    started_at: str = ""
    ended_at: str = ""
    waves: Rows | None = None
    targets: Rows | None = None


class Problems(Part):
    """What was wrong, of the error that ended a cell."""

    problems: Sequence[Problem]


class Noted(Part):
    """What the runner notes in the notebook's metadata, once it has ended: its verdict, and of
    which execution, by papermill's time of the start. `masked`: where something was. `worker`: the
    cells did not have a kernel of their own, but a process in which others had run before.
    """

    verdict: str = ""
    reason: str = ""
    run_id: str = ""
    start_time: str = ""
    masked: Sequence[str] = ()
    worker: bool = False
