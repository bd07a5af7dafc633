"""papermill's known lies, each corrected by the engine. The notebooks are small; kernels and
signals are real.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from papermill.iorw import papermill_io
from support import forks, notebooks
from support.databases import Database
from support.projects import PATIENCE_S, RUNBOOK, Outcome, Project, wait_for

from pgrunbook.runner.executed_notebook import ExecutionManager

PG18 = pytest.mark.parametrize("server", [18], indirect=True)

CARD = "VerdictCard(Card(verdict='passed', reason='done'))"
IMPORTS = "from pgrunbook.records.card import VerdictCard\nfrom pgrunbook.records.format.parts import Card\n"
PASSED = IMPORTS + CARD
SHOWN = f"{IMPORTS}display({CARD})"


# How a process is run that is not forked.
PLAINLY: dict[str, Any] = {
    "capture_output": True,
    "encoding": "utf-8",
    "check": False,
    "timeout": PATIENCE_S,
}


def notebook(folder: Path, *cells: str, declared: str = 'target = "embedded"') -> Path:
    return notebooks.write(folder / "in.ipynb", *cells, declared=declared)


def command(folder: Path, *arguments: str) -> list[str]:
    source, output = str(folder / "in.ipynb"), str(folder / "out.ipynb")
    papermill = [sys.executable, "-m", "papermill", "--engine", "pgrunbook", "--no-progress-bar"]
    return [*papermill, source, output, *arguments]


def execute(folder: Path, *arguments: str) -> Outcome:
    """Run it with papermill and a kernel: how it ends, and all that is printed."""
    code, text = forks.call(
        "papermill", command(folder, *arguments)[3:], cwd=folder, env=os.environ
    )
    return Outcome(code, text)


def record(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The executed notebook, and the state of each of its own code cells."""
    loaded = json.loads((folder / "out.ipynb").read_text())
    return loaded, [
        c["metadata"]["papermill"]["status"] for c in loaded["cells"] if c["cell_type"] == "code"
    ]


def banner(folder: Path) -> str:
    return "".join(record(folder)[0]["cells"][0]["source"])


def test_a_run_that_passed_has_no_banner(tmp_path: Path) -> None:
    notebook(tmp_path, "1 + 1", PASSED)
    done = execute(tmp_path)
    loaded, states = record(tmp_path)
    assert done.code == 0, done.text
    assert states == ["completed"] * 3
    assert loaded["metadata"]["pgrunbook"]["verdict"] == "passed"
    assert "banner" not in json.dumps(loaded["cells"])


@pytest.mark.parametrize(
    ("cell", "arguments", "code", "state", "said"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            [],
            3,
            "interrupted",
            "the kernel died",
        ),
        ("import os; os._exit(0)", [], 3, "interrupted", "the kernel died"),
        (
            "import time; time.sleep(30)",
            ["--execution-timeout", "2"],
            3,
            "interrupted",
            "the cell ran into its",
        ),
        ("import sys; sys.exit(0)", [], 1, "failed", "a cell ended the kernel"),
        ("1 / 0", [], 1, "failed", "ZeroDivisionError: division by zero"),
        (
            "import pgrunbook; raise pgrunbook.Refused.of('no')",
            [],
            2,
            "failed",
            "Nothing was changed",
        ),
        ("import pgrunbook; raise pgrunbook.LockedOut", [], 4, "failed", "Another run is at work"),
    ],
)
def test_what_became_of_each_cell_is_told(
    tmp_path: Path, cell: str, arguments: list[str], code: int, state: str, said: str
) -> None:
    notebook(tmp_path, "1 + 1", cell, PASSED)
    done = execute(tmp_path, *arguments)
    loaded, states = record(tmp_path)
    assert done.code == code, done.text
    assert states == ["completed", "completed", state, "pending"]
    verdict = loaded["metadata"]["pgrunbook"]["verdict"].upper()
    assert said in banner(tmp_path)
    assert f"## {verdict}" in banner(tmp_path)
    assert f"\n{verdict}: {said}" in done.text
    assert (f"\n  in the cell {loaded['cells'][3]['id']}\n" in done.text) == (
        "ZeroDivision" in said
    )
    assert "Traceback" not in done.text
    assert ("the target's ledger" in banner(tmp_path)) == (verdict in ("FAILED", "INTERRUPTED"))


