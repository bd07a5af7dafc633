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


def test_nothing_of_the_product_is_named_in_the_engine() -> None:
    product = re.compile(
        r"\b(workspaces?|connections_table|deals?|contacts|accounts|import_batch\w*|stage_mapping\w*|csv_import"
        r"|source_data|source_id|source_type|source_label|hubspot|salesforce|pipedrive|crm)\b",
        re.IGNORECASE,
    )
    files = [p for p in (ROOT / "src").rglob("*") if p.suffix in {".py", ".sql"}]
    assert [f"{p.name}: {m[0]}" for p in files for m in product.finditer(p.read_text())] == []
