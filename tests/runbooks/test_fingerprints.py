"""What of a project an approval covers: the Python that a notebook imports, too."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from pgrunbook.runbooks.fingerprints import Sources, code_digest
from pgrunbook.runbooks.source import Source

FILES = {
    "helper.py": "import json\nfrom more.inner import name\n",
    "more/__init__.py": "",
    "more/inner.py": "from . import other\nname = 1\n",
    "more/other.py": "",
    "alone.py": "",
    "by_list.py": "",
    "by_magic.py": "",
    "sql/001_x/deploy/010_a.sql": "-- title: A\n-- why: it is a test\n\nSELECT 1;\n",
}


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    path = tmp_path / "runbooks" / "001_x.ipynb"
    path.parent.mkdir()
    cells = ["%matplotlib inline\nimport os, helper", "def f():\n    import helper", "import ("]
    cells += ["import sys, by_magic as b\nrows = %sql SELECT 1\nfrom by_list import (\n    a,\n)"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbformat.write(made, path)
    return path


def code(notebook: Path) -> dict[str, str]:
    folder = notebook.parent.parent / "sql" / notebook.stem
    return dict(Sources.of(notebook, Source.read(folder)).code)


def test_what_the_notebook_imports_of_the_project_is_a_part_of_the_plan(notebook: Path) -> None:
    imported = ["by_list.py", "by_magic.py", "helper.py"]
    imported += ["more/__init__.py", "more/inner.py", "more/other.py"]
    before, all_of_it = code(notebook), code_digest(notebook, notebook.parent)
    assert list(before) == ["runbooks/001_x.ipynb", *imported]
    (notebook.parent.parent / "more" / "other.py").write_text("changed = True\n")
    now = code(notebook)
    assert [name for name in before if now[name] != before[name]] == ["more/other.py"]
    assert code_digest(notebook, notebook.parent) != all_of_it
