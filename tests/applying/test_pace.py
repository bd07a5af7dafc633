"""How large batches become, and when a backfill pauses: by a clock that the test turns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgrunbook.applying.pace import Pace
from pgrunbook.errors import Refused
from pgrunbook.postgres.pressure import Pressure
from pgrunbook.runbooks.give_way import PressureLimits

CALM = Pressure(wal_bytes=1_000, dead_rows=0, live_rows=1_000_000, may_vacuum=True)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(clock: Clock, text: str = "", rows: int = 1_000, target_ms: float = 1_000) -> Pace:
    return Pace(PressureLimits.parse(text), rows, target_ms, lock_timeout_ms=150, now=clock)


def quiet(clock: Clock, text: str = "", rows: int = 1_000) -> Pace:
    """That of a table for which nobody has waited for long enough."""
    pace = paced(clock, text, rows)
    clock.now += 11
    return pace


def work(pace: Pace, row_ms: float, batches: int = 1) -> list[int]:
    """Batches that take so long for each row; the size of each."""
    sizes = []
    for _ in range(batches):
        sizes.append(pace.rows)
        pace.note_batch(pace.rows, pace.rows * row_ms)
    return sizes


def test_batches_come_to_take_the_time_that_was_asked_for() -> None:
    pace = quiet(Clock())
    sizes = work(pace, row_ms=0.1, batches=6)
    assert sizes == [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]
    work(pace, row_ms=1.0)
    assert pace.rows == 2_500  # not a tenth at once
    work(pace, row_ms=1.0, batches=2)
    assert pace.rows == 1_000


def test_what_was_written_of_a_range_does_not_count_for_its_size() -> None:
    """Rows that are filled already take hardly any time: the next range is to be larger."""
    pace = paced(Clock())
    pace.note_batch(1_000, 10.0)
    assert pace.rows == 2_000


def test_a_batch_with_fewer_rows_than_were_to_come_counts_for_these_alone() -> None:
    """As a row that breaks a constraint comes behind them."""
    pace = paced(Clock(), rows=10_000)
    pace.note_batch(10, 100.0)
    assert pace.rows == 2_500  # towards 100 rows, and not twice as many


def test_once_somebody_has_waited_batches_stay_shorter_than_lock_timeout() -> None:
    pace = quiet(Clock(), rows=10_000)
    work(pace, row_ms=0.1)
    pace.note_batch(10_000, 1_000, waiters_ms=30)
    assert pace.rows == 300  # 30 ms
    assert max(work(pace, row_ms=0.1, batches=5)) <= 300


def test_batches_are_short_until_nobody_has_waited_for_some_seconds() -> None:
    """Or whoever is the first to wait would wait for a large one."""
    clock = Clock()
    pace = paced(clock)
    assert max(work(pace, row_ms=0.01, batches=9)) == 3_000
    clock.now += 11
    assert work(pace, row_ms=0.01, batches=3) == [3_000, 6_000, 12_000]


def test_what_gave_way_is_tried_again_at_half_the_size_or_less() -> None:
    unknown = paced(Clock(), rows=10_000)
    unknown.note_gave_way(10_000)
    assert unknown.rows == 5_000
    known = quiet(Clock(), rows=10_000)
    work(known, row_ms=0.1)
    known.note_gave_way(10_000)
    assert known.rows == 300
    known.note_gave_way(4)  # there was no more of the table
    assert known.rows == 2
    for _ in range(20):
        known.note_gave_way(known.rows)
    assert known.rows == 1


def test_its_share_of_the_time_and_less_beside_a_vacuum() -> None:
    pace = paced(Clock(), "share 25%")
    pace.note_batch(1_000, 500)
    assert pace.rest_s == pytest.approx(1.5)
    whole = paced(Clock())
    whole.note_batch(1_000, 500)
    assert whole.rest_s == 0
    assert whole.pause(replace(CALM, vacuum="pid 7")) == []
    whole.note_batch(1_000, 500)
    assert whole.rest_s == pytest.approx(0.5)


def test_a_reason_to_pause_holds_until_it_is_at_half_its_limit() -> None:
    pace = paced(Clock(), "WAL archive 32")
    told = [pace.pause(replace(CALM, archive_files=n)) for n in (32, 33, 20, 16, 30)]
    assert [bool(reasons) for reasons in told] == [False, True, True, False, False]
    assert told[1] == ["33 files of WAL wait to be archived (limit 32)"]


def test_a_replica_that_stands_still_is_behind_by_our_own_clock() -> None:
    """The server's measure stands still with it."""
    clock = Clock()
    pace = paced(clock, "replication lag 5 s")
    at_first = replace(CALM, replica="b", replayed_bytes=1_000, replay_lag_s=0.01)
    assert pace.pause(at_first) == []
    assert pace.lag_s == 0
    clock.now += 4
    assert pace.pause(replace(at_first, wal_bytes=2_000)) == []
    assert pace.lag_s == pytest.approx(4)
    clock.now += 2
    (reason,) = pace.pause(replace(at_first, wal_bytes=2_000))
    assert reason == "replica b is 6.0 s behind (limit 5.0 s)"
    assert pace.pause(replace(at_first, wal_bytes=2_000, replayed_bytes=1_500))  # still 4 s
    clock.now += 1
    assert pace.pause(replace(at_first, wal_bytes=2_000, replayed_bytes=2_000)) == []