DIES = "import os, signal, time; time.sleep(0.5)\nos.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("cells", "code", "said"),
    [
        ([f"{SHOWN}\n{DIES}"], 0, "PASSED\n>\n> done; after that, the kernel died"),
        ([f"{SHOWN}\n{DIES}", "1 + 1"], 3, "INTERRUPTED\n>\n> the kernel died"),
        (
            [f"get_ipython().showtraceback((ValueError, ValueError('no'), None))\n{DIES}"],
            1,
            "ValueError: no; after that",
        ),
    ],
)
def test_a_kernel_that_dies_after_the_verdict(
    tmp_path: Path, cells: list[str], code: int, said: str
) -> None:
    notebook(tmp_path, *cells)
    done = execute(tmp_path)
    loaded, states = record(tmp_path)
    assert done.code == code, done.text
    assert said in banner(tmp_path)
    assert states[1:] == ["interrupted", *["pending"] * (len(cells) - 1)]
    assert bool(loaded["metadata"]["papermill"]["exception"]) == (code != 0)


@PG18
def test_a_kernel_that_dies_once_the_ledger_has_the_verdict(
    crm: Database, project: Project
) -> None:
    """Before the card could be shown."""
    path = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    path.write_text(
        path.read_text().replace('"run.verdict()"', json.dumps(f"run.verdict()\n{DIES}"))
    )
    done = project.run(crm, kernel=True)
    assert done.code == 0, done.text
    assert done.notebook
    assert (
        "all 16 blocks are in place: 10 applied, 6 adopted; after that, the kernel died"
        in done.notebook.read_text()
    )
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts") == [("passed",)]


def test_a_kernel_that_is_not_there_refuses_the_run(tmp_path: Path) -> None:
    notebook(tmp_path, PASSED)
    done = execute(tmp_path, "--kernel", "nowhere")
    loaded, states = record(tmp_path)
    assert done.code == 2, done.text
    assert set(states) == {"pending"}
    assert "the notebook: asks for a kernel that is not there\n" in done.text
    assert "expected: a kernel for Python, such as " in done.text
    assert "python -m ipykernel install --user --name nowhere\n" in done.text
    assert "## REFUSED" in "".join(loaded["cells"][0]["source"])


