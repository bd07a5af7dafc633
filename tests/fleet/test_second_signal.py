"""How long a coordinator has after a second signal: its workers stop, and its record is written."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from pgrunbook import signals
from pgrunbook.fleet import executors
from pgrunbook.fleet.executors import Processes


def test_the_coordinator_outlives_the_workers_that_it_stops() -> None:
    workers_need_s = signals.STOPPING_S + signals.ENDING_S
    assert executors.ending_s(Processes(1)) >= workers_need_s + 5


def test_it_waits_for_no_worker_that_it_cannot_stop() -> None:
    with ThreadPoolExecutor() as elsewhere:
        assert executors.ending_s(elsewhere) == signals.ENDING_S


@pytest.mark.parametrize("seconds", [signals.ENDING_S, 60.0])
def test_the_process_ends_so_long_after_the_second_signal(seconds: float) -> None:
    with signals.as_before():
        signals.handle(lambda *_: None, ending_s=seconds)
        signal.raise_signal(signal.SIGINT)
        assert signals._received.last is None
        signal.raise_signal(signal.SIGTERM)
        assert signals._received.last is not None
        assert signals._received.last.interval == seconds
