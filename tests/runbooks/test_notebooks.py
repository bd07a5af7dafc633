"""Notebooks in git are documents: no outputs, readable cell ids, short cells; and `src/` knows
nothing of them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "runbooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(request.param.read_text())
    return loaded


def code(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    return [(c["id"], "".join(c["source"])) for c in notebook["cells"] if c["cell_type"] == "code"]


def test_it_is_valid_and_holds_no_outputs(notebook: dict[str, Any]) -> None:
    nbformat.validate(notebook)
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_its_cells_have_readable_ids(notebook: dict[str, Any]) -> None:
    ids = [cell["id"] for cell in notebook["cells"]]
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) for name in ids)
    assert len(set(ids)) == len(ids)


def test_its_cells_are_short_and_define_nothing(notebook: dict[str, Any]) -> None:
    for name, source in code(notebook):
        if name != "parameters":
            assert source.count("\n") < 5, name
            assert not re.search(r"^\s*(def|class|for|while|with|try)\b", source, re.MULTILINE), (
                name
            )


def test_a_text_comes_before_each_action(notebook: dict[str, Any]) -> None:
    """What will happen, which lock it takes, what counts as OK."""
    text = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
        elif "run.apply(" in "".join(cell["source"]):
            assert "Locks:" in text, cell["id"]
            assert "**OK:**" in text, cell["id"]


def test_its_cells_look_at_frames_as_they_are(notebook: dict[str, Any]) -> None:
    pandas = re.compile(r"\.(drop|query|loc|iloc|assign|merge|groupby|head|sort_values)\b|pd\.")
    assert [name for name, source in code(notebook) if pandas.search(source)] == []


def test_it_ends_with_the_way_back(notebook: dict[str, Any]) -> None:
    assert code(notebook)[-1] == ("revert", "run.revert()")


def test_what_runbooks_say_alike_is_said_once() -> None:
    """In the guide, which `run.help()` shows: they share headings, and a few words on what is OK."""
    templates = ROOT / "src" / "pgrunbook" / "templates"
    shared: dict[str, list[str]] = {}
    for path in [*NOTEBOOKS, templates / "new" / "runbook.ipynb"]:
        text = re.sub(r"\{% .*? %\}", "", path.read_text())  # the template's own marks
        for cell in json.loads(text)["cells"]:
            if cell["cell_type"] == "markdown":
                for paragraph in "".join(cell["source"]).split("\n\n"):
                    shared.setdefault(paragraph, []).append(path.stem)
    assert [text for text, where in shared.items() if len(where) > 1 and len(text) > 100] == []


def test_nothing_of_the_product_is_named_in_the_engine() -> None:
    product = re.compile(
        r"\b(workspaces?|connections_table|deals?|contacts|accounts|import_batch\w*|stage_mapping\w*|csv_import"
        r"|source_data|source_id|source_type|source_label|hubspot|salesforce|pipedrive|crm)\b",
        re.IGNORECASE,
    )
    files = [p for p in (ROOT / "src").rglob("*") if p.suffix in {".py", ".sql"}]
    assert [f"{p.name}: {m[0]}" for p in files for m in product.finditer(p.read_text())] == []
