"""Finds where a record contradicts itself: parameters or a verdict were edited after the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from nbformat import NotebookNode

from pgrunbook.errors import Problem, Verdict
from pgrunbook.records.how_it_ended import find_ending
from pgrunbook.records.record import Record
from pgrunbook.runbooks.parameters import Parameters


def problems(
    record: Record, cells: Sequence[NotebookNode], chosen: Parameters | None
) -> Iterator[Problem]:
    """Yield each contradiction. `chosen` are the parameters that the cells say now; None if they
    cannot be read.
    """
    if chosen:
        yield from _changed_parameters(record, chosen)
    yield from _changed_verdict(record, cells)


def _changed_parameters(record: Record, chosen: Parameters) -> Iterator[Problem]:
    """Yield parameters that differ from the identity card or the verdict card: somebody has edited
    their cell after the run.
    """
    remedy = "put the parameters back as they were when the cell of the target was run"
    changed = partial(Problem, "was changed after the run", remedy=remedy)
    now = {
        "target": chosen.target,
        "mode": chosen.mode,
        "schema": chosen.schema_,
        "ticket": chosen.ticket,
        "operator": chosen.operator or record.identity.get("operator", ""),
        "approved_plan": chosen.approved_plan,
        "approver": chosen.approver,
    }
    for said in (*record.identities, record.card):
        for name, value in now.items():
            # A card of an older version lacks some of the keys: those cannot be compared.
            if said.get(name, value) != value:
                yield changed(f"parameter {name}", expected=said[name], found=value)


def _changed_verdict(record: Record, cells: Sequence[NotebookNode]) -> Iterator[Problem]:
    """Yield a problem if the verdict in the metadata is not that of the cells."""
    noted, said = record.noted.get("verdict"), find_ending(cells)
    if noted == Verdict.PASSED and said and said.verdict is not Verdict.PASSED:
        remedy = "seal the notebook as it was executed"
        yield Problem("was changed after the run", "verdict", str(said.verdict), noted, remedy)
    if noted and noted not in list(Verdict):
        yield Problem("is not a verdict", "verdict", ", ".join(Verdict), str(noted))
