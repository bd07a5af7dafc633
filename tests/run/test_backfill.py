"""A runbook with a block in batches, as its users run it: planned, rehearsed, applied in parts,
verified, reverted, and what its record shows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from support.databases import Database
from support.projects import PATIENCE_S, Outcome, Project, kernel_of, wait_for

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

RUNBOOK = "001_fill"
FILL = """\
-- title: Fill n
-- why: A test.
-- batch: t by id; 100 rows
UPDATE t SET n = n + 1 WHERE id > :from AND id <= :to;
"""
CHECK = """\
-- title: Nothing is left

-- check: every row is filled
DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM t WHERE n <> 1); END $$;
"""
SLOWLY = FILL.replace(" WHERE", " FROM (SELECT pg_sleep(0.1)) AS s WHERE")


class Filling:
    """The project, with the runbook in it, and a database with rows."""

    def __init__(self, project: Project, database: Database) -> None:
        self.project, self.database = project, database
        for other in (*project.root.glob("runbooks/0*"), *project.root.glob("sql/0*")):
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        assert project.command("new", "fill").code == 0
        self.sql = project.root / "sql" / RUNBOOK
        self.write("deploy", FILL)
        self.write("verify", CHECK)
        self.write("revert", FILL.replace("n + 1", "n - 1"))
        database.load(
            "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
            "INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t"
        )

    def write(self, kind: str, text: str) -> Path:
        path = self.sql / kind / "010_fill.sql"
        path.write_text(text)
        return path

    def __call__(self, *arguments: str) -> Outcome:
        self.project.env["CRM_URL"] = self.database.url
        return self.project.command("run", RUNBOOK, "--target", "env:CRM_URL", *arguments)

    def events(self) -> list[str]:
        found = self.database.execute("SELECT event FROM pgrunbook.blocks ORDER BY id")
        return [event for (event,) in found]


@pytest.fixture
def filling(project: Project, empty: Database) -> Filling:
    return Filling(project, empty)


def test_it_is_planned_rehearsed_applied_verified_and_reverted(filling: Filling) -> None:
    assert filling.project.command("lint").code == 0
    planned = filling("--mode", "plan")
    assert planned.code == 0, planned.text
    (told,) = [row for row in planned.cells.values() if "upto" in row]
    assert "1000" in told  # rows, all of which are to be changed
    assert "about 1 MB to 1 MB, by the size of the table" in " ".join(told.split())
    rehearsed = filling("--mode", "rehearse")
    assert rehearsed.code == 0, rehearsed.text
    assert filling.database.execute("SELECT to_regclass('pgrunbook.runs'), max(n) FROM t") == [
        (None, 0)
    ]
    done = filling()
    assert done.code == 0, done.text
    shown = "\n".join(done.cells.values())
    assert "id > :from AND id <= :to" in shown
    assert "The runs that have worked on it" in shown
    assert "its batches cover the key without a gap" in shown
    assert filling.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
    again = filling()
    assert (again.code, filling.events()) == (0, ["started", "applied"]), again.text
    looked = filling("--mode", "verify")
    assert looked.code == 0, looked.text
    reverted = filling("--mode", "revert")
    assert reverted.code == 0, reverted.text
    assert filling.database.execute("SELECT DISTINCT n FROM t") == [(0,)]
    assert filling.events() == ["started", "applied", "reverting", "reverted"]
    anew = filling("--mode", "plan")
    assert "bytes a row as seen here last" in " ".join(" ".join(anew.cells.values()).split())
    assert filling.database.execute("SELECT sum(rows) FROM pgrunbook.batches") == [(2000,)]
    anew = filling()
    assert anew.code == 0, anew.text
    assert filling.database.execute("SELECT DISTINCT n FROM t") == [(1,)]


def test_what_cannot_be_planned_fails_in_a_rehearsal(filling: Filling) -> None:
    filling.write("deploy", FILL.replace("n + 1", "nothing + 1"))
    done = filling("--mode", "rehearse")
    assert done.code == 1, done.text
    assert 'column "nothing" does not exist' in done.text


def test_rows_that_are_put_aside_are_told_by_the_verification(filling: Filling) -> None:
    filling.write(
        "deploy", FILL.replace("100 rows", "100 rows\n-- skip: rows that break a constraint")
    )
    (filling.sql / "verify" / "010_fill.sql").unlink()
    filling.database.execute("ALTER TABLE t ADD CONSTRAINT odd CHECK (n = 0 OR id NOT IN (7, 500))")
    done = filling()
    assert done.code == 0, done.text
    told = "2 rows are not: they break odd of public.t"
    assert told in "\n".join(done.cells.values())
    assert f"warning: 010_fill: {told}" in done.text
    (again,) = json.loads(filling("--json").text)
    assert told in again["put_aside"]


def test_until_ends_it_with_verdict_interrupted_and_it_stays_pending(filling: Filling) -> None:
    # a batch is twice as large as the one before: two runs are not enough for all
    filling.write("deploy", SLOWLY.replace("100 rows", "20 rows\n-- until: 300 ms"))
    done = filling()
    assert done.code == 3, done.text
    assert "is not done after 300 ms, as its header says" in done.text
    assert "run again: it goes on from there" in done.text
    assert done.notebook
    status = filling.project.command("status", "--target", "env:CRM_URL", RUNBOOK, "--json")
    (report,) = json.loads(status.text)
    assert [block["state"] for block in report["blocks"]] == ["started"]
    assert "up to id = " in report["blocks"][0]["far"]
    assert report["last_run"]["verdict"] == "interrupted"
    assert re.search(r"010_fill in part: \d+ batches, \d+ rows; the next run goes on", done.text)
    goes_on = filling()
    assert goes_on.code == 3, goes_on.text
    assert re.search(r"010_fill in part: \d+ batches, \d+ rows; the next run goes on", goes_on.text)
    filling.write("deploy", SLOWLY)
    last = filling.project.command("run", "--pending", "--target", "env:CRM_URL")
    before = {done.notebook, goes_on.notebook}
    (notebook,) = set(filling.project.root.glob("outputs/**/*.ipynb")) - before
    runs = filling.database.execute("SELECT DISTINCT run_id::text FROM pgrunbook.batches")
    assert len(runs) == 3  # one story: the record of the last names all
    assert all(run in notebook.read_text() for (run,) in runs)
    assert filling.database.execute("SELECT DISTINCT n FROM t") == [(1,)], last.text
    assert filling.events()[:2] == ["started", "applied"]


def test_one_that_is_not_done_can_be_reverted_and_begun_anew(filling: Filling) -> None:
    filling.write("deploy", SLOWLY.replace("100 rows", "100 rows\n-- until: 300 ms"))
    filling.write("revert", FILL.replace("n = n + 1", "n = 0").replace(" id >", " n = 1 AND id >"))
    project, database = filling.project, filling.database
    assert project.step(database, runbook=RUNBOOK).code == 3
    assert 0 < database.execute("SELECT count(*) FROM t WHERE n = 1")[0][0] < 1000
    reverted = project.step(database, "--mode", "revert", runbook=RUNBOOK)
    assert reverted.code == 0, reverted.text
    assert database.execute("SELECT DISTINCT n FROM t") == [(0,)]
    filling.write("deploy", FILL.replace("n + 1", "1 + n"))  # edited, which it may be now
    anew = project.step(database, runbook=RUNBOOK)
    assert anew.code == 0, anew.text
    assert database.execute("SELECT DISTINCT n FROM t") == [(1,)]
    assert filling.events() == ["started", "reverting", "reverted", "started", "applied"]


def test_a_revert_that_was_broken_off_goes_on(filling: Filling) -> None:
    project, database = filling.project, filling.database
    assert project.step(database, runbook=RUNBOOK).code == 0
    back = SLOWLY.replace("n + 1", "n - 1").replace("100 rows", "100 rows\n-- until: 300 ms")
    filling.write("revert", back)
    begun = project.step(database, "--mode", "revert", runbook=RUNBOOK)
    assert begun.code == 3, begun.text
    filling.write("revert", back.replace("300 ms", "1 h"))
    ended = project.step(database, "--mode", "revert", runbook=RUNBOOK)
    assert ended.code == 0, ended.text
    assert database.execute("SELECT DISTINCT n FROM t") == [(0,)]
    assert filling.events() == ["started", "applied", "reverting", "reverted"]


def test_status_says_why_it_pauses_while_it_does(filling: Filling) -> None:
    filling.write("deploy", SLOWLY.replace("100 rows", "10 rows").replace("0.1", "1"))
    project, database = filling.project, filling.database
    project.env["CRM_URL"] = database.url
    running = project.start("run", RUNBOOK, "--target", "env:CRM_URL")
    batches = "SELECT to_regclass('pgrunbook.batches') IS NOT NULL"
    wait_for(lambda: database.execute(batches) == [(True,)])
    wait_for(lambda: database.execute("SELECT count(*) > 0 FROM pgrunbook.batches")[0][0])
    database.load(
        "INSERT INTO pgrunbook.requests (run_id, what, operator, host, reason)"
        " SELECT run_id, 'pause', 'ada', 'here', 'lunch' FROM pgrunbook.runs"
    )

    def status() -> str:
        return project.command("status", "--target", "env:CRM_URL", RUNBOOK, "--json").text

    wait_for(lambda: database.execute("SELECT count(*) > 0 FROM pgrunbook.pauses")[0][0])
    said = json.loads(status())[0]["blocks"][0]["pauses"]
    assert re.match(r"pauses since \d\d:\d\d:\d\d UTC: pause asked for at .*: lunch$", said)
    text = " ".join(project.command("status", "--target", "env:CRM_URL", RUNBOOK).text.split())
    assert f"010_fill {said}" in text
    os.kill(kernel_of(running.pid), signal.SIGKILL)
    assert running.wait(30) == 3
    assert "pauses" not in json.loads(status())[0]["blocks"][0]


@pytest.mark.parametrize(
    "hit", [pytest.param("runner told to end", marks=pytest.mark.long), "kernel killed"]
)
def test_what_was_committed_stays_when_it_is_ended(filling: Filling, hit: str) -> None:
    filling.write("deploy", SLOWLY)
    filling.project.env["CRM_URL"] = filling.database.url
    running = filling.project.start("run", RUNBOOK, "--target", "env:CRM_URL")
    batches = "SELECT to_regclass('pgrunbook.batches') IS NOT NULL"
    wait_for(lambda: filling.database.execute(batches) == [(True,)])
    wait_for(lambda: filling.database.execute("SELECT count(*) > 1 FROM pgrunbook.batches")[0][0])
    if hit == "kernel killed":
        os.kill(kernel_of(running.pid), signal.SIGKILL)
    else:
        running.terminate()
    assert running.wait(PATIENCE_S) == 3
    ((changed, counted),) = filling.database.execute(
        "SELECT (SELECT count(*) FROM t WHERE n = 1), (SELECT sum(rows) FROM pgrunbook.batches)"
    )
    assert changed == counted < 1000
    done = filling()
    assert done.code == 0, done.text
    assert filling.database.execute("SELECT DISTINCT n FROM t") == [(1,)]
