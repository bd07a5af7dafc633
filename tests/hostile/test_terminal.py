"""What servers, files and names would do to a terminal, and what the command line prints when
anything goes wrong.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import click
import pytest
from support.databases import Database
from support.projects import RUNBOOK, Outcome, Project

from pgrunbook import Refused
from pgrunbook.cli import main
from pgrunbook.runbooks import kernel_spec

FORGED = "no\x1b[2J\x1b[1;31m\r\nPASSED: all 16 blocks are in place\n\u202eseal: number 1\x9b1A"
_VERIFY = f"sql/{RUNBOOK}/verify/010_import_batches.sql"


def assert_harmless(text: str) -> None:
    """But for the colours that click gives our own verdict on a terminal, which this is none."""
    assert not [
        hex(ord(c))
        for c in text
        if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")
    ], text


def raising(project: Project, text: str) -> None:
    """Have a verify script raise this as message, detail and hint."""
    written = "E'" + "".join(f"\\u{ord(c):04x}" for c in text) + "'"
    body = f"RAISE EXCEPTION USING MESSAGE = {written}, DETAIL = {written}, HINT = {written};"
    (project.root / _VERIFY).write_text(f"-- title: It raises\n\nDO $$ BEGIN {body} END $$;\n")


def apart(
    project: Project, *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run `pgrunbook`: exit code, what it printed, and what it printed as errors."""
    command = [sys.executable, "-m", "pgrunbook", *arguments]
    environment = project._env | (env or {})
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, check=False, timeout=120
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# -- what is shown
# --------------------------------------------------------------------------------------------------


