"""What an auditor asks of a record, and what the record answers: each with the cell that proves
it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pgrunbook.durations import moment
from pgrunbook.records.archive import Seal
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.record import Block, Record, Row

_RAN = ("applied", "reverted")
NOT_SO_FAR = "The run did not get that far."
UNREADABLE = "This version of pgrunbook cannot read it in the record. See the notebook below."


class Answer(NamedTuple):
    """One of the twelve questions, its answer in a few sentences, and the id of the cell that shows
    it, or empty.
    """

    question: str
    text: str
    cell: str = ""


def answers(record: Record, seal: Seal | None, altered: Sequence[str] = ()) -> list[Answer]:
    """All twelve, in order. `altered`: which files are not as they were sealed; without a seal, the
    one that cannot be read.
    """
    slowest = _slowest(record)
    return [
        Answer("What changed?", _told(_changed, record), _cell(record, Kind.DIFFERENCE)),
        Answer(
            "Which SQL ran, exactly?",
            _told(_sql, record),
            next((b.cell for b in record.blocks if b.sql), ""),
        ),
        Answer("On which database?", _told(_database, record), _cell(record, Kind.IDENTITY)),
        Answer(
            "Who ran it, who approved it, under which ticket?",
            _told(_who, record),
            _cell(record, Kind.IDENTITY),
        ),
        Answer(
            "When, and how long did each step take?",
            _told(_when, record),
            slowest.cell if slowest else "",
        ),
        Answer(
            "Which locks were taken, and who waited?",
            _told(_locks, record),
            _cell(record, Kind.ATTEMPTS, Kind.LOCKS),
        ),
        Answer("Was it rehearsed?", _told(_rehearsed, record), record.plan_cell),
        Answer(
            "What was verified, with what evidence?",
            _told(_verified, record),
            _cell(record, Kind.VERIFICATION),
        ),
        Answer(
            "What failed, was retried or was skipped?", _told(_failed, record), _troubled(record)
        ),
        Answer(
            "Which versions of runbook, SQL and tool?",
            _told(_versions, record),
            _cell(record, Kind.SOURCES),
        ),
        Answer(
            "What was true before it started?",
            _told(_before, record),
            _cell(record, Kind.CIRCUMSTANCES),
        ),
        Answer("Has the record been altered since?", _sealed(seal, altered), ""),
    ]


def _told(answer: Callable[[Record], str], record: Record) -> str:
    """The answer; or that a record of another version says it in other words, which must not cost
    the other answers.
    """
    try:
        return answer(record)
    except (LookupError, TypeError, ValueError, AttributeError):
        return UNREADABLE


def _cell(record: Record, *kinds: str) -> str:
    """The cell of the last frame of the first kind that there is."""
    found = [frame for kind in kinds if (frame := record.last(kind))]
    return found[0].cell if found else ""


def _changed(record: Record) -> str:
    if record.last(Kind.DIFFERENCE) is None:
        done = [f"{block.event} {block.name}" for block in record.blocks if block.event in _RAN]
        at_work = _at_work(record)
        none = "No block is on record as applied." if at_work else "It had applied no block."
        text = f"It had {_listed(done)}." if done else none
        if begun := _begun(record):
            text += (
                f" {_listed(begun)} was begun; how much of it was committed, the top of the "
                "notebook says."
            )
        return f"{NOT_SO_FAR} {text}{at_work}"
    rows = record.rows(Kind.DIFFERENCE)
    mode = record.identity.get("mode", "")
    if not rows:
        return _UNCHANGED.get(mode, "Nothing: what the blocks make was there already.")
    counts = Counter((row["change"], row["kind"]) for row in rows)
    by_change = {
        change: [_counted(n, kind) for (c, kind), n in counts.items() if c == change]
        for change, _ in counts
    }
    tables = dict.fromkeys(row["table"] for row in rows if row["table"])
    what = "; ".join(f"{change}: {', '.join(kinds)}" for change, kinds in by_change.items())
    text = f"{_sentence(what)} In {_listed(list(tables))}." if tables else _sentence(what)
    return f"On the copy, not on the target: {text}" if mode == "rehearse" else text


_UNCHANGED = {
    "plan": "Nothing: a plan changes nothing.",
    "revert": "Nothing: no block was left to revert.",
}


def _begun(record: Record) -> list[str]:
    """Blocks that were at work when their cell was cut off or failed: anything may have come of
    them, or nothing.
    """
    cut = {cell.name for cell in record.cells if cell.state in (*_BROKEN_OFF, "running")}
    planned = record.identity.get("mode") == "plan"
    return [
        b.name for b in record.blocks if b.sql and not b.event and b.cell in cut and not planned
    ]


def _at_work(record: Record) -> str:
    """That a cell was running whose outputs are not in the record, as whoever ran it was killed, or
    is at work.
    """
    running = [
        cell.name for cell in record.cells if cell.kind == "code" and cell.state == "running"
    ]
    if not running or _begun(record) or record.identity.get("mode") == "plan":
        return ""
    return (
        f" Cell {running[0]} was running when this was written: what came of it, the ledger tells."
    )


def _sql(record: Record) -> str:
    begun = _begun(record)
    rest = f" Begun, and not ended: {_listed(begun)}." if begun else _at_work(record)
    ran = [block for block in record.blocks if block.event in _RAN]
    if not record.blocks:
        return f"{NOT_SO_FAR}{rest}"
    if not ran:
        return f"{'No block ended.' if begun else _none(record)}{rest}"
    statements = sum(len(block.statements) for block in ran)
    return (
        f"{_counted(len(ran), 'block')}, each shown with the SQL that was sent; "
        f"{_counted(statements, 'step')} timed."
        f"{rest}"
    )


def _none(record: Record) -> str:
    """Why no SQL ran."""
    if planned := [block.name for block in record.blocks if block.sql]:
        return f"None. To be run: {_listed(planned)}."
    return (
        "None: nothing was left to do."
        if record.card
        else "None is on record, and the run did not come to its end."
    )


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
    """Whether it was the one that the ledger was written on; records before version 5 of the ledger
    do not say.
    """
    return f" Server: {known['server'].splitlines()[0]}." if "server" in known else ""


def _who(record: Record) -> str:
    known = record.identity
    operator = known.get("operator") or record.parameters.get("operator") or "not known"
    role = f" as role {known['role']}{_SUPERUSER * known.get('superuser', False)}" if known else ""
    ticket = known.get("ticket") or record.parameters.get("ticket") or "none given"
    return f"{operator}{role}. Ticket: {ticket}. {_approval(record)}"


_SUPERUSER = " (superuser)"


def _approval(record: Record) -> str:
    known = record.identity if "approved_plan" in record.identity else record.parameters
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
    found = record.plan["rehearsals"]
    return (
        f"The same plan was, on {'; on '.join(found)}."
        if found
        else "No rehearsal of this plan is in the archive."
    )


def _when(record: Record) -> str:
    started = moment(record.started_at or record.identity.get("started_at", ""))
    if not started:
        return "papermill did not run it, and it does not say."
    block = _slowest(record)
    slowest = f" Longest block: {block.name}, {block.elapsed_ms:,.0f} ms." if block else ""
    ended = (
        "; when it ended is not on record" if record.unended else f", for {record.seconds:.1f} s"
    )
    return f"{started}{ended}.{slowest}"


def _slowest(record: Record) -> Block | None:
    return max(
        (b for b in record.blocks if b.event), key=lambda block: block.elapsed_ms, default=None
    )


def _locks(record: Record) -> str:
    held = [(lock, block) for block in record.blocks for lock in block.locks]
    text = "No lock on anything that existed before."
    if held:
        strongest = [pair for pair in held if pair[0]["lock"] == "ACCESS EXCLUSIVE"] or held
        lock, block = max(strongest, key=lambda pair: float(pair[0]["held_ms"]))
        text = (
            f"{_counted(len(held), 'lock')}; the longest of the strongest, which blocks "
            f"{lock['blocks']}: "
            f"{lock['lock']} on"
            f" {lock['relation']}, at most {lock['held_ms']:.0f} ms, in {block.name}."
        )
    rest = _at_work(record)
    if begun := _begun(record):
        rest = (
            f" What {_listed(begun)} held, and for whom it waited when it ended, may not be on "
            "record."
        )
    if rest and not held:
        text = "No lock is on record."
    return f"{text} {_waits(record)}{_waits_outside(record)}{rest}"


def _waits(record: Record) -> str:
    waited = [block for block in record.blocks if block.attempts]
    if not waited:
        return (
            "No wait is on record."
            if _begun(record) or _at_work(record)
            else "No block waited for a lock in a transaction."
        )
    named = [_wait(block) for block in waited]
    return f"It waited for locks: {'; '.join(named)}. Between its attempts nobody waited for it."


def _waits_outside(record: Record) -> str:
    """What is said of blocks outside a transaction: only their cells show for whom they waited."""
    names = [block.name for block in record.blocks if block.statements and not block.in_transaction]
    return f" For whom {_listed(names)} waited, outside a transaction, its cell shows." * bool(
        names
    )


def _wait(block: Block) -> str:
    attempts = len({row["attempt"] for row in block.attempts})
    blockers = dict.fromkeys(_blocker(row) for row in block.attempts if row["pid"])
    return (
        f"{block.name} in {_counted(attempts, 'attempt')}, for "
        f"{', '.join(blockers) or 'nobody that was seen'}"
    )


def _blocker(row: Row) -> str:
    return (
        f"{row['application'] or 'a session without a name'} (pid {row['pid']}, {row['role']}, "
        f"{row['state']})"
    )


def _verified(record: Record) -> str:
    before, after = record.rows(Kind.PRECONDITIONS), record.rows(Kind.VERIFICATION)
    if not before:
        return NOT_SO_FAR
    text = f"Preconditions: {_results(before)}."
    return (
        f"{text} Behaviour afterwards: {_results(after)}."
        if after
        else f"{text} Behaviour was not verified."
    )


def _results(rows: Sequence[Row]) -> str:
    return ", ".join(
        f"{n} {result}" for result, n in Counter(row["result"] for row in rows).items()
    )


def _failed(record: Record) -> str:
    cells = [f"cell {cell.name} {cell.state}" for cell in record.cells if cell.state in _BROKEN_OFF]
    running = [f"cell {cell.name} was running" for cell in record.cells if cell.state == "running"]
    never = [cell.name for cell in record.cells if cell.state == "pending"]
    others = Counter(block.action for block in record.blocks if block.action in ("skip", "adopt"))
    tried = [block.name for block in record.blocks if block.attempts]
    parts = [
        *cells,
        *running,
        *([f"{_counted(len(never), 'cell')} never ran"] if never else []),
        *([f"retried: {_listed(tried)}"] if tried else []),
        *(
            f"{'skipped' if action == 'skip' else 'adopted as it was'}: {_counted(n, 'block')}"
            for action, n in others.items()
        ),
    ]
    return _sentence("; ".join(parts)) if parts else "Nothing."


_BROKEN_OFF = ("failed", "interrupted")


def _troubled(record: Record) -> str:
    failed = [cell.name for cell in record.cells if cell.state in (*_BROKEN_OFF, "running")]
    return next(iter([*failed, *(block.cell for block in record.blocks if block.attempts)]), "")


def _versions(record: Record) -> str:
    if not record.sources:
        return NOT_SO_FAR
    notebook, digest = next(iter(record.sources.items()))
    versions = [
        f"{name} {version}" for name, version in record.identity.get("versions", {}).items()
    ]
    return (
        f"{', '.join(versions) or 'not known'}. {notebook} with SHA-256 {digest}, and"
        f" {_counted(len(record.sources) - 1, 'SQL file')}, each with its own."
    )


def _before(record: Record) -> str:
    rows = record.rows(Kind.CIRCUMSTANCES)
    if not rows:
        return NOT_SO_FAR
    return _sentence("; ".join(f"{row['what']}: {row['found']}" for row in rows))


def _sealed(seal: Seal | None, altered: Sequence[str]) -> str:
    if altered:
        number = (
            f"It was changed since it was sealed as number {seal.sequence} of the archive"
            if seal
            else ""
        )
        return (
            f"{number or 'Its seal cannot be read'}: {', '.join(altered)}. Do not rely on this "
            "page."
        )
    if seal is None:
        return "That cannot be told: the record is not sealed."
    signed = "signed" if seal.envelope.signatures else "not signed"
    return f"Sealed as number {seal.sequence} of the archive, {signed}. See below how to check it."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _counted(number: int, noun: str) -> str:
    plural = "indexes" if noun == "index" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
