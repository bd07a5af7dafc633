"""What must be true after each fault, whatever it was: the record, the ledger, the target, and the
run after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from faults.actions import Fault
from faults.record import Record
from faults.reference import LEDGER, SCHEMA, Reference
from faults.trial import Ended
from support.databases import Database

from pgrunbook.errors import Verdict

# A run whose server is gone can say no more than that it cannot tell.
_SILENCING = ("backend", "postmaster", "network")

Rows = Sequence[tuple[str, str, str]]


def rows(database: Database) -> Rows:
    """Run, block and event of each block that the ledger says is done, in order; none if there is
    no ledger.
    """
    if not _has_ledger(database):
        return []
    query = (
        "SELECT run_id::text, block, event FROM pgrunbook.blocks WHERE event <> 'started' "
        "ORDER BY id"
    )
    return [(run_id, block, event) for run_id, block, event in database.execute(query)]


def check_target(database: Database, reference: Reference) -> None:
    """I1: each block and its row are both there, or both absent. Blocks are in order, each at most
    once.
    """
    done = [block for _, block, _ in rows(database)]
    assert done == list(reference.blocks[: len(done)])
    found = database.dump(*SCHEMA)
    half = _half_done(database)
    # outside a transaction the block is there an instant before its row
    if found != reference.dumps[len(done)]:
        assert half[:1] == [reference.blocks[len(done)]], "the target is not what its ledger says"
        assert found == reference.dumps[len(done) + 1]
    invalid = database.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    )
    assert half or not invalid, f"an index that nobody knows of is not valid: {invalid}"


def check_ledger(database: Database, reference: Reference) -> None:
    """What the ledger says is true even if nobody corrected the notebook: I1, and no verdict too
    good.
    """
    check_target(database, reference)
    if _has_ledger(database) and database.execute(
        "SELECT 1 FROM pgrunbook.verdicts WHERE verdict = 'passed'"
    ):
        assert [block for _, block, _ in rows(database)] == list(reference.blocks)


def _has_ledger(database: Database) -> bool:
    return database.execute("SELECT to_regclass('pgrunbook.verdicts') IS NOT NULL") == [(True,)]


def _half_done(database: Database) -> list[str]:
    """The blocks that have started outside a transaction and are not done."""
    if not _has_ledger(database):
        return []
    query = "SELECT block FROM pgrunbook.blocks GROUP BY block HAVING bool_and(event = 'started')"
    return [block for (block,) in database.execute(query)]


def _begun_by(ended: Ended, database: Database) -> list[tuple[str, str]]:
    """The blocks that the run has begun, in order, each with its last event, or that it is there in
    part.
    """
    if not _has_ledger(database):
        return []
    query = "SELECT block, event FROM pgrunbook.blocks WHERE run_id = %s ORDER BY id"
    last: dict[str, str] = dict(database.execute(query, [ended.run_id]))
    return [(block, "in part" if event == "started" else event) for block, event in last.items()]


def check_record(ended: Ended, fault: Fault, database: Database, reference: Reference) -> None:
    """Exit code and notebook tell the truth; what the notebook says was committed is what the
    ledger says.
    """
    own = _begun_by(ended, database)
    complete = {block for _, block, _ in rows(database)} == {*reference.blocks}
    assert ended.code in fault.codes, ended.text
    record = ended.record
    passed = record is not None and record.says_passed
    assert passed == (ended.code == 0), ended.text
    assert complete or not passed, "passed, and the ledger lacks blocks"
    if record is None:
        return
    _check_states(record)
    assert "<frozen runpy>" not in ended.text, f"a traceback in place of a reason: {ended.text}"
    assert {*record.shown} <= {*own}, "a cell shows what the ledger does not have"
    if record.verdict is None:  # whoever could have written it was killed, or had no room
        assert fault.name in ("runner", "disk")
        return
    assert Verdict(record.verdict).exit_code == ended.code
    assert not own or not re.search(
        "nothing was (changed|committed)", ended.text + record.banner
    ), record.banner
    if record.committed is None:
        assert fault.name in _SILENCING, record.banner
    else:
        assert record.committed == own, record.banner
        _check_ledger_verdict(ended, record.verdict, database)


def _check_states(record: Record) -> None:
    """Cells are completed up to one that is not, and pending after it."""
    states = [state for _, state, _ in record.states]
    first = next((n for n, state in enumerate(states) if state != "completed"), len(states))
    assert {*states[first + 1 :]} <= {"pending"}, states
    for name, state, ran in record.states:
        assert ran or state != "completed", f"{name} never ran and is completed"
        assert not ran or state != "pending", f"{name} ran and is pending"


def _check_ledger_verdict(ended: Ended, verdict: str, database: Database) -> None:
    """The ledger's verdict, if the run came to write one, is the notebook's."""
    if _has_ledger(database):
        query = "SELECT verdict FROM pgrunbook.verdicts WHERE run_id = %s"
        assert {v for (v,) in database.execute(query, [ended.run_id])} <= {verdict}


def check_finished(ended: Ended, database: Database, reference: Reference) -> None:
    """The run after the fault has passed, and nothing shows any more that there was one, but in the
    ledger's rows.
    """
    assert ended.code == 0, ended.text
    assert ended.record
    assert ended.record.says_passed
    assert [block for _, block, _ in rows(database)] == list(reference.blocks)
    assert database.dump(*SCHEMA) == reference.dumps[-1]
    assert database.dump(*LEDGER) == reference.ledger
    assert not _half_done(database)
    open_ = database.execute(
        "SELECT run_id FROM pgrunbook.runs r WHERE NOT EXISTS"
        " (SELECT FROM pgrunbook.verdicts v WHERE v.run_id = r.run_id)"
    )
    assert not open_, "a run that died has no verdict"
    check_target(database, reference)


def told(ended: Ended, block: str, database: Database) -> str:
    """For the table: what the record said, and whether the block was committed by that run."""
    committed = any(run_id == ended.run_id and name == block for run_id, name, _ in rows(database))
    verdict = (ended.record.verdict if ended.record else None) or "no verdict"
    return f"{verdict} ({ended.code}), {'committed' if committed else 'not committed'}"