def test_a_server_can_forge_no_line(crm: Database, project: Project) -> None:
    raising(project, FORGED)
    project.env["CRM_URL"] = crm.url
    arguments = ("run", RUNBOOK, "--target", "env:CRM_URL")
    code, printed, errors = apart(project, *arguments)
    assert code == 1
    for text in (printed, errors):
        assert_harmless(text)
        assert not [
            line
            for line in text.split("\n")
            if line.lstrip().startswith("PASSED") and line[:6].strip()
        ], text
    before, verdict, _ = errors.partition("FAILED: The target is not in the verified state.\n")
    assert verdict
    assert all(line.startswith("hazard: ") for line in before.splitlines()), errors
    assert re.search(r"(?m)^  \S.*: no\\x1b\[2J\\x1b\[1;31m$", errors), errors
    (path,) = project.root.glob("outputs/*/*/*.ipynb")
    for cell in json.loads(path.read_text())["cells"]:
        for output in cell.get("outputs", ()):
            for kind, text in output.get("data", {}).items():
                if kind.startswith("text/"):
                    assert_harmless("".join(text))
    table = project.command("status", RUNBOOK, "--target", "env:CRM_URL")
    assert_harmless(table.text)
    assert "\nPASSED" not in table.text

    done = project.command(*arguments, "--json")
    assert done.code == 1
    assert_harmless(done.text)
    (run,) = json.loads(done.text)
    assert run["verdict"] == "failed"
    assert {problem["what"].partition(" (SQLSTATE")[0] for problem in run["problems"]} == {FORGED}

    done = project.command(*arguments, "-p", "operator", f"ada\n{FORGED}")
    assert (done.code, "operator: " in done.text) == (2, True), done.text
    assert_harmless(done.text)


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "TERM": "dumb"}]
)
@pytest.mark.long
def test_an_encoding_that_lacks_a_character_ends_nothing(
    crm: Database, project: Project, env: dict[str, str]
) -> None:
    project.env["CRM_URL"] = crm.url
    arguments = ("--target", "env:CRM_URL")
    code, printed, errors = apart(project, "run", RUNBOOK, "--mode", "plan", *arguments, env=env)
    assert (code, "PASSED: planned" in printed) == (0, True), errors
    if "LC_ALL" in env:
        code, _, errors = apart(
            project, "run", RUNBOOK, *arguments, "-p", "operator", "Zoë", env=env
        )
        assert (code, "operator: is not text in the encoding of this locale\n" in errors) == (
            2,
            True,
        ), errors
    code, printed, errors = apart(project, "status", *arguments, env=env)
    assert (code, RUNBOOK in printed) == (0, True), errors
    code, _, errors = apart(project, "run", "ünknown", env=env)
    assert (code, "Traceback" in errors) == (2, False), errors


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", ">/dev/full", "2>/dev/full"])
@pytest.mark.long
def test_a_closed_or_full_stream_is_no_fault_of_ours(
    crm: Database, project: Project, closed: str
) -> None:
    project.env["CRM_URL"] = crm.url
    python = f"{shlex.quote(sys.executable)} -m pgrunbook"
    shell = f"{python} run {RUNBOOK} --target env:CRM_URL --mode plan {closed}"
    done = subprocess.run(
        shell,
        shell=True,
        cwd=project.root,
        env=project._env,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == (0 if "full" not in closed or closed.startswith("2") else 1), (
        done.stderr
    )
    (record,) = project.root.glob("outputs/*/*/*.ipynb")
    assert json.loads(record.read_text())["metadata"]["pgrunbook"]["verdict"] == "passed"


# -- --json
# --------------------------------------------------------------------------------------------------

REFUSED = [
    ("run",),
    ("run", "--nonsense"),
    ("run", "001", "--mode", "aply"),
    ("run", "009"),
    ("run", "001", "--target", "nowhere"),
    ("run", "001", "-p", "tabel", "x"),
    ("run", "001", "-p", "x=1;y", "1"),
    ("run", "--pending", "--mode", "revert"),
    ("status", "009"),
    ("status", "--target", "nowhere"),
    ("status", "--target"),
    ("archive", "verify", "nowhere.ipynb"),
    ("archive", "verify", "--key", "nowhere.pem"),
    ("archive", "verify", "--target", "nowhere"),
    ("archive", "diff", "one", "other"),
    (
        "archive",
        "diff",
        "runbooks/001_import_connector.ipynb",
        "runbooks/001_import_connector.ipynb",
    ),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_every_refusal_is_one_document(
    project: Project, arguments: tuple[str, ...], capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(project.root)
    with pytest.raises(SystemExit) as ended:
        main.main([*arguments, "--json"])
    printed = json.loads(capsys.readouterr().out)
    (found,) = printed if arguments[0] == "run" else [printed]
    assert ended.value.code == 2
    assert found["verdict"] == "refused"
    assert found["message"]
    assert found["problems"]
    for problem in found["problems"]:
        assert problem.keys() == {"what", "where", "expected", "found", "remedy"}


@pytest.mark.parametrize(
    ("exc", "code", "verdict"),
    [
        (KeyboardInterrupt(), 3, "interrupted"),
        (OSError(28, "No space left", "x"), 1, "failed"),
        (KeyError("x"), 1, "failed"),
    ],
)
def test_so_is_whatever_else_ends_a_command(
    project: Project, exc: BaseException, code: int, verdict: str, capsys: Any, monkeypatch: Any
) -> None:
    def raises(*_: object) -> None:
        raise exc

    monkeypatch.chdir(project.root)
    monkeypatch.setattr("pgrunbook.cli.status.collect", raises)
    with pytest.raises((SystemExit, KeyError)) as ended:
        main.main(["status", "--json"])
    assert json.loads(capsys.readouterr().out)["verdict"] == verdict
    assert getattr(ended.value, "code", code) == code  # a fault of ours is shown as it is


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "nonsense = 1",
        "[archive]\nkeys = 1",
        "targets = 3",
        "[targets]\nx = 1",
        "[targets.x]\nprotected = 3",
        "\ufeff[",
    ],
)
def test_a_settings_file_that_is_not_valid(
    project: Project, text: str, capsys: Any, monkeypatch: Any
) -> None:
    (project.root / "pgrunbook.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(project.root)
    with pytest.raises(SystemExit) as ended:
        main.main(["status", "--json"])
    assert (ended.value.code, json.loads(capsys.readouterr().out)["verdict"]) == (2, "refused")


# -- commands that are printed
# -----------------------------------------------------------------------------------------


def commands(text: str) -> list[list[str]]:
    """The commands of ours in a text, as a shell reads them."""
    return [
        shlex.split(found)
        for found in re.findall(r"pgrunbook (?:run|status|archive) [^;`\n]*", text)
    ]


@pytest.mark.long
def test_the_command_in_a_remedy_goes_where_the_run_went(crm: Database, project: Project) -> None:
    crm.execute('CREATE SCHEMA "odd name"')
    settings = f'[targets."the crm"]\nenv = "CRM_URL"\nrehearsal = true\ndatabase = "{crm.name}"\n'
    system = crm.execute("SELECT system_identifier::text FROM pg_control_system()")[0][0]
    (project.root / "pgrunbook.toml").write_text(f'{settings}system_identifier = "{system}"\n')
    project.env["CRM_URL"] = crm.url
    done = project.command(
        "run", "001", "--target", "the crm", "-p", "ticket", "it's 7", "-p", "lock_budget", "9min"
    )
    assert done.code == 2, done.text
    (words,) = commands(done.text)
    given = [
        "--target",
        "the crm",
        "--mode",
        "rehearse",
        "-p",
        "ticket",
        "it's 7",
        "-p",
        "lock_budget",
        "9min",
    ]
    assert words == ["pgrunbook", "run", RUNBOOK, *given]
    with main.main.make_context("pgrunbook", words[1:]) as ctx:
        assert isinstance(ctx, click.Context)
    again = project.command(*words[1:])
    assert (again.code, "rehearse" in again.text or "PASSED" in again.text) == (0, True), again.text


@pytest.mark.long
def test_a_later_runbook_is_reverted_on_the_same_target(
    applied: Database, project: Project
) -> None:
    project.env["CRM_URL"] = applied.url
    assert project.command("run", "002", "--target", "env:CRM_URL").code == 0
    done = project.run(applied, "--mode", "revert")
    assert done.code == 2, done.text
    (words,) = commands(done.text)
    assert words == [
        "pgrunbook",
        "run",
        "002_import_batches_lookup",
        "--target",
        "env:CRM_URL",
        "--mode",
        "revert",
    ]
    reverted = project.command(*words[1:])
    assert reverted.code == 0, reverted.text


# -- kernels and names
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ({"name": "nowhere"}, "asks for a kernel that is not there"),
        ({"name": "../x"}, "asks for a kernel that is not there"),
        ({}, "asks for no kernel"),
    ],
)
def test_a_kernel_that_is_not_there(project: Project, spec: dict[str, str], what: str) -> None:
    path = project.root / f"runbooks/{RUNBOOK}.ipynb"
    notebook = json.loads(path.read_text())
    notebook["metadata"]["kernelspec"] = spec
    path.write_text(json.dumps(notebook))
    done = project.command("run", "001", "--target", "env:NOWHERE")
    assert (done.code, f"{RUNBOOK}.ipynb: {what}\n" in done.text) == (2, True), done.text
    assert "such as python3" in done.text
    linted = project.command("lint")
    assert f"runbooks/{RUNBOOK}.ipynb:1: {what} [cells]\n" in linted.text


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, under an id that the machine has no name for."""
    monkeypatch.delenv("JUPYTER_DATA_DIR", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(Refused, match="HOME: there is no home directory"):
        kernel_spec.require("python3", "a notebook")


@pytest.mark.long
def test_a_kernel_whose_program_has_gone(project: Project) -> None:
    spec = project.root / "share/jupyter/kernels/gone"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps(
            {
                "argv": ["/gone/python", "-f", "{connection_file}"],
                "display_name": "Gone",
                "language": "python",
            }
        )
    )
    project.env["JUPYTER_PATH"] = str(project.root / "share/jupyter")
    path = project.root / f"runbooks/{RUNBOOK}.ipynb"
    path.write_text(path.read_text().replace('"name": "python3"', '"name": "gone"'))
    done = project.command("run", "001", "--target", "env:NOWHERE")
    assert (done.code, "asks for a kernel whose program is not there" in done.text) == (2, True), (
        done.text
    )


def test_a_kernel_is_there_where_no_program_is_called_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Debian: Jupyter starts our own in its place."""
    monkeypatch.setenv("PATH", str(tmp_path))
    kernel_spec.require("python3", "a notebook")


