"""Masks what looks like a secret in a notebook that was refused because of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pgrunbook.errors import Refused
from pgrunbook.runbooks import parameters_cell
from pgrunbook.secrets.patterns import MASK, looks_secret, mask_shapes

if TYPE_CHECKING:
    from nbformat import NotebookNode


def mask_parameters(nb: NotebookNode) -> None:
    """Mask what looks like a secret in the notebook's parameters, and in its cells."""
    given = nb.metadata.papermill.get("parameters") or {}
    nb.metadata.papermill["parameters"] = _mask_values(given)
    for cell in nb.cells:
        declares = "parameters" in cell.metadata.get("tags", [])
        cell.source = _mask_cell(cell.source, declares=declares)


def _mask_values(values: Mapping[str, Any]) -> dict[str, Any]:
    masked = dict(values)
    for name, value in values.items():
        if looks_secret({name: value}):
            masked[name] = MASK
    return masked


def _mask_cell(source: str, *, declares: bool) -> str:
    try:
        values = parameters_cell.read_assignments(source, "")
    except Refused:
        # Nobody can tell where the secret ends in a cell that cannot be read.
        if declares and looks_secret(source):
            return f"# {MASK}"
        values = {}
    masked = _mask_values(values)
    if masked == values:
        return mask_shapes(source)
    # Written anew: a secret may be hard to find behind a text's quotes and backslashes.
    return "\n".join(f"{name} = {value!r}" for name, value in masked.items())