def test_a_runner_that_is_stopped_while_the_kernel_starts(tmp_path: Path) -> None:
    notebook(tmp_path, PASSED)
    runner = subprocess.Popen(
        command(tmp_path), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    wait_for((tmp_path / "out.ipynb").exists)
    runner.terminate()
    assert runner.wait(PATIENCE_S) == 3
    assert "stopped by a signal" in banner(tmp_path)


def test_a_runner_that_is_stopped_while_the_kernel_does_not_answer(tmp_path: Path) -> None:
    asleep = tmp_path / "kernels" / "asleep"
    asleep.mkdir(parents=True)
    argv = [sys.executable, "-c", "import time; time.sleep(3600)", "{connection_file}"]
    spec = {"argv": argv, "display_name": "asleep", "language": "python"}
    (asleep / "kernel.json").write_text(json.dumps(spec))
    notebook(tmp_path, PASSED)
    runner = subprocess.Popen(
        command(tmp_path, "--kernel", "asleep"),
        cwd=tmp_path,
        env=os.environ | {"JUPYTER_PATH": str(tmp_path)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    wait_for((tmp_path / "out.ipynb").exists)
    runner.terminate()
    assert runner.wait(PATIENCE_S) == 3
    assert "stopped by a signal" in banner(tmp_path)


def test_an_executed_notebook_is_executed_as_if_it_never_was(tmp_path: Path) -> None:
    notebook(tmp_path, "1 / 0")
    assert execute(tmp_path).code == 1
    first, _ = record(tmp_path)
    (tmp_path / "out.ipynb").rename(tmp_path / "in.ipynb")
    assert execute(tmp_path, "-p", "tagret", "x").code == 2
    second, _ = record(tmp_path)
    assert first["metadata"]["pgrunbook"]["run_id"] != second["metadata"]["pgrunbook"]["run_id"]
    assert ["## " in "".join(cell["source"]) for cell in second["cells"]] == [
        True,
        False,
        False,
        False,
    ]
    assert "## REFUSED" in banner(tmp_path)


def test_the_end_is_written_even_if_papermill_is_not_to_save_cells(tmp_path: Path) -> None:
    notebook(tmp_path, "1 / 0")
    done = execute(tmp_path, "--no-request-save-on-cell-execute")
    assert done.code == 1, done.text
    assert "## FAILED" in banner(tmp_path)


def test_a_record_for_which_there_is_no_folder_refuses_the_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    notebook(tmp_path, f"open({str(touched)!r}, 'w')", PASSED)
    (tmp_path / "out.ipynb").mkdir()
    for output, found in {
        "out.ipynb": "a folder called out.ipynb",
        "nowhere/out.ipynb": "no such folder",
    }.items():
        arguments = [*command(tmp_path)[:-1], output]
        done = subprocess.run(arguments, cwd=tmp_path, **PLAINLY)
        assert done.returncode == 2, done.stderr
        assert "the record could not be written" in done.stderr
        assert f"found:    {found}\n" in done.stderr
        assert "Traceback" not in done.stderr
    assert not touched.exists()


def test_what_a_later_cell_updates_is_written_before_the_next_one_runs(tmp_path: Path) -> None:
    show = "display('old', display_id='x')"
    update = "from IPython.display import update_display; update_display('new', display_id='x')"
    read = "import json; print(json.load(open('out.ipynb'))['cells'][1]['outputs'][0]['data'])"
    notebook(tmp_path, show, "1 + 1", update, read, PASSED)
    execute(tmp_path)
    assert "new" in "".join(record(tmp_path)[0]["cells"][4]["outputs"][0]["text"])


def test_a_notebook_without_a_verdict_did_not_pass(tmp_path: Path) -> None:
    notebook(tmp_path, "1 + 1")
    assert execute(tmp_path).code == 1
    assert "without a verdict" in banner(tmp_path)


def test_an_error_after_the_verdict_counts(tmp_path: Path) -> None:
    notebook(tmp_path, PASSED, "1 / 0")
    assert execute(tmp_path).code == 1
    assert "ZeroDivisionError" in banner(tmp_path)


DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


def sleeping(tmp_path: Path, before: str = "") -> subprocess.Popen[bytes]:
    """A runner whose first cell does what comes before, and then sleeps, longer than anybody
    waits.
    """
    started = tmp_path / "started"
    sleep = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(3600)"
    notebook(tmp_path, f"{before}\n{sleep}", PASSED)
    runner = subprocess.Popen(
        command(tmp_path), cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    wait_for(started.exists)
    return runner


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_cell_first_and_then_the_runner(tmp_path: Path, number: int) -> None:
    runner = sleeping(tmp_path)
    runner.send_signal(number)
    assert runner.wait(PATIENCE_S) == 3
    assert record(tmp_path)[1][-1] == "pending"
    assert "stopped by a signal" in banner(tmp_path)


def test_a_cell_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    runner = sleeping(tmp_path, DEAF)
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(PATIENCE_S) == 3


def test_signals_that_come_again_and_again_do_not_cost_the_record(tmp_path: Path) -> None:
    """While the kernel is told to stop, when it has just been killed, and while the end is
    written.
    """
    runner = sleeping(tmp_path, DEAF)
    deadline = time.monotonic() + PATIENCE_S
    while runner.poll() is None and "interrupted" not in (tmp_path / "out.ipynb").read_text():
        assert time.monotonic() < deadline
        runner.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    _, errors = runner.communicate(timeout=PATIENCE_S)
    assert (runner.returncode, record(tmp_path)[1][1:]) == (3, ["interrupted", "pending"]), errors
    assert "stopped by a signal" in banner(tmp_path) or "the kernel died" in banner(tmp_path)


@pytest.mark.parametrize("given", [["-p", "tagret", "x"], ["-p", "target", "7"]])
def test_bad_parameters_refuse_before_a_kernel_is_started(tmp_path: Path, given: list[str]) -> None:
    touched = tmp_path / "touched"
    notebook(tmp_path, f"open({str(touched)!r}, 'w')", PASSED)
    done = execute(tmp_path, *given)
    assert done.code == 2
    assert set(record(tmp_path)[1]) == {"pending"}
    assert not touched.exists()


@pytest.mark.parametrize(
    ("declared", "said", "given"),
    [
        ('target = "embedded', "line 1: unterminated string literal (detected at line 1)", []),
        ("mode = 'plan'\nimport os", "line 2: more than assignments", ["-p", "target", "embedded"]),
        ("target = {[]: 1}", "line 1: not a literal", []),
    ],
)
def test_a_parameters_cell_that_cannot_be_read_refuses(
    tmp_path: Path, declared: str, said: str, given: list[str]
) -> None:
    notebook(tmp_path, PASSED, declared=declared)
    done = execute(tmp_path, *given)
    assert done.code == 2, done.text
    assert f"REFUSED: Nothing was changed.\n  parameters cell, {said}" in done.text
    assert f"found:    {declared.splitlines()[-1]}\n" in done.text
    assert "Traceback" not in done.text
    assert set(record(tmp_path)[1]) == {"pending"}
    assert "## REFUSED" in banner(tmp_path)


URL = "postgresql://app:hunter2@db/crm"
QUOTED = r"host=db password='it\'s hunter2'"
SECRETS = {
    "given": ("target = 'embedded'", ["-p", "target", URL]),
    "given, its quotes escaped": ("target = 'embedded'", ["-p", "target", QUOTED]),
    "given, unknown": ("target = 'embedded'", ["-p", "url", URL]),
    "given, its name says so": ("target = 'embedded'", ["-p", "password", "hunter2"]),
    "given, its name is declared": (
        "target = 'embedded'\npassword = ''",
        ["-p", "password", "hunter2"],
    ),
    "default": (f"target = {URL!r}  # ours", []),
    "default, its quotes escaped": (f"target: str = {QUOTED!r}", []),
    "default, replaced": (f"target = {URL!r}", ["-p", "target", "embedded"]),
    "default, its name says so": ("target = 'embedded'\npassword = 'hunter2'", []),
    "not a literal": (f"target = {URL!r}.strip()", []),
    "not a literal, its quotes escaped": (f"target = {QUOTED!r}.strip()", []),
    "not Python": (f"target = {QUOTED!r}\nmode = (", []),
}


@pytest.mark.parametrize(("declared", "given"), SECRETS.values(), ids=SECRETS)
def test_a_secret_in_a_parameter_is_not_written(
    tmp_path: Path, declared: str, given: list[str]
) -> None:
    """Nor printed; and the run is refused before a kernel could do either."""
    notebook(tmp_path, PASSED, declared=declared)
    done = execute(tmp_path, *given)
    assert done.code == 2, done.text
    assert set(record(tmp_path)[1]) == {"pending"}
    for text in (done.text, (tmp_path / "out.ipynb").read_text()):
        assert "hunter2" not in text


@pytest.mark.parametrize("last", [PASSED, "1 / 0"])
def test_neither_paths_nor_the_environment_are_written(tmp_path: Path, last: str) -> None:
    source = notebook(tmp_path, last)
    loaded = json.loads(source.read_text())
    noted = {
        "environment_variables": {"TOKEN": "from-the-environment"},
        "parameters": {},
        "version": "2.7.0",
    }
    loaded["metadata"]["papermill"] = noted
    source.write_text(json.dumps(loaded))
    execute(tmp_path)
    written = (tmp_path / "out.ipynb").read_text()
    assert str(tmp_path) not in written
    assert "from-the-environment" not in written
    kept = record(tmp_path)[0]["metadata"]["papermill"]
    assert (kept["input_path"], kept["output_path"]) == ("in.ipynb", "out.ipynb")


@PG18
def test_a_run_that_cannot_have_written_opens_no_connection(
    crm: Database, project: Project
) -> None:
    """A syntax error in the SQL: the target need not even be there."""
    file = project.root / "sql" / RUNBOOK / "deploy" / "020_stage_mappings.sql"
    file.write_text("CREATE TABEL t ();")
    with crm.logged() as statements:
        done = project.run(crm)
    assert done.code == 2
    assert done.text.startswith("REFUSED: The runbook's SQL cannot be used")
    assert statements == []


def test_a_refusal_after_a_block_asks_the_ledger(tmp_path: Path) -> None:
    block = (
        "display({'application/vnd.pgrunbook.block+json': {'block': '010_x', 'event': "
        "'applied'}}, raw=True)"
    )
    notebook(tmp_path, block, "import pgrunbook; raise pgrunbook.LockedOut")
    execute(tmp_path)
    assert "the target's ledger" in banner(tmp_path)


def test_a_full_disk_leaves_the_last_good_file(tmp_path: Path) -> None:
    """The limit on a file's size stands for a disk that is full."""
    notebook(tmp_path, "1 + 1", "print('x' * 200_000)", PASSED)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(command(tmp_path), cwd=tmp_path, preexec_fn=small_disk, **PLAINLY)
    assert done.returncode == 3
    assert "\nINTERRUPTED: the notebook could not be written: File too large\n" in done.stderr
    assert "\nnot sealed: out.ipynb does not lie below" in done.stderr
    _, states = record(tmp_path)
    assert states[1] == "completed"
    assert list(tmp_path.glob(".out*")) == []


FULL_AT_THE_END = """
import papermill, resource, signal
from pgrunbook.runner.executed_notebook import ExecutionManager

end = ExecutionManager.end

def fill_the_disk(*given):
    end(*given)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

ExecutionManager.end = fill_the_disk
papermill.execute_notebook("in.ipynb", "out.ipynb", engine_name="pgrunbook", progress_bar=False)
"""


def test_a_disk_that_is_full_after_the_run_leaves_its_record(tmp_path: Path) -> None:
    """papermill would write the notebook once more when the engine is done: what is final stays as
    it is.
    """
    notebook(tmp_path, PASSED)
    done = subprocess.run([sys.executable, "-c", FULL_AT_THE_END], cwd=tmp_path, **PLAINLY)
    assert done.returncode == 0, done.stderr
    loaded, states = record(tmp_path)
    assert (loaded["metadata"]["pgrunbook"]["verdict"], states) == ("passed", ["completed"] * 2)
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize("last", [PASSED, "1 / 0"])
def test_the_folder_of_the_kernel_is_not_that_of_the_record(tmp_path: Path, last: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    notebook(tmp_path, "open('here', 'w').close()", last)
    source, output = "in.ipynb", "out.ipynb"
    papermill = [sys.executable, "-m", "papermill", "--engine", "pgrunbook", "--no-progress-bar"]
    subprocess.run([*papermill, "--cwd", "elsewhere", source, output], cwd=tmp_path, **PLAINLY)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["here"]
    assert record(tmp_path)[1][1] == "completed"


@PG18
def test_a_signal_in_the_middle_of_a_block_rolls_it_back(crm: Database, project: Project) -> None:
    """SIGTERM while a block waits for a lock: cancelled, rolled back, the ledger told, exit
    code 3.
    """
    project.env["CRM_URL"] = crm.url
    arguments = ["run", "001", "--target", "env:CRM_URL"]
    with crm.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM deals LIMIT 1")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "JPY"))} | project.env
        runner = subprocess.Popen(
            [sys.executable, "-m", "pgrunbook", *arguments],
            cwd=project.root,
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'deals'::regclass"
        wait_for(lambda: crm.execute(waiting) != [(0,)])
        runner.send_signal(signal.SIGTERM)
        _, said = runner.communicate(timeout=PATIENCE_S)
    assert runner.returncode == 3
    committed = "010_import_batches applied; 020_stage_mappings applied"
    assert (
        f"\nCommitted, as the target's ledger says: {committed}.\nRun again: the next run finds"
        in said
    )
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts") == [("interrupted",)]
    assert crm.execute("SELECT max(block) FROM pgrunbook.blocks") == [("020_stage_mappings",)]
    after = project.run(crm)
    assert after.code == 0, after.text


@PG18
def test_the_ledger_says_what_a_dead_kernel_cannot(crm: Database, project: Project) -> None:
    """Killed after the commit of 020 and before its cell could show it: the banner has it from the
    ledger.
    """
    runbook = project.root / "runbooks" / "001_import_connector.ipynb"
    loaded = json.loads(runbook.read_text())
    cell = next(c for c in loaded["cells"] if c["id"] == "stage-mappings")
    cell["source"] = [
        "import os, signal, pgrunbook.run.reporters\n",
        "pgrunbook.run.reporters.EACH.outcome = lambda done: os.kill(os.getpid(), signal.SIGKILL)\n",
        *cell["source"],
    ]
    runbook.write_text(json.dumps(loaded))
    done = project.run(crm, kernel=True)
    assert done.code == 3, done.text
    assert done.notebook
    banner = "".join(json.loads(done.notebook.read_text())["cells"][0]["source"])
    assert "INTERRUPTED" in banner
    assert "In the cell `stage-mappings`" in banner
    assert "`010_import_batches` applied;" in banner
    assert "`020_stage_mappings` applied, **not shown below**" in banner


def test_a_cell_that_never_ran_is_not_even_for_a_moment_marked_as_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As papermill marks it before it saves for the last time; the runner may be killed right
    then.
    """
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1"), nbformat.v4.new_code_cell("2")]
    )
    made.metadata.papermill = {}
    manager = ExecutionManager(made, str(tmp_path / "out.ipynb"), progress_bar=False)
    written: list[str] = []
    monkeypatch.setattr(papermill_io, "write", lambda text, _: written.append(text))
    manager.notebook_start()
    manager.cell_start(made.cells[0], 0)
    manager.end(manager.cut_off("the kernel died"))
    states = [
        [c["metadata"]["papermill"]["status"] for c in json.loads(text)["cells"]][-1]
        for text in written
    ]
    assert set(states) == {"pending"}
    assert len(states) >= 3


def test_a_cell_that_was_cut_off_is_not_even_for_a_moment_marked_as_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the end is written the ledger is asked, which may take long; the runner may be killed
    meanwhile.
    """
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    made.metadata.papermill = {}
    manager = ExecutionManager(made, str(tmp_path / "out.ipynb"), progress_bar=False)
    written: list[str] = []
    monkeypatch.setattr(papermill_io, "write", lambda text, _: written.append(text))
    manager.notebook_start()
    manager.cell_start(made.cells[0], 0)
    manager.cell_interrupted(made.cells[0], 0)
    states = [json.loads(text)["cells"][0]["metadata"]["papermill"]["status"] for text in written]
    assert states == ["pending", "running", "interrupted"]