def test_lint_names_two_runbooks_of_one_number_and_sql_of_none(project: Project) -> None:
    runbooks = project.root / "runbooks"
    (runbooks / "001_other.ipynb").write_text((runbooks / f"{RUNBOOK}.ipynb").read_text())
    (project.root / "sql/003_alone/deploy").mkdir(parents=True)
    found = project.command("lint").text
    assert f"runbooks/001_other.ipynb:1: has the number of {RUNBOOK} [numbers]\n" in found
    assert "runbooks/001_other.ipynb:1: there is no SQL for it [partners]\n" in found
    assert "sql/003_alone:1: no runbook is called so [partners]\n" in found


@pytest.mark.parametrize("ours", [True, False])
def test_the_name_of_a_parameter_is_no_code(project: Project, ours: bool, tmp_path: Path) -> None:
    name = f"x = open({str(tmp_path / 'touched')!r}, 'w'); y"
    done: Outcome
    if ours:
        done = project.command("run", "001", "-p", name, "1")
    else:
        done = project.papermill("env:NOWHERE", "-p", name, "1", "--engine", "pgrunbook")
    assert done.code == 2, done.text
    assert "cannot be the name of a parameter" in done.text
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_keeps_no_kernel_from_its_run(
    crm: Database, project: Project, closed: str
) -> None:
    run = [sys.executable, "-m", "pgrunbook", "run", "001", "--target", "env:CRM_URL"]
    # by which ipykernel knows of a test, where it does not ask for the streams
    env = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    env["CRM_URL"] = crm.url
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.join([*run, '--mode', 'plan'])} {closed}"],
        cwd=project.root,
        env=env,
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done
