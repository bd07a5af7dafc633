"""Attempts and pauses, with a clock of the test's own: nothing sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime

import psycopg
import pytest
import tenacity

from pgrunbook.applying import lock_waits
from pgrunbook.postgres import blockers
from pgrunbook.postgres.blockers import Attempt, Blocker

BLOCKER = Blocker(7, "report", "analyst", "idle in transaction", 61.0, "ACCESS SHARE", "SELECT $1")


class Clock:
    """Time that passes only when somebody sleeps or tries."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(tenacity.time, "monotonic", lambda: made.now)
    return made


class Locks:
    """An action that gets its locks at the n-th attempt, each attempt lasting as long as a
    lock_timeout.
    """

    LASTS_S = 0.15

    def __init__(
        self, clock: Clock, held: int, error: type[psycopg.Error] = psycopg.errors.LockNotAvailable
    ) -> None:
        self.clock, self.held, self.error, self.calls = clock, held, error, 0

    def __call__(self) -> str:
        self.calls += 1
        self.clock.now += self.LASTS_S
        if self.calls <= self.held:
            raise self.error("canceling statement due to lock timeout")
        return "done"


def retry(clock: Clock, action: Locks, attempts: list[Attempt], budget: str = "10s") -> str:
    return lock_waits.retry(
        action,
        block="010_x",
        budget=budget,
        watch=lambda: nullcontext([BLOCKER]),
        report=attempts.append,
        sleep=clock.sleep,
    )


def test_who_need_not_wait_has_nothing_to_report(clock: Clock) -> None:
    attempts: list[Attempt] = []
    assert retry(clock, Locks(clock, held=0), attempts) == "done"
    assert (attempts, clock.pauses) == ([], [])


@pytest.mark.parametrize(
    "error", [psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected]
)
def test_each_attempt_is_reported_and_the_last_says_that_it_got_them(
    clock: Clock, error: type[psycopg.Error]
) -> None:
    attempts: list[Attempt] = []
    retry(clock, Locks(clock, held=3, error=error), attempts)
    assert [(a.number, a.got_locks, a.block) for a in attempts] == [
        (1, False, "010_x"),
        (2, False, "010_x"),
        (3, False, "010_x"),
        (4, True, "010_x"),
    ]
    assert attempts[0].blockers == (BLOCKER,)


def test_pauses_grow_to_a_limit_with_something_at_random(clock: Clock) -> None:
    retry(clock, Locks(clock, held=12), [], budget="5min")
    assert lock_waits.FIRST_PAUSE_S <= clock.pauses[0] <= 2 * lock_waits.FIRST_PAUSE_S
    assert all(pause >= lock_waits.LONGEST_PAUSE_S for pause in clock.pauses[4:])
    assert all(
        pause <= lock_waits.LONGEST_PAUSE_S + lock_waits.FIRST_PAUSE_S for pause in clock.pauses
    )
    assert len(set(clock.pauses)) == len(clock.pauses)


def test_the_budget_ends_it_with_the_error_and_no_attempt_begins_after_it(clock: Clock) -> None:
    began = clock.now
    action = Locks(clock, held=1000)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        retry(clock, action, [], budget="10s")
    assert action.calls > 3
    assert clock.now - began <= 10 + Locks.LASTS_S


def test_another_error_is_not_tried_again(clock: Clock) -> None:
    action = Locks(clock, held=1, error=psycopg.errors.UndefinedTable)
    attempts: list[Attempt] = []
    with pytest.raises(psycopg.errors.UndefinedTable):
        retry(clock, action, attempts)
    assert (action.calls, attempts) == (1, [])  # nor is it an attempt that did not get its locks


def test_the_frame_has_a_row_for_each_blocker_and_attempt(clock: Clock) -> None:
    attempts: list[Attempt] = []
    retry(clock, Locks(clock, held=1), attempts)
    shown = lock_waits.frame(attempts)
    assert list(shown.index) == [1, 2]
    assert shown.loc[1, "application"] == "report"


def test_who_was_seen_last_is_told_though_the_attempts_behind_ended_too_soon_to_see_anybody() -> (
    None
):
    now = datetime.now(UTC)
    attempts = [
        Attempt("010_x", number, now, 150, got_locks=False, blockers=seen)
        for number, seen in enumerate([(), (BLOCKER,), ()], 1)
    ]
    assert blockers.last_seen(attempts) == (BLOCKER,)
    assert blockers.last_seen(attempts[:1]) == blockers.last_seen([]) == ()


def test_each_attempt_is_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pgrunbook")
    retry(clock, Locks(clock, held=1), [])
    first, second = caplog.messages
    assert "attempt 1 gave up after" in first
    assert "report" in first, "who was in the way"
    assert "attempt 2 has its locks" in second


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (
            "SELECT * FROM t WHERE name = 'secret' AND n = 42",
            "SELECT * FROM t WHERE name = $1 AND n = $2",
        ),
        ("UPDATE t SET a = $a$unfinished secre", "UPDATE …"),
        ("/* token=s3cret */ SELECT 1 -- s3cret", "SELECT $1"),
        ("COPY t FROM PROGRAM 'curl s3cret'", "COPY"),
        ("ALTER TABLE t ADD note text DEFAULT 's3cret'", "ALTER TABLE"),
        ("", " …"),
        ("select\n  1", "select $1"),
        ("BEGIN; SELECT * FROM t WHERE name = 'secret'", "BEGIN; SELECT * FROM t WHERE name = $1"),
        ("SELECT 1; ALTER ROLE r PASSWORD 's3cret'", "SELECT; ALTER ROLE"),
        ("COMMIT PREPARED 's3cret'", "COMMIT PREPARED"),
    ],
)
def test_a_blockers_query_is_shown_without_its_literals(query: str, shown: str) -> None:
    assert blockers._without_literals(query).strip() == shown.strip()


def test_a_long_query_is_cut() -> None:
    assert len(blockers._without_literals("SELECT " + ", ".join(["column_name"] * 50))) == 100
