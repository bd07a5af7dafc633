"""A run's parameters: typed, closed, and never a secret."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from support.projects import Project

from pgrunbook import Refused
from pgrunbook.durations import milliseconds
from pgrunbook.runbooks import notebooks
from pgrunbook.runbooks.parameters import RUN_ID, read_declaration, run_id, validate
from pgrunbook.runbooks.parameters_cell import read_assignments

DECLARED = {
    "target": "embedded",
    "mode": "apply",
    "schema": "public",
    "ticket": "",
    "table": "",
    "limit": 10,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200ms", 200),
        ("5s", 5000),
        ("1min", 60_000),
        ("1.5 s", 1500),
        ("250", 250),
        ("2h", 7_200_000),
    ],
)
def test_durations_are_read_as_postgresql_writes_them(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "fast", "-1s", "0", "0ms", "100us", "40d", "1 week", "9" * 400, "\u0661\u0665\u0660ms"],
)
def test_a_duration_that_is_none_or_endless_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="takes a duration"):
        milliseconds(text)


def test_defaults_hold_and_own_parameters_are_kept_apart() -> None:
    chosen = validate(DECLARED, {"mode": "plan", "table": "users"})
    assert (chosen.target, chosen.mode, chosen.schema_) == ("embedded", "plan", "public")
    assert chosen.own == {"table": "users", "limit": 10}


def test_every_wrong_parameter_is_named_at_once() -> None:
    given = {"mode": "aply", "ticket": 7, "limit": "many", "tabel": "users", "lock_timeout": "soon"}
    with pytest.raises(Refused) as caught:
        validate(DECLARED, given)
    problems = {problem.where: problem for problem in caught.value.problems}
    assert problems.keys() == given.keys()
    assert "plan" in problems["mode"].what
    assert problems["ticket"].found == "7 (int)"
    assert problems["tabel"].what == "unknown parameter"
    assert "table" in problems["tabel"].expected


UNKEPT = [(1, 2), [1, (2, 3)], {1: "a"}, {"a": {1, 2}}, [b"x"], ["a\0b"], ["\ud800"], [1e999]]


@pytest.mark.parametrize("value", UNKEPT, ids=ascii)
def test_what_json_does_not_keep_is_no_parameter(value: Any) -> None:
    with pytest.raises(Refused) as caught:
        validate({**DECLARED, "sizes": [1]}, {"sizes": value})
    (problem,) = caught.value.problems
    assert problem.where == "sizes"
    with pytest.raises(Refused, match="not a literal that JSON has"):
        read_assignments(f"sizes = {value!r}", "here")


@pytest.mark.parametrize("nested", [False, True])
def test_a_number_that_python_reads_and_does_not_write_is_no_parameter(*, nested: bool) -> None:
    number = int("f" * 5_000, 16)
    with pytest.raises(Refused, match="limit: takes a value that JSON keeps as it is"):
        validate(DECLARED, {"limit": [number] if nested else number})


def test_an_id_of_the_environment_is_that_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID, "0b2f8e4c-7a51-4f0e-9a57-1f2f3c0f7f10")
    assert run_id() == "0b2f8e4c-7a51-4f0e-9a57-1f2f3c0f7f10"
    monkeypatch.setenv(RUN_ID, "../../release")
    with pytest.raises(Refused, match="PGRUNBOOK_RUN_ID: is no run's id"):
        run_id()
    monkeypatch.delenv(RUN_ID)
    assert run_id() != run_id()


def test_what_json_keeps_is_one() -> None:
    value = {"a": [1, 1e23, None, "\\u0000", "é"]}
    assert validate({"sizes": {}}, {"sizes": value}).own == {"sizes": value}


@pytest.mark.parametrize("number", ["{[]: 1}", "-" * 5000 + "1"])
def test_a_number_on_the_command_line_that_is_none(project: Project, number: str) -> None:
    notebook = project.root / "runbooks" / "001_import_connector.ipynb"
    declared = '"ticket = \\"\\"\\n",'
    assert declared in notebook.read_text()
    notebook.write_text(notebook.read_text().replace(declared, f'"number = 1\\n", {declared}'))
    done = project.command("run", "001", "-p", "number", number)
    assert done.code == 2, done.text
    assert "takes a whole number" in done.text


def test_every_name_that_cannot_be_a_parameters_is_named_at_once() -> None:
    """What the model of the parameters is made of would be broken by it, or break it."""
    taken = ["_limit", "__", "record", "own", "model_dump", "model_config", "copy", "schema_"]
    given = {"copy": 3, "limit": "many"}
    with pytest.raises(Refused) as caught:
        validate({**DECLARED, **dict.fromkeys(taken, 1), "model": "x", "mode": "plan"}, given)
    *misnamed, wrong = caught.value.problems
    assert [problem.where for problem in misnamed] == taken
    assert {problem.what for problem in misnamed} == {"cannot be the name of a parameter"}
    assert "call it limit_value" in misnamed[0].remedy
    assert wrong.where == "limit"


def test_nothing_is_converted() -> None:
    """papermill's `-p x false` arrives as a text; it must not become a truth value by having
    letters.
    """
    with pytest.raises(Refused, match="takes True or False"):
        validate({**DECLARED, "dry": False}, {"dry": "false"})
    with pytest.raises(Refused, match="takes a whole number"):
        validate(DECLARED, {"limit": True})


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:hunter2@db/crm",
        "postgresql+psycopg://app:hunter2@db/crm",
        "host=db user=app password=hunter2",
        "host=db password = 'hunter2 it\\'s'",
        "postgresql://db/crm?user=app&password=hunter2",
    ],
)
@pytest.mark.parametrize("name", ["target", "ticket", "table", "nonsense"])
def test_a_password_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(Refused, match="holds a password") as caught:
        validate(DECLARED, {name: value})
    assert "hunter2" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("declaration", "given"),
    [
        ({**DECLARED, "password": "hunter2"}, {}),
        ({**DECLARED, "password": ""}, {"password": "hunter2"}),
        (DECLARED, {"password": "hunter2"}),
        ({**DECLARED, "password": "hunter2"}, {"password": "hunter2"}),
    ],
)
def test_a_name_may_say_what_its_value_does_not(
    declaration: dict[str, Any], given: dict[str, str]
) -> None:
    with pytest.raises(Refused) as caught:
        validate(declaration, given)
    assert [problem.where for problem in caught.value.problems] == ["password"]
    assert "hunter2" not in str(caught.value)


def test_beside_a_password_every_other_problem_is_named_but_no_value_shown() -> None:
    given = {"target": "postgresql://app:123456@db/crm", "ticket": 123456, "tabel": "users"}
    with pytest.raises(Refused) as caught:
        validate(DECLARED, given)
    assert {problem.where for problem in caught.value.problems} == {"target", "ticket", "tabel"}
    assert "123456" not in str(caught.value)


def test_a_password_in_a_default_is_refused_even_if_it_is_replaced() -> None:
    with pytest.raises(Refused, match="target: holds a password"):
        validate({**DECLARED, "target": "postgresql://app:hunter2@db/crm"}, {"target": "embedded"})


CELL = {
    "cell_type": "code",
    "id": "one",
    "metadata": {},
    "source": [],
    "outputs": [],
    "execution_count": None,
}


def notebook(tmp_path: Path, *cells: str) -> Path:
    path = tmp_path / "001_x.ipynb"
    tagged = [
        {"cell_type": "code", "source": [cell], "metadata": {"tags": ["parameters"]}}
        for cell in cells
    ]
    path.write_text(json.dumps({"cells": tagged}))
    return path


ODD: dict[str, dict[str, Any]] = {
    "no version": {"nbformat": None},
    "a later version": {"nbformat": 99},
    "metadata": {"metadata": []},
    "outputs": {"cells": [CELL | {"outputs": None}]},
    "an output": {"cells": [CELL | {"outputs": [3]}]},
    "source": {"cells": [CELL | {"source": {"a": 1}}]},
    "an id": {"cells": [CELL | {"id": 3}]},
    "no Unicode": {"cells": [CELL | {"source": "\ud800"}]},
}


@pytest.mark.parametrize("odd", ODD)
def test_a_notebook_that_papermill_cannot_read_or_write_is_refused(
    tmp_path: Path, odd: str
) -> None:
    path = tmp_path / "001_x.ipynb"
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [CELL]}
    path.write_text(json.dumps(whole))
    notebooks.require_valid(path)
    path.write_text(json.dumps(whole | ODD[odd]))
    with pytest.raises(Refused, match="is not a notebook"):
        notebooks.require_valid(path)


@pytest.mark.parametrize("minor", [4, 5])  # before 5, cells have no ids
def test_what_the_format_does_not_know_is_no_harm(tmp_path: Path, minor: int) -> None:
    path = tmp_path / "001_x.ipynb"
    path.write_text(
        json.dumps(
            {
                "nbformat": 4,
                "nbformat_minor": minor,
                "metadata": {"kernelspec": {}},
                "cells": [CELL, CELL],
            }
        )
    )
    with warnings.catch_warnings(action="error"):  # of ids that are there twice
        notebooks.require_valid(path)


def test_parameters_are_declared_in_the_tagged_cell(tmp_path: Path) -> None:
    path = notebook(tmp_path, 'target = "embedded"\nlimit: int = 10  # rows\n')
    assert read_declaration(path) == {"target": "embedded", "limit": 10}


@pytest.mark.parametrize("cells", [[], ["a = 1", "b = 2"]])
def test_there_is_exactly_one_such_cell(tmp_path: Path, cells: list[str]) -> None:
    with pytest.raises(Refused, match="exactly one"):
        read_declaration(notebook(tmp_path, *cells))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "invalid start byte"),
        (b"[]", "JSON of another form"),
        (b'{"cells": [{}]}', "JSON of another form"),
        (b'{"cells": ["run = 1"]}', "JSON of another form"),
    ],
)
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, text: bytes, found: str) -> None:
    path = tmp_path / "001_x.ipynb"
    path.write_bytes(text)
    with pytest.raises(Refused, match="is not a notebook") as caught:
        read_declaration(path)
    (problem,) = caught.value.problems
    assert problem.where == "001_x.ipynb"
    assert found in problem.found


UNREADABLE = [
    (
        'a = 1\n\ntarget = "embedded',
        "line 3: unterminated string literal",
        'target = "embedded\n         ^',
    ),
    ("target = (\n  1", "line 1: '(' was never closed", "target = (\n         ^"),
    ("%load_ext sql", "line 1: invalid syntax", "%load_ext sql\n^"),
    ("  a = 1", "line 1: unexpected indent", "  a = 1\n ^"),
    ("a = 1\f\r\nimport os", "line 2: more than assignments", "import os\n^"),
    ("a = 1; f(1)", "line 1: more than assignments", "a = 1; f(1)\n       ^"),
    ("a: int", "line 1: more than assignments", "a: int\n^"),
    ("a = b = 1", "line 1: more than assignments", "a = b = 1\n^"),
    ("a, b = 1, 2", "line 1: more than assignments", "a, b = 1, 2\n^"),
    ("a += 1", "line 1: more than assignments", "a += 1\n^"),
    ("é = os.environ", "line 1: not a literal", "é = os.environ\n    ^"),
    ("a: int = 1 + 2", "line 1: not a literal", "a: int = 1 + 2\n         ^"),
    ("a = {[]: 1}", "line 1: not a literal", "a = {[]: 1}\n    ^"),
    ("a = b'x'", "line 1: not a literal that JSON has", "a = b'x'\n    ^"),
    ("a = 1e999", "line 1: not a literal that JSON has", "a = 1e999\n    ^"),
    ("a = {1}", "line 1: not a literal that JSON has", "a = {1}\n    ^"),
]


@pytest.mark.parametrize(("source", "message", "found"), UNREADABLE)
def test_what_is_not_an_assignment_of_a_literal_is_refused_with_its_place(
    source: str, message: str, found: str
) -> None:
    with pytest.raises(Refused) as caught:
        read_assignments(source, "001_x.ipynb, parameters cell")
    assert (
        str(caught.value).splitlines()[1].startswith(f"  001_x.ipynb, parameters cell, {message}")
    )
    assert caught.value.problems[0].found == found


@pytest.mark.parametrize(
    "source",
    ["a = '\0'", "a = '\ud800'", f"a = {'-' * 100_000}1", f"a = {'(' * 300}", "a = " + "9" * 5000],
)
def test_what_python_itself_cannot_take_is_refused_too(source: str) -> None:
    with pytest.raises(Refused, match="here"):
        read_assignments(source, "here")


@pytest.mark.parametrize("end", ["", "'", "'.strip()", "'\nimport os", "'\nb = ("])
def test_no_password_is_shown_out_of_a_cell_that_cannot_be_read(end: str) -> None:
    with pytest.raises(Refused) as caught:
        validate(
            read_assignments(rf"target = 'host=db password=\'it\\\'s hunter2\'{end}", "here"), {}
        )
    assert "hunter2" not in str(caught.value)
    assert caught.value.problems[0].found == ""
