"""Notebooks of another form, as whoever can write to outputs/ may leave them: they are refused, with
what is wrong. No server.
"""

from __future__ import annotations

import copy
import json
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pgrunbook.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore")
PASSED = sorted((Path(__file__).parent / "of_version_0" / "archive").rglob("*.ipynb"))[-3]
_VALUES: tuple[Any, ...] = (None, [], {}, "", -1, 1e308, 10**400, True, "x", "\ud800", [None], [[]])


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a record, by itself in the archive of a project."""
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(tmp_path))
    # by which nbformat repeats what it finds: no report can hold what is no Unicode
    monkeypatch.setattr(logging.getLogger("traitlets"), "disabled", True)
    (tmp_path / "pgrunbook.toml").write_text("")
    made = tmp_path / "outputs/env-CRM_URL/001_import_connector" / PASSED.name
    made.parent.mkdir(parents=True)
    shutil.copy(PASSED, made)
    return made


def command(name: str, notebook: Path) -> tuple[int, str]:
    """The exit code of a command on the notebook, and what it says. Raises what ends it."""
    given = [str(PASSED), str(notebook)] if name == "diff" else [str(notebook)]
    done = CliRunner().invoke(main, ["archive", name, *given])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("name", ["diff", "seal"])
@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"metadata": {"papermill": True}}, "AttributeError"),
        ({"metadata": [1]}, ""),
        ({"cells": [3]}, ""),
        ({"cells": {}}, ""),
        ({"metadata": {"pgrunbook": {"version": "x"}}}, "the version of the format is 'x'"),
        ({"metadata": {"pgrunbook": {"verdict": [1]}}}, "Noted.verdict: Input should be a valid"),
    ],
)
def test_what_is_no_record_is_refused(
    notebook: Path, name: str, changed: dict[str, Any], found: str
) -> None:
    notebook.write_text(json.dumps(json.loads(PASSED.read_text()) | changed))
    code, said = command(name, notebook)
    assert code == 2, said
    assert f"{notebook.name}: is not a record of ours" in said
    assert found in said


@pytest.mark.parametrize(
    "changed",
    [{"nbformat": 1, "cells": [{"cell_type": "x"}]}, {"metadata": {"note": "\ud800"}}],
    ids=["version", "no Unicode"],
)
def test_what_cannot_be_written_again_is_not_sealed(
    notebook: Path, changed: dict[str, Any]
) -> None:
    made = json.loads(PASSED.read_text())
    made["metadata"].update(changed.pop("metadata", {}))
    notebook.write_text(json.dumps(made | changed))
    code, said = command("seal", notebook)
    assert (code, "is not a record of ours" in said) == (2, True), said


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value in a notebook is; of the rows of a frame the first."""
    inner = node.items() if isinstance(node, dict) else enumerate(node[:40])
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


def _changed(times: int, seed: int) -> Iterator[dict[str, Any]]:
    """The record, each time with a value of another form in one place."""
    whole = json.loads(PASSED.read_text())
    places = [
        place
        for place in _places(whole)
        if place[0] != "cells" or len(place) < 5 or any("pgrunbook" in str(key) for key in place)
    ]
    chance = random.Random(seed)  # the same each time
    for *above, key in chance.sample(places, times):
        made = copy.deepcopy(whole)
        node = made
        for each in above:
            node = node[each]
        if chance.random() < 0.2:
            del node[key]
        else:
            node[key] = chance.choice(_VALUES)
        yield made


@pytest.mark.parametrize("name", ["diff", "seal"])
def test_whatever_is_in_it_a_command_ends_with_a_verdict(notebook: Path, name: str) -> None:
    outputs = notebook.parents[2]
    refused = 0
    for made in _changed(120, seed=7):
        notebook.write_text(json.dumps(made))
        code, said = command(name, notebook)
        assert code in (0, 1, 2), said
        refused += "is not a record of ours" in said
        for left in [*outputs.glob("*"), *notebook.parent.glob("*")]:
            if left.is_file():
                left.unlink()
    assert refused > 10
