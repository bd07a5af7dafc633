"""Answers an auditor's questions from a record, each with the cell that proves the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pgrunbook.durations import moment
from pgrunbook.records import fleet_answers, row_words
from pgrunbook.records.backfill_answers import how_fast
from pgrunbook.records.changes_answer import NOT_SO_FAR, RAN, changes
from pgrunbook.records.failure import what_failed, where_it_failed
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.locks_answer import locks
from pgrunbook.records.malformed_notebook import MALFORMED
from pgrunbook.records.questions import Question
from pgrunbook.records.record import Record
from pgrunbook.records.seal import Seal
from pgrunbook.records.shown import Row, ShownBlock
from pgrunbook.records.unfinished_cells import begun_blocks, cell_at_work
from pgrunbook.records.words import counted, listed, sentence, tally

UNREADABLE = "This version of pgrunbook cannot read it in the record. See the notebook below."


class Answer(NamedTuple):
    """An answer in a few sentences, and the id of the cell that shows it, or empty."""

    question: Question
    text: str
    cell: str = ""


def answers(record: Record, seal: Seal | None, altered: Sequence[str] = ()) -> list[Answer]:
    """Return the answer to each question, in order.

    `altered` are the files that are not as they were sealed; without a seal, the one that cannot be
    read.
    """
    found = _of_fleet(record, seal) if record.fleet else _of_run(record)
    return [*found, Answer(Question.ALTERED, _sealed(seal, altered))]


def _of_run(record: Record) -> Iterator[Answer]:
    identity = _cell(record, Kind.IDENTITY)
    with_sql = next((block.cell for block in record.blocks if block.sql), "")
    slowest = _slowest(record)
    took_longest = slowest.cell if slowest else ""
    lock_cell = _cell(record, Kind.ATTEMPTS, Kind.LOCKS)
    # each question with what answers it, and the cell that shows it
    for question, answer, cell in (
        (Question.CHANGED, changes, _cell(record, Kind.DIFFERENCE, Kind.EFFECT)),
        (Question.SQL, _sql, with_sql),
        (Question.DATABASE, _database, identity),
        (Question.WHO, _who, identity),
        (Question.WHEN, _when, took_longest),
        (Question.LOCKS, locks, lock_cell),
        (Question.AT_RISK, _at_risk, _cell(record, Kind.HAZARDS)),
        (Question.REHEARSED, _rehearsed, record.plan_cell),
        (Question.VERIFIED, _verified, _cell(record, Kind.VERIFICATION)),
        (Question.FAILED, what_failed, where_it_failed(record)),
        (Question.VERSIONS, _versions, _cell(record, Kind.SOURCES)),
        (Question.BEFORE, _before, _cell(record, Kind.CIRCUMSTANCES)),
    ):
        yield Answer(question, _try_answer(answer, record), cell)


def _of_fleet(record: Record, seal: Seal | None) -> Iterator[Answer]:
    found = fleet_answers.answers(record, seal.says if seal else "")
    for question, text in found.items():
        yield Answer(question, text, "targets")


def _cell(record: Record, *kinds: str) -> str:
    """Return the cell of the last frame of the first kind that the record has."""
    for kind in kinds:
        if frame := record.last(kind):
            return frame.cell
    return ""


def _try_answer(answer: Callable[[Record], str], record: Record) -> str:
    """Return the answer of a function; UNREADABLE if the record is not as it expects. A record of
    another version keeps its other answers.
    """
    try:
        return answer(record)
    except MALFORMED:
        return UNREADABLE


def _sql(record: Record) -> str:
    ran = [block for block in record.blocks if block.event in RAN]
    none, rest = _why_none(record), cell_at_work(record)
    if begun := begun_blocks(record):
        none, rest = "No block ended.", f" Begun, and not ended: {listed(begun)}."
    if not record.blocks:
        return f"{NOT_SO_FAR}{rest}"
    if not ran:
        return f"{none}{rest}"
    text = f"{counted(len(ran), 'block')}, each shown with the SQL that was sent"
    if steps := sum(len(block.statements) for block in ran):
        text += f"; {counted(steps, 'step')} timed"
    return f"{text}.{rest}"


def _why_none(record: Record) -> str:
    """Return why no SQL ran."""
    if planned := [block.name for block in record.blocks if block.sql]:
        return f"None. To be run: {listed(planned)}."
    if record.card:
        return "None: nothing was left to do."
    return "None is on record, and the run did not come to its end."


def _database(record: Record) -> str:
    known = record.identity
    if not known:
        return (
            f"{NOT_SO_FAR} The target was called {record.parameters.get('target', 'embedded')!r}."
        )
    return (
        f"{known['database']} on {known['host']}, schema {known['schema']}; PostgreSQL "
        f"{known['server_version']}, {known['recovery']}, system identifier "
        f"{known['system_identifier']}.{_server(known)}"
    )


def _server(known: Mapping[str, str]) -> str:
    """Return whether it was the server that the ledger was written on. Records from before version
    5 of the ledger do not say.
    """
    if "server" not in known:
        return ""
    return f" Server: {known['server'].splitlines()[0]}."


def _who(record: Record) -> str:
    known = record.identity
    operator = known.get("operator") or record.parameters.get("operator") or "not known"
    if known:
        operator += f" as role {known['role']}"
    if known.get("superuser"):
        operator += " (superuser)"
    ticket = known.get("ticket") or record.parameters.get("ticket") or "none given"
    return f"{operator}. Ticket: {ticket}. {_approval(record)}"


def _approval(record: Record) -> str:
    known = record.identity
    if "approved_plan" not in known:  # it did not get so far
        known = record.parameters
    if not (plan := known.get("approved_plan")):
        return "No approved plan was given."
    approver = known.get("approver") or "nobody who is named"
    return f"Approved: plan {plan} by {approver}. Another plan would have been refused."


def _rehearsed(record: Record) -> str:
    if record.identity.get("mode") == "rehearse":
        return (
            f"This is a rehearsal, on {record.identity['rehearsed_on']}. The target was only read."
        )
    if not record.plan:
        return "Nothing was to be done." if record.last(Kind.PRECONDITIONS) else NOT_SO_FAR
    if found := record.plan["rehearsals"]:
        return f"The same plan was, on {'; on '.join(found)}."
    return "No rehearsal of this plan is in the archive."


def _at_risk(record: Record) -> str:
    """Return the hazards that the plan named before anything ran. Old records have none."""
    frame = record.last(Kind.HAZARDS)
    if frame is None:
        return "The record does not say." if record.last(Kind.PRECONDITIONS) else NOT_SO_FAR
    if not frame.rows:
        return "Nothing: no hazard was found in what was to run."
    lines = [row_words.hazard(row) for row in frame.rows[:_FEW_RISKS]]
    more = len(frame.rows) - len(lines)
    rest = f" And {more} more, which the cell shows." if more > 0 else ""
    return f"{'. '.join(lines)}.{rest}"


_FEW_RISKS = 5


def _when(record: Record) -> str:
    started = moment(record.started_at or record.identity.get("started_at", ""))
    if not started:
        return "papermill did not run it, and it does not say."
    ended = f", for {record.seconds:.1f} s"
    if record.unended:
        ended = "; when it ended is not on record"
    text = f"{started}{ended}."
    if block := _slowest(record):
        text += f" Longest block: {block.name}, {block.elapsed_ms:,.0f} ms."
    return f"{text}{how_fast(record)}"


def _slowest(record: Record) -> ShownBlock | None:
    done = [block for block in record.blocks if block.event]
    return max(done, key=lambda block: block.elapsed_ms, default=None)


def _verified(record: Record) -> str:
    before, after = record.rows(Kind.PRECONDITIONS), record.rows(Kind.VERIFICATION)
    if not before:
        return NOT_SO_FAR
    text = f"Preconditions: {_count_results(before)}."
    if not after:
        return f"{text} Behaviour was not verified."
    return f"{text} Behaviour afterwards: {_count_results(after)}."


def _count_results(rows: Sequence[Row]) -> str:
    counts = Counter(row["result"] for row in rows)
    return tally(counts)


def _versions(record: Record) -> str:
    if not record.sources:
        return NOT_SO_FAR
    notebook, digest = next(iter(record.sources.items()))
    versions = record.identity.get("versions", {})
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{tools or 'not known'}. {notebook} with SHA-256 {digest}, and"
        f" {counted(len(record.sources) - 1, 'SQL file')}, each with its own."
    )


def _before(record: Record) -> str:
    rows = record.rows(Kind.CIRCUMSTANCES)
    if not rows:
        return NOT_SO_FAR
    return sentence("; ".join(f"{row['what']}: {row['found']}" for row in rows))


def _sealed(seal: Seal | None, altered: Sequence[str]) -> str:
    if altered:
        what = "Its seal cannot be read"
        if seal:
            what = f"It was changed since it was sealed as number {seal.sequence} of the archive"
        return f"{what}: {', '.join(altered)}. Do not rely on this page."
    if seal is None:
        return "That cannot be told: the record is not sealed."
    signed = "signed" if seal.envelope.signatures else "not signed"
    return f"Sealed as number {seal.sequence} of the archive, {signed}. See below how to check it."
