"""The parts of a record that programs read, with the keys of each. The keys stay: see
docs/record-format.md.

A part has only the keys whose value is known. Times are ISO 8601 in UTC, durations milliseconds,
digests SHA-256 in hexadecimal.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pgrunbook.errors import Problem, Verdict


class Part(BaseModel):
    """A part of a record. Keys that are not known are ignored: a later version may have added
    them.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        serialize_by_alias=True,
        defer_build=True,
    )

    def said(self) -> dict[str, Any]:
        """Return its keys with JSON values, those that are known."""
        return self.model_dump(mode="json", exclude_unset=True)


class IdentityCard(Part):
    """The identity card: which server and database answered, and which run it was.

    - `host`: address and port, or `local socket`. `recovery`: `primary` or `standby`.
    - `server`: in words, how the server is known, and whether the ledger was written on it.
    - `given`: the parameters that do not have their default.
    - `ticket`, `approved_plan`: empty if none was given.
    - `versions`: by program.
    - `rehearsed_on`: the copy of a rehearsal; `not_copied`: what the copy lacks.
    - `planned_after`: the pending runbooks whose blocks the copy had already, of a rehearsal or a
      plan.
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
    """A frame that a cell shows: its `columns`, those of the index first, and its `rows`.

    - `block`, `table`: what it is about.
    - `files`, of the kind `sources`: the digest of each file by its path from the project's root.
    - `target`, of the kind `identity`: the identity card, in place of rows.
    - `code`, of the kind `preconditions`: the digest of the notebook's code by its path, and of the
      modules of the project that it imports.
    - `cells`, of the kind `preconditions`: the runbook's cells, each with id, kind and digest.
    - `mode`, of the kind `hazards`: the mode of the run.
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
    """The kinds of frames, each with its columns."""

    columns: tuple[str, ...]

    def __new__(cls, name: str, columns: str) -> Kind:
        """Make a kind with these columns, which are separated by blanks."""
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
    # of a plan: what the blocks change on a copy without rows
    FORESEEN = "foreseen", "block object change what"
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
    """What was decided about a block.

    - `action`: apply, complete, adopt, skip, revert or refuse.
    - `sql`: what is to run; empty if nothing is.
    - `makes`: what the block makes, by the names in its SQL: lists of kind, table, name and value.
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
    """How far a backfill has come.

    - `done`: rows. `total`: rows in all, by the planner's estimate; None without one.
    - `lag_s`: how far the slowest replica is behind, in seconds; None if none is seen.
    - `paused`: why it does nothing now.
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
    """The state of the tables at one moment: its frames by name. Once the record is sealed they are
    in a `file` beside it.
    """

    when: Literal["before", "after"]
    frames: Mapping[str, Rows] = {}
    file: str = ""


class PlanShown(Part):
    """What the run was going to do: the fields of `plan.Plan` with its `digest`, which an approval
    names; and the rehearsals of the same plan. `steps`: block, action and SQL of each.
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
    """The verdict card: how a run ended, and which run it was.

    - `plan`: the digest of its plan.
    - `long_locks`: the locks that were held longer than `lock_timeout`, in words.
    - `ledger_remark`: why the verdict may not be in the ledger.
    - `put_aside`: the rows that backfills have put aside: how many, of which block, and which
      constraints they break, in words.
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
    """A fleet's run. Its coordinator has written the record: no cell of it was run.

    - `resumes`: the id of the run that it goes on with.
    - `list`: the digest of the list of targets.
    - `approved`: the approval of a set: `set`, `list` and `approver`.
    - `waves`, `targets`: a row each. The `record` of a target is a path in the archive, `sha256`
      the digest of the file.
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
    """The problems of the error that ended a cell."""

    problems: Sequence[Problem]


class Noted(Part):
    """What the runner notes in the notebook's metadata once it has ended.

    - `start_time`: papermill's start of the execution that this is about.
    - `masked`: the places where something was masked.
    - `worker`: the cells ran without a kernel, in a process in which others had run before.
    """

    verdict: str = ""
    reason: str = ""
    run_id: str = ""
    start_time: str = ""
    masked: Sequence[str] = ()
    worker: bool = False
