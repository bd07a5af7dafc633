"""papermill's known lies, each corrected by the engine. The notebooks are small; kernels and signals are real."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from databases import Database
from projects import Project

PASSED = (
    "from pgrunbook.display import VerdictCard\nfrom pgrunbook.errors import Verdict\n"
    "VerdictCard(Verdict.PASSED, 'done', {})"
)


def notebook(folder: Path, *cells: str) -> Path:
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.cells = [nbformat.v4.new_code_cell('target = "embedded"', metadata={"tags": ["parameters"]})]
    made.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    path = folder / "in.ipynb"
    nbformat.write(made, path)
    return path


def command(folder: Path, *arguments: str) -> list[str]:
    source, output = str(folder / "in.ipynb"), str(folder / "out.ipynb")
    papermill = [sys.executable, "-m", "papermill", "--engine", "pgrunbook", "--no-progress-bar"]
    return [*papermill, source, output, *arguments]


def execute(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *arguments), cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


def record(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The executed notebook, and the state of each of its own code cells."""
    loaded = json.loads((folder / "out.ipynb").read_text())
    return loaded, [c["metadata"]["papermill"]["status"] for c in loaded["cells"] if c["cell_type"] == "code"]


def test_a_run_that_passed_has_no_banner(tmp_path: Path) -> None:
    notebook(tmp_path, "1 + 1", PASSED)
    done = execute(tmp_path)
    loaded, states = record(tmp_path)
    assert done.returncode == 0, done.stderr
    assert states == ["completed"] * 3
    assert loaded["metadata"]["pgrunbook"]["verdict"] == "passed"
    assert "banner" not in json.dumps(loaded["cells"])


@pytest.mark.parametrize(
    ("cell", "arguments", "code", "state", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", [], 3, "interrupted", "the kernel died"),
        ("import os; os._exit(0)", [], 3, "interrupted", "the kernel died"),
        ("import time; time.sleep(30)", ["--execution-timeout", "2"], 3, "interrupted", "timeout"),
        ("import sys; sys.exit(0)", [], 1, "failed", "a cell ended the kernel"),
        ("1 / 0", [], 1, "failed", "ZeroDivisionError: division by zero"),
        ("import pgrunbook; raise pgrunbook.Refused.of('no')", [], 2, "failed", "The run was refused"),
        ("import pgrunbook; raise pgrunbook.LockedOut", [], 4, "failed", "Another run is at work"),
    ],
)
def test_what_became_of_each_cell_is_told(
    tmp_path: Path, cell: str, arguments: list[str], code: int, state: str, said: str
) -> None:
    notebook(tmp_path, "1 + 1", cell, PASSED)
    done = execute(tmp_path, *arguments)
    loaded, states = record(tmp_path)
    assert done.returncode == code, done.stderr
    assert states == ["completed", "completed", state, "pending"]
    assert said in "".join(loaded["cells"][0]["source"])
    assert loaded["metadata"]["pgrunbook"]["verdict"] in "".join(loaded["cells"][0]["source"]).lower()
    assert "Traceback" not in done.stderr


def test_a_notebook_without_a_verdict_did_not_pass(tmp_path: Path) -> None:
    notebook(tmp_path, "1 + 1")
    assert execute(tmp_path).returncode == 1
    assert "without a verdict" in "".join(record(tmp_path)[0]["cells"][0]["source"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_cell_first_and_then_the_runner(tmp_path: Path, number: int) -> None:
    started = tmp_path / "started"
    notebook(tmp_path, f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)", PASSED)
    runner = subprocess.Popen(command(tmp_path), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _wait_for(started.exists)
    begun = time.monotonic()
    runner.send_signal(number)
    assert runner.wait(timeout=20) == 3
    assert time.monotonic() - begun < 5
    loaded, states = record(tmp_path)
    assert states[-1] == "pending"
    assert "stopped by a signal" in "".join(loaded["cells"][0]["source"])


def test_a_cell_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    deaf = "import pathlib, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    notebook(tmp_path, f"{deaf}\npathlib.Path({str(started)!r}).touch(); time.sleep(60)", PASSED)
    runner = subprocess.Popen(command(tmp_path), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _wait_for(started.exists)
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(timeout=20) == 3


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("given", [["-p", "tagret", "x"], ["-p", "target", "7"]])
def test_bad_parameters_refuse_before_a_kernel_is_started(tmp_path: Path, given: list[str]) -> None:
    touched = tmp_path / "touched"
    notebook(tmp_path, f"open({str(touched)!r}, 'w')", PASSED)
    done = execute(tmp_path, *given)
    assert done.returncode == 2
    assert set(record(tmp_path)[1]) == {"pending"}
    assert not touched.exists()


def test_a_secret_given_as_a_parameter_is_not_written(tmp_path: Path) -> None:
    notebook(tmp_path, PASSED)
    done = execute(tmp_path, "-p", "target", "postgresql://app:hunter2@db/crm")
    assert done.returncode == 2
    assert "hunter2" not in done.stderr + (tmp_path / "out.ipynb").read_text()


def test_a_full_disk_leaves_the_last_good_file(tmp_path: Path) -> None:
    """The limit on a file's size stands for a disk that is full."""
    notebook(tmp_path, "1 + 1", "print('x' * 200_000)", PASSED)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        command(tmp_path), cwd=tmp_path, capture_output=True, check=False, timeout=60, preexec_fn=small_disk
    )
    assert done.returncode != 0
    _, states = record(tmp_path)
    assert states[1] == "completed"
    assert list(tmp_path.glob(".out*")) == []


def test_a_signal_in_the_middle_of_a_block_rolls_it_back(crm: Database, project: Project) -> None:
    """SIGTERM while a block waits for a lock: cancelled, rolled back, the ledger told, exit code 3."""
    project.env["CRM_URL"] = crm.url
    arguments = ["run", "001", "--target", "env:CRM_URL"]
    with crm.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM deals LIMIT 1")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "JPY"))} | project.env
        runner = subprocess.Popen(
            [sys.executable, "-m", "pgrunbook", *arguments], cwd=project.root, env=env, stderr=subprocess.DEVNULL
        )
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            " AND query LIKE 'ALTER TABLE deals%'"
        )
        _wait_for(lambda: crm.execute(waiting) != [(0,)])
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(timeout=10) == 3
    assert crm.execute("SELECT verdict FROM pgrunbook.verdicts") == [("interrupted",)]
    assert crm.execute("SELECT max(block) FROM pgrunbook.blocks") == [("020_stage_mappings",)]
    after = project.run(crm)
    assert after.code == 0, after.text


def test_the_ledger_says_what_a_dead_kernel_cannot(crm: Database, project: Project) -> None:
    """Killed after the commit of 020 and before its cell could show it: the banner has it from the ledger."""
    runbook = project.root / "runbooks" / "001_import_connector.ipynb"
    loaded = json.loads(runbook.read_text())
    cell = next(c for c in loaded["cells"] if c["id"] == "stage-mappings")
    cell["source"] = [
        "import os, signal, pgrunbook.display\n",
        "pgrunbook.display.outcome = lambda done: os.kill(os.getpid(), signal.SIGKILL)\n",
        *cell["source"],
    ]
    runbook.write_text(json.dumps(loaded))
    done = project.run(crm)
    assert done.code == 3, done.text
    assert done.notebook
    banner = "".join(json.loads(done.notebook.read_text())["cells"][0]["source"])
    assert "INTERRUPTED" in banner
    assert "In the cell `stage-mappings`" in banner
    assert "`010_import_batches` applied;" in banner
    assert "`020_stage_mappings` applied, **not shown below**" in banner
