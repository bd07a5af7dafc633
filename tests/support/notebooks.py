"""Notebooks for tests."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook


def write(path: Path, *cells: str, declared: str = "") -> Path:
    """Write a notebook of these cells, behind one that declares parameters if there are any. Their
    ids are `cell0` and so on.
    """
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = new_notebook(metadata={"kernelspec": kernel})
    if declared:
        made.cells.append(new_code_cell(declared, metadata={"tags": ["parameters"]}))
    made.cells += [new_code_cell(cell, id=f"cell{n}") for n, cell in enumerate(cells)]
    nbformat.write(made, path)
    return path
