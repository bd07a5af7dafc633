"""Every command prints one document with `--json`, of one form."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from support.databases import Database
from support.projects import Project

from pgrunbook.cli.main import main

KEYS = {"verdict", "message", "problems"}


def told(project: Project, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = project.command(*arguments, "--json")
    assert done.code == code, done.text
    lines = done.text.splitlines()
    first = next(number for number, line in enumerate(lines) if line == "{")
    end = next(n for n, line in enumerate(lines) if n > first and line == "}")
    found: dict[str, Any] = json.loads("\n".join(lines[first : end + 1]))
    assert found.keys() >= KEYS
    return found


def commands(group: click.Group, *names: str) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = isinstance(command, click.Group)
        found += commands(command, *names, name) if inner else [(*names, name)]
    return found


@pytest.mark.parametrize("names", commands(main), ids=" ".join)
def test_every_command_has_it(names: tuple[str, ...]) -> None:
    command: Any = main
    for name in names:
        command = command.commands[name]
    assert "--json" in [option for each in command.params for option in each.opts]


def test_what_needs_no_database_says_so_in_json(project: Project) -> None:
    made = told(project, "new", "add_phone")
    assert made["files"][0].endswith("_add_phone.ipynb")
    assert told(project, "lint")["findings"] == []
    (project.root / made["files"][1]).write_text("CREATE TABLE t (a int);\n")
    found = told(project, "lint", code=1)
    assert found["verdict"] == "failed"
    assert len(found["findings"]) == len(found["problems"]) > 0
    assert found["findings"][0].keys() == {"file", "line", "rule"}
    again = told(project, "new", "add_phone", code=2)
    assert again["problems"][0]["what"] == "there is a runbook of that name"


@pytest.mark.parametrize("server", [18], indirect=True)
def test_server_and_archive_say_so_in_json(crm: Database, project: Project) -> None:
    project.env["CRM_URL"] = crm.url
    on = ("server", "--target", "env:CRM_URL")
    assert told(project, *on)["confirmed"] is False
    assert told(project, *on, "--confirm", "it is new")["confirmed"] is True
    assert told(project, *on, "--confirm", "it is new")["confirmed"] is False
    done = project.papermill(crm, "-p", "mode", "plan")
    assert done.code == 0, done.text
    sealed = told(project, "archive", "seal", "outputs/x.ipynb")
    assert (sealed["seal"]["sequence"], sealed["signed"]) == (1, False)
    assert sealed["ledger"] == "the ledger has no run of that id, as a plan writes nothing"
    again = told(project, "archive", "seal", "outputs/x.ipynb", code=2)
    assert again["verdict"] == "refused"
    assert told(project, "archive", "site")["made"] == 1
    assert told(project, "archive", "verify")["seals"] == 1


@pytest.mark.parametrize("command", ["verify", "site"])
@pytest.mark.parametrize("dangling", [True, False])
def test_an_archive_that_is_not_there_is_no_empty_one(
    project: Project, command: str, dangling: bool
) -> None:
    where = project.root / "elsewhere"
    if dangling:
        (project.root / "outputs").symlink_to(where)
    found = told(project, "archive", command, code=2)
    assert found["verdict"] == "refused"
    assert found["problems"][0]["where"] == "outputs"
    assert not where.exists()
    assert (project.root / "outputs").is_symlink() is dangling


@pytest.mark.parametrize("given", ["", " ", "\u2800", "a\x1b[31m", "a\nPASSED", " ada", "\u200b"])
def test_who_and_why_are_said_in_a_line_that_is_read_as_it_stands(
    project: Project, given: str
) -> None:
    found = told(project, "server", "--confirm", given, "--operator", given, code=2)
    assert [each["where"] for each in found["problems"]] == ["operator", "confirm"]
    if given:
        pairs = [("-p", name, given) for name in ("operator", "ticket", "approver")]
        done = project.command("run", "001", *(word for pair in pairs for word in pair))
        assert done.code == 2, done.text
        for name in ("operator", "ticket", "approver"):
            assert f"  {name}: takes " in done.text
