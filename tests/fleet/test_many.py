"""A fleet of 250, and whatever kills its coordinator or its workers: nobody is changed twice, and
nobody is forgotten.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fleet.conftest import FLEET, RUNBOOK, Tenants
from support.projects import wait_for

pytestmark = [pytest.mark.many, pytest.mark.timeout(3000)]

KILLS = 30
_APPLIED = (
    "SELECT r.schema_name, count(*) FROM pgrunbook.blocks b JOIN pgrunbook.runs r USING (run_id)"
    " WHERE b.event = 'applied' GROUP BY 1"
)


def settings(tenants: Tenants, more: str = "") -> None:
    tenants.settings(
        'waves = ["crowd0_007, own9_000", "5%", "100%"]\nworkers = 4\nper_server = 3\n'
        f'failure_budget = ["50%"]\n{more}'
    )


def ended(tenants: Tenants, *arguments: str) -> None:
    """A command of the fleet that passes."""
    code = tenants.project.start("fleet", *arguments, "--fleet", FLEET).wait(1500)
    assert code == 0, tenants.fleet("status").text


def require_true(tenants: Tenants) -> None:
    """Every target was changed once, the record of the whole says so, and the archive is whole."""
    names = {row["name"] for row in tenants.rows}
    assert tenants.applied() == names
    times: dict[str, int] = {}
    for database in {each.name: each for each in tenants.databases.values()}.values():
        times |= dict(database.execute(_APPLIED))
    assert times == dict.fromkeys(names, 1)
    fleet = tenants.record().fleet["targets"]
    rows = [dict(zip(fleet["columns"], row, strict=True)) for row in fleet["rows"]]
    assert {row["name"] for row in rows} == names
    assert {row["state"] for row in rows} == {"passed"}
    done = tenants.project.command("archive", "verify")
    assert done.code == 0, done.text


def test_two_hundred_and_fifty(many: Tenants) -> None:
    settings(many)
    began = time.monotonic()
    ended(many, "run", "001")
    print(f"{(time.monotonic() - began) / 250:.3f} s a target")
    require_true(many)
    began = time.monotonic()
    ended(many, "plan", "001")
    print(f"{(time.monotonic() - began) / 250:.3f} s a plan")
    began = time.monotonic()
    ended(many, "drift")
    print(f"{(time.monotonic() - began) / 250:.3f} s a look for drift")


def test_kills_at_random(many: Tenants) -> None:
    settings(many)
    chance = random.Random(7)
    process = many.project.start("fleet", "run", "001", "--fleet", FLEET)
    for _ in range(KILLS):
        _wait_for_workers(process)
        time.sleep(chance.uniform(0, 6))
        workers = [*_workers(process.pid)]
        victim = chance.choice([process.pid, *workers])
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim == process.pid or process.poll() is not None:
            process.wait()
            process = _resumed(many)
    process.wait(1500)
    ended(many, "resume")
    require_true(many)


def _wait_for_workers(process: subprocess.Popen[bytes]) -> None:
    """What is killed before it has begun anything proves nothing."""
    wait_for(lambda: bool([*_workers(process.pid)]) or process.poll() is not None, 120)


def _resumed(tenants: Tenants) -> subprocess.Popen[bytes]:
    command = "resume" if [*_journals(tenants)] else "run"
    about = ["001"] if command == "run" else []
    return tenants.project.start("fleet", command, *about, "--fleet", FLEET)


def _journals(tenants: Tenants) -> Iterator[Path]:
    folder = tenants.project.root / "outputs" / FLEET / RUNBOOK
    return folder.glob("[!.]*.fleet.jsonl")


def _workers(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, tasks.read_text().split()):
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield child
