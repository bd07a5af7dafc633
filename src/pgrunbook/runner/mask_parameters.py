"""A notebook that is refused because of a secret in its parameters: what looks like one is taken
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pgrunbook.errors import Refused
from pgrunbook.runbooks import parameters_cell
from pgrunbook.secrets.patterns import MASK, looks_secret, mask_shapes

if TYPE_CHECKING:
    from nbformat import NotebookNode


def mask_parameters(nb: NotebookNode) -> None:
    """Take what looks like a secret out of a notebook that was refused because of it."""
    given = nb.metadata.papermill.get("parameters") or {}
    nb.metadata.papermill["parameters"] = _masked_values(given)
    for cell in nb.cells:
        cell.source = _masked_cell(
            cell.source, declares="parameters" in cell.metadata.get("tags", [])
        )


def _masked_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: MASK if looks_secret({name: value}) else value for name, value in values.items()}


def _masked_cell(source: str, *, declares: bool) -> str:
    """Assignments are written anew, as a secret may be hard to find behind a text's quotes and
    backslashes. Of a cell that should hold nothing else and cannot be read, nothing is left: there
    is no telling where the secret ends.
    """
    try:
        values = parameters_cell.read_assignments(source, "")
    except Refused:
        if declares and looks_secret(source):
            return f"# {MASK}"
        values = {}
    if values == (masked := _masked_values(values)):
        return mask_shapes(source)
    return "\n".join(f"{name} = {value!r}" for name, value in masked.items())