def test_dead_rows_are_vacuumed_in_time_and_not_again_where_that_was_of_no_use() -> None:
    clock = Clock()
    pace = paced(clock, "dead rows 20%")
    some, many = (replace(CALM, dead_rows=dead, live_rows=1_000_000) for dead in (230_000, 240_000))
    assert not pace.vacuum_is_due(some)
    assert pace.vacuum_is_due(many)
    assert pace.pause(many) == []  # 19%
    pace.rows = 10_000
    assert pace.vacuum_is_due(some)  # with the next batch it would be 19%
    pace.rows = 1_000
    pace.note_vacuum(100, CALM)
    assert pace.vacuum_is_due(many)
    pace.note_vacuum(100, many)
    assert not pace.vacuum_is_due(many)
    clock.now += 11
    assert pace.vacuum_is_due(many)
    assert not pace.vacuum_is_due(replace(many, vacuum="pid 7"))
    assert not pace.vacuum_is_due(replace(many, may_vacuum=False))
    assert not paced(clock, "vacuum no").vacuum_is_due(many)
    assert not pace.vacuum_is_due(replace(CALM, dead_rows=900, live_rows=100))  # few


def test_a_pause_for_dead_rows_says_what_they_wait_for() -> None:
    dead = replace(CALM, dead_rows=500_000)
    old = replace(dead, snapshot="pid 7 (report, ada)", snapshot_s=600)
    cases = {
        "kept by the snapshot of pid 7 (report, ada), for 10 min 0 s": ("", old),
        "a vacuum is at work: pid 9": ("", replace(old, vacuum="pid 9")),
        "autovacuum is waited for, as `vacuum no` says": ("vacuum no", dead),
        "as this role may not vacuum the table": ("", replace(dead, may_vacuum=False)),
    }
    for told, (text, pressure) in cases.items():
        (reason,) = paced(Clock(), text).pause(pressure)
        assert reason.startswith("33% of the rows are dead (limit 20%)")
        assert told in reason


def test_the_rate_is_that_of_the_last_batches_with_their_pauses() -> None:
    clock = Clock()
    pace = paced(clock)
    assert pace.rows_per_s is None
    for _ in range(3):
        pace.note_batch(500, 400)
        clock.now += 0.5
    assert pace.rows_per_s == pytest.approx(1_000)


def test_the_stricter_of_two_limits_holds_and_only_of_those_that_are_stated() -> None:
    block, target = "replication lag 60 s, share 50%", "replication lag 1min, share 80%, vacuum no"
    limits = PressureLimits.parse(block, target)
    assert limits == PressureLimits(lag_ms=60_000, share_percent=50, vacuum=False)
    assert PressureLimits.parse("") == PressureLimits()
    assert PressureLimits.parse(
        "logical slots 512 MB, WAL archive 4, dead rows 5 %"
    ) == PressureLimits(slot_bytes=2**29, archive_files=4, dead_percent=5)


def test_what_is_no_limit_is_named_all_of_it_with_what_may_stand_there() -> None:
    with pytest.raises(Refused) as refused:
        PressureLimits.parse(
            "replication lags 5 s, share 0%, vacuum maybe, WAL archive 1, WAL archive 2"
        )
    found = {problem.found: problem for problem in refused.value.problems}
    assert "did you mean replication lag?" in found["replication lags 5 s"].remedy
    assert found["share 0%"].expected == "share 50%"
    assert "vacuum no" in found["vacuum maybe"].expected
    assert any(problem.what == "states 'WAL archive' twice" for problem in found.values())
