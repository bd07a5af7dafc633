"""One worker, one target after another: each run as in a kernel, and nothing of it reaches the next
one.
"""

from __future__ import annotations

import builtins
import decimal
import gc
import json
import locale
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from IPython.core.interactiveshell import InteractiveShell
from psycopg.pq import Format
from support.databases import Database
from support.projects import PATIENCE_S, Project

from pgrunbook import signals
from pgrunbook.errors import Verdict
from pgrunbook.records.format.parts import Kind
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.record import Record
from pgrunbook.runbooks.project import Project as Files
from pgrunbook.runner.shell import Shell
from pgrunbook.runner.warm import WarmWorker

pytestmark = [
    pytest.mark.usefixtures("server"),
    pytest.mark.parametrize("server", [18], indirect=True),
]

RUNBOOK = "003_tenants"
SCHEMAS = [f"tenant_{number}" for number in range(4)]

Run = Callable[..., tuple[Path | None, Ending]]


@pytest.fixture
def tenants(project: Project, empty: Database, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a runbook of two blocks, between which a cell does as its parameter `act`
    says; and a database with a schema for each tenant.
    """
    assert project.command("new", "tenants").code == 0
    deploy = project.root / "sql" / RUNBOOK / "deploy"
    (deploy / "020_phone.sql").write_text("ALTER TABLE customers ADD COLUMN phone text;\n")
    notebook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    notebook.write_text(json.dumps(acting(json.loads(notebook.read_text()))))
    for schema in SCHEMAS:
        empty.load(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.customers (id int)")
    monkeypatch.setenv("CRM_URL", empty.url)
    project.env["CRM_URL"] = empty.url
    return project


def acting(notebook: dict[str, Any]) -> dict[str, Any]:
    cells = notebook["cells"]
    (place,) = [n for n, c in enumerate(cells) if "".join(c["source"]).startswith("run.apply(")]
    blank = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells[place : place + 1] = [
        blank | {"id": name, "source": [source]}
        for name, source in [
            ("first", 'run.apply("010_tenants")'),
            ("act", "exec(act)"),
            ("second", 'run.apply("020_phone")'),
        ]
    ]
    for cell in cells:
        if "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = [*cell["source"], '\nact = ""']
    return notebook


@pytest.fixture(autouse=True)
def no_other_shell() -> Iterator[None]:
    """A worker is a process of its own; here, other tests have a shell, too."""
    InteractiveShell.clear_instance()
    yield
    Shell.clear_instance()


@pytest.fixture
def run(tenants: Project) -> Run:
    """`run(schema, act="…")`: in a worker that all runs of the test have."""
    files = Files.find(tenants.root)
    worker = WarmWorker(files, files.runbook(RUNBOOK))

    def run(schema: str, act: str = "", **options: Any) -> tuple[Path | None, Ending]:
        given = {"schema": schema, "act": act}
        return worker.run("env:CRM_URL", given, str(uuid.uuid4()), **options)

    return run


def states(notebook: Path | None) -> dict[str, str]:
    """What became of each code cell, by its id."""
    assert notebook
    cells = json.loads(notebook.read_text())["cells"]
    return {c["id"]: c["metadata"]["papermill"]["status"] for c in cells if "outputs" in c}


def shape(notebook: Path) -> Any:
    """All of an executed notebook that says nothing of when and where."""
    made = json.loads(notebook.read_text())
    cells = [
        (
            c["cell_type"],
            c.get("execution_count"),
            sorted(c["metadata"]),
            sorted(c["metadata"].get("execution", ())),
            [(o["output_type"], sorted(o.get("data", ()))) for o in c.get("outputs", ())],
        )
        for c in made["cells"]
    ]
    known = {name: sorted(value) for name, value in made["metadata"].items()}
    return cells, known, made["metadata"]["language_info"]


def test_the_record_is_that_of_a_kernel(tenants: Project, run: Run) -> None:
    in_kernel = tenants.command(
        "run", RUNBOOK, "--target", "env:CRM_URL", "-p", "schema", SCHEMAS[0], kernel=True
    )
    assert in_kernel.code == 0, in_kernel.text
    assert in_kernel.notebook
    path, ending = run(SCHEMAS[1])
    assert ending.verdict is Verdict.PASSED, ending.text
    assert path
    assert path.parent == tenants.root / "outputs" / "env-CRM_URL" / SCHEMAS[1] / RUNBOOK
    noted = json.loads(path.read_text())["metadata"]["pgrunbook"]
    assert noted.pop("worker") is True
    assert (
        noted.keys() == json.loads(in_kernel.notebook.read_text())["metadata"]["pgrunbook"].keys()
    )
    ours, theirs = shape(path), shape(in_kernel.notebook)
    ours[1]["pgrunbook"].remove("worker")
    assert ours == theirs
    assert run(SCHEMAS[0])[1].reason.endswith("nothing was left to do")
    checked = tenants.command("archive", "verify", "--target", "env:CRM_URL")
    assert checked.code == 0, checked.text
    assert tenants.command("archive", "site").code == 0


def test_what_a_cell_prints_is_in_its_own_outputs(run: Run) -> None:
    """Whether it shows something else after that or not."""
    path, _ = run(SCHEMAS[0], act="import sys; print('said'); print('aside', file=sys.stderr)")
    assert path
    outputs = {c["id"]: c.get("outputs") for c in json.loads(path.read_text())["cells"]}
    assert [each["text"] for each in outputs["act"]] == ["said\n", "aside\n"]
    assert [each for each in outputs["second"] if each["output_type"] == "stream"] == []


def test_what_a_runner_tells_its_terminal_is_no_output_of_a_cell(
    tenants: Project, run: Run
) -> None:
    """Such as what a block drops, before it runs."""
    block = tenants.root / "sql" / RUNBOOK / "deploy" / "020_phone.sql"
    block.write_text("ALTER TABLE customers DROP COLUMN id;\n")
    path, ending = run(SCHEMAS[0])
    assert path
    assert ending.verdict is Verdict.PASSED, ending.text
    outputs = [o for c in json.loads(path.read_text())["cells"] for o in c.get("outputs", ())]
    assert [each for each in outputs if each["output_type"] == "stream"] == []


def test_a_thread_of_its_own_will_do(run: Run) -> None:
    """Such as workers of other libraries have. Only the main one can be told to stop a cell."""
    with ThreadPoolExecutor(1) as pool:
        ended = [pool.submit(run, schema).result()[1] for schema in SCHEMAS[:2]]
    assert [ending.verdict for ending in ended] == [Verdict.PASSED] * 2, ended


ENDINGS = {
    "raise": ("raise ValueError('no')", Verdict.FAILED, "ValueError: no"),
    "exit": ("import sys; sys.exit(0)", Verdict.FAILED, "a cell ended the kernel"),
    "quit": ("get_ipython().ask_exit()", Verdict.INTERRUPTED, "the kernel died"),
    "hang": ("import time; time.sleep(60)", Verdict.INTERRUPTED, "the cell ran into its timeout"),
    "wait": (
        "import psycopg, os; psycopg.connect(os.environ['CRM_URL']).execute('SELECT pg_sleep(60)')",
        Verdict.INTERRUPTED,
        "the cell ran into its timeout",
    ),
    "signal": (
        "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
        Verdict.INTERRUPTED,
        "stopped by a signal",
    ),
    "refused": (
        "import pgrunbook; raise pgrunbook.Refused('not today')",
        Verdict.FAILED,
        "after 010_tenants was applied: not today",
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_run_that_ends_in_the_middle_ends_alone(
    tenants: Project, run: Run, empty: Database, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a busy machine may need longer, and the process that is ended then is that of all tests
    monkeypatch.setattr(signals, "STOPPING_S", 60)
    act, verdict, reason = ENDINGS[how]
    options = {"cell_timeout_s": 2} if how in ("hang", "wait") else {}
    path, ending = run(SCHEMAS[0], act, **options)
    assert (ending.verdict, ending.reason) == (verdict, reason), ending.text
    found = states(path)
    assert found["first"] == "completed"
    assert found["second"] == "pending"
    ours = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'pgrunbook %'"
    assert empty.execute(ours) == []
    assert empty.execute("SELECT block FROM pgrunbook.blocks") == [("010_tenants",)]
    assert run(SCHEMAS[1])[1].verdict is Verdict.PASSED
    again = run(SCHEMAS[0])[1]
    assert again.verdict is Verdict.PASSED, again.text
    checked = tenants.command("archive", "verify", "--target", "env:CRM_URL")
    assert checked.code == 0, checked.text


LEAVING = """
import builtins, decimal, gc, locale, logging, os, pandas, psycopg, signal, socket, sys, warnings
from psycopg.types.string import TextLoader
os.chdir("/")
os.environ["PGRUNBOOK_ROOT"] = os.environ["STRAY"] = "elsewhere"
os.environ.pop("CRM_URL", None)
sys.path.insert(0, "/stray")
sys.excepthook = sys.displayhook = print
warnings.simplefilter("error")
logging.disable(logging.CRITICAL)
logging.getLogger("pgrunbook").addHandler(logging.NullHandler())
logging.getLogger("stray").setLevel(logging.DEBUG)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
pandas.set_option("display.max_rows", 1)
pandas.set_option("mode.sim_interactive", True)
builtins.stray = 1; decimal.getcontext().prec = 3; gc.disable(); os.umask(0o77)
locale.setlocale(locale.LC_NUMERIC, "C.UTF-8"); socket.setdefaulttimeout(3.5); sys.setrecursionlimit(2345)
psycopg.adapters.register_loader("int4", TextLoader); psycopg.adapters.types.clear()
get_ipython().display_formatter.formatters["text/plain"].for_type(str, lambda *_: "stray")
stray = run._sessions.work
stray.execute("BEGIN"); stray.execute("CREATE TABLE " + run.parameters.schema_ + ".stray ()")
raise ValueError("stray behind")
"""


INT4 = psycopg.adapters.types["int4"].oid


def around() -> list[Any]:
    """What of this process cells may change."""
    log = logging.getLogger("pgrunbook")
    handlers = [signal.getsignal(n) for n in (signal.SIGUSR1, signal.SIGALRM, signal.SIGTERM)]
    hooks = [sys.excepthook, sys.displayhook, sys.stdout, sys.modules["__main__"]]
    logs = [log.handlers[:], logging.root.manager.disable, logging.getLogger("stray").level]
    lists = [sys.path[:], warnings.filters[:], dict(os.environ), Path.cwd(), vars(builtins).copy()]
    os.umask(umask := os.umask(0))
    values = [decimal.getcontext().prec, gc.isenabled(), umask, locale.setlocale(locale.LC_ALL)]
    values += [socket.getdefaulttimeout(), sys.getrecursionlimit(), len([*psycopg.adapters.types])]
    values += [psycopg.adapters.get_loader(INT4, Format.TEXT), pd.get_option("display.max_rows")]
    values += [pd.get_option("mode.sim_interactive")]
    return [handlers, hooks, logs, lists, values, threading.active_count()]


def test_nothing_that_cells_leave_behind_reaches_the_next_target(run: Run, empty: Database) -> None:
    run(SCHEMAS[0])  # what is imported the first time changes some of it
    before = around()
    _, ending = run(SCHEMAS[1], LEAVING)
    assert ending.reason == "ValueError: stray behind", ending.text
    assert around() == before
    assert empty.execute("SELECT relname FROM pg_class WHERE relname = 'stray'") == []
    path, ending = run(SCHEMAS[2])
    assert ending.verdict is Verdict.PASSED, ending.text
    assert path
    assert "stray" not in path.read_text()
    _, ending = run(SCHEMAS[3], "raise ValueError('STRAY' in os.environ, 'stray' in globals())")
    assert ending.reason.startswith("NameError: name 'os'")


def test_what_a_cell_has_psycopg_do_is_not_done_in_the_sessions_of_its_run(run: Run) -> None:
    register = 'psycopg.adapters.register_loader("int4", TextLoader); run._sessions.work.close()'
    _, ending = run(
        SCHEMAS[0], f"import psycopg; from psycopg.types.string import TextLoader; {register}"
    )
    assert ending.verdict is Verdict.PASSED, ending.text


def test_a_plan_writes_nothing_anywhere(tenants: Project, empty: Database) -> None:
    files = Files.find(tenants.root)
    worker = WarmWorker(files, files.runbook(RUNBOOK))
    before = empty.dump("--schema-only"), sorted(tenants.root.rglob("*"))
    found: list[Record | None] = []
    for schema in SCHEMAS[:2]:
        record, ending = worker.plan("env:CRM_URL", {"schema": schema}, str(uuid.uuid4()))
        assert ending.verdict is Verdict.PASSED, ending.text
        assert record
        checks = [check["check"] for check in record.rows(Kind.PRECONDITIONS)]
        assert "is a primary" in checks
        # no twin is made for each of many targets
        assert "are not refused, whatever rows there are" not in checks
        found.append(record)
    assert (empty.dump("--schema-only"), sorted(tenants.root.rglob("*"))) == before
    one, two = [record.plan for record in found if record]
    assert one["steps"] == two["steps"]
    assert one["target"]["schema"] == SCHEMAS[0]


def test_what_is_refused_before_any_cell_has_no_record(tenants: Project, run: Run) -> None:
    path, ending = run("x" * 64)
    assert (path, ending.verdict) == (None, Verdict.REFUSED)
    assert "takes the name of a schema" in ending.text
    assert not (tenants.root / "outputs").exists()


STUCK = """
import sys, uuid
from pathlib import Path
from pgrunbook.runbooks.project import Project
from pgrunbook.runner.shell import Shell
from pgrunbook.runner.warm import WarmWorker
from pgrunbook import signals

signals.STOPPING_S = 0.5
project = Project.find()
worker = WarmWorker(project, project.runbook("003_tenants"))
given = {"schema": "tenant_0", "act": sys.argv[1]}
worker.run("env:CRM_URL", given, str(uuid.uuid4()), cell_timeout_s=10)
"""
HEEDLESS = """
import time
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""


def test_a_cell_that_heeds_nothing_ends_with_its_process(tenants: Project, empty: Database) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK, HEEDLESS],
        cwd=tenants.root,
        env=os.environ | tenants.env,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == Verdict.INTERRUPTED.exit_code, done.stderr
    assert empty.execute("SELECT block FROM pgrunbook.blocks") == [("010_tenants",)]
