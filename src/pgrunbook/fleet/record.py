"""Makes the record of a fleet's run: a notebook that shows what the journal says, sealed together
with the journal. No cell of it was run, and it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pgrunbook import files
from pgrunbook.fleet import picture, signature
from pgrunbook.fleet.journal import write_error
from pgrunbook.fleet.state import State, TargetState
from pgrunbook.ledger.heads import Head
from pgrunbook.records import attestation, leaks
from pgrunbook.records.archive import Archive
from pgrunbook.records.card import STYLE, VerdictCard, escape
from pgrunbook.records.format import bundles
from pgrunbook.records.format.bundles import bundle
from pgrunbook.records.format.parts import (
    Card,
    FleetShown,
    Frame,
    IdentityCard,
    Kind,
    Noted,
    Rows,
)
from pgrunbook.records.naming import JOURNAL, NOTEBOOK, seal_of
from pgrunbook.records.words import listed
from pgrunbook.runbooks.project import Project

_SOURCE = "# Written by the fleet's coordinator. This cell was not run."
# The columns of the two tables. Programs read them, so their names and their order stay.
_STATES = ("passed", "failed", "set aside", "not done", "waiting")
_WAVES = ("wave", "of", "budget", "state", "targets", *_STATES)
_TARGETS = (
    "name",
    "wave",
    "state",
    "reason",
    "attempts",
    "run",
    "started_at",
    "ended_at",
    "record",
    "sha256",
    "remark",
)


def notebook_of(journal: Path) -> Path:
    """Return the path of the notebook beside a journal. It exists once the run has ended."""
    return journal.with_name(journal.name.removesuffix(JOURNAL) + NOTEBOOK)


def is_sealed(project: Project, journal: Path) -> bool:
    """Return whether the record of the run with this journal is sealed."""
    return Archive(project.outputs).is_sealed(notebook_of(journal))


def is_from_ledgers(project: Project, journal: Path) -> bool:
    """Return whether a seal says that what came of the targets was read from their ledgers."""
    seal = Archive(project.outputs).read(seal_of(notebook_of(journal)))
    return not seal.origin


# What a seal says of the targets' ledgers: made by the run's own coordinator, or by a later one.
_READ = "what came of each target was read from its ledger"
_FOUND = "its coordinator had died: the journal's word, but for targets that were at work"


def seal(
    project: Project, journal: Path, state: State, *, found: bool = False
) -> tuple[Path, Head]:
    """Write the record of a run beside its journal, and seal both.

    `found`: the run's own coordinator has died, and another one has found the journal. Raises
    Failed if the archive cannot be added to.
    """
    notebook = notebook_of(journal)
    try:
        return notebook, _write_and_seal(project, notebook, journal, state, found=found)
    except OSError as exc:
        raise write_error(notebook, exc.strerror or str(exc)) from exc


def _write_and_seal(
    project: Project, notebook: Path, journal: Path, state: State, *, found: bool
) -> Head:
    made = _notebook(state, journal.name)
    leaks.mask(made, ())  # a reason may repeat anything
    files.write(notebook, (nbformat.writes(made) + "\n").encode())
    key = project.signing_key
    signer = attestation.signer(key) if key else None
    says = _READ
    if found:
        doubts = signature.problems(project, journal)
        says = "; it ".join([_FOUND, *(problem.what for problem in doubts)])
    run = {
        "id": state["id"],
        "fleet": state["fleet"],
        "runbook": state["runbook"],
        "operator": state["parameters"]["operator"],
        "verdict": str(state.verdict),
        "reason": state.reason,
        "parameters": state["parameters"],
        "sealed": "after its end" if found else "at its end",
        "ledger": {"compared": False if found else None, "says": says},
    }
    return Archive(project.outputs).seal(notebook, run, {}, signer)


def _notebook(state: State, journal: str) -> NotebookNode:
    title = f"Fleet `{state['fleet']}`: {state['runbook']}"
    about = (
        f"# {title}\n\nWritten from the run's journal, `{journal}`, when the run had ended. **No "
        "cell of it was run**: each target has a record of its own, with the SHA-256 below."
    )
    cells = [
        new_markdown_cell(about, id="about"),
        _cell("run", {**_facts_table(state), **bundle(_identity(state))}),
        _cell("waves", _table(_WAVES, _wave_rows(state))),
        _cell(
            "picture", {"image/svg+xml": picture.draw(state), "text/plain": "The waves over time"}
        ),
        _cell("not-passed", _not_passed(state)),
        _cell("targets", {**_all_targets(state), **bundle(_fleet(state))}),
        _cell("verdict", _card(state)._repr_mimebundle_()),
    ]
    noted = Noted(verdict=str(state.verdict), reason=state.reason, run_id=state["id"])
    metadata = {"pgrunbook": bundles.note(noted), "language_info": {"name": "python"}}
    return cast(NotebookNode, new_notebook(cells=cells, metadata=metadata))


def _cell(name: str, data: Mapping[str, Any]) -> NotebookNode:
    output = new_output("display_data", data=dict(data))
    return cast(NotebookNode, new_code_cell(_SOURCE, id=name, outputs=[output]))


def _identity(state: State) -> Frame:
    given, approved = state["parameters"], state["approved"]
    target = IdentityCard(
        run=state["id"],
        mode=state["mode"],
        operator=given["operator"],
        ticket=given.get("ticket", ""),
        approved_plan=approved.get("set", ""),
        approver=approved.get("approver", ""),
        started_at=state["at"],
        versions={"pgrunbook": version("pgrunbook")},
    )
    return Frame(kind=Kind.IDENTITY, target=target)


def _facts_table(state: State) -> dict[str, str]:
    approved = state["approved"]
    facts = {
        "fleet": state["fleet"],
        "runbook": state["runbook"],
        "run": state["id"],
        "resumes": state.begun.get("resumes", ""),
        "mode": state["mode"],
        "operator": state["parameters"]["operator"],
        "ticket": state["parameters"].get("ticket", ""),
        "list of targets": f"{len(state.targets):,}, SHA-256 {state['list']}",
        "slice": state.begun.get("slice", ""),
        "approved set": f"{approved['set']} by {approved['approver']}" if approved else "",
        "stopped by": state.stopped_by,
        "left out": _left_out(state.left_out),
    }
    rows = [[label, value] for label, value in facts.items() if value]
    return _table(("", ""), rows)


def _left_out(lines: Sequence[int]) -> str:
    many = listed([f"{line:,}" for line in lines])
    return many and f"of the journal, as somebody else has added it: line {many}"


def _wave_rows(state: State) -> list[list[Any]]:
    rows = []
    for number, wave in enumerate(state.waves):
        counts = state.counts(number)
        numbers = [counts[word] for word in _STATES]
        rows.append(
            [number + 1, wave.spec, wave.budget, wave.state, counts.total(), *numbers],
        )
    return rows


def _target_row(each: TargetState) -> list[Any]:
    return [
        each.target.name,
        each.wave + 1,
        each.word,
        each.reason,
        each.attempts,
        each.run,
        each.started_at,
        each.ended_at,
        each.record,
        each.sha256,
        each.remark,
    ]


def _fleet(state: State) -> FleetShown:
    return FleetShown(
        fleet=state["fleet"],
        runbook=state["runbook"],
        mode=state["mode"],
        run=state["id"],
        resumes=state.begun.get("resumes", ""),
        list_=state["list"],
        approved=state["approved"],
        started_at=state["at"],
        ended_at=state.ended_at,
        waves=Rows(columns=_WAVES, rows=_wave_rows(state)),
        targets=Rows(columns=_TARGETS, rows=list(map(_target_row, state.targets.values()))),
    )


def _not_passed(state: State) -> dict[str, Any]:
    """Return a table of the targets that did not pass. Those that wait are left out: there may be
    thousands, with nothing to say of each.
    """
    rows = []
    for each in state.targets.values():
        if each.word not in ("passed", "waiting") or each.remark:
            rows.append([each.target.name, each.wave + 1, each.word, each.reason, each.remark])
    if not rows:
        return {"text/plain": state.reason}
    return _table(("name", "wave", "state", "reason", "remark"), rows)


def _all_targets(state: State) -> dict[str, Any]:
    """Return all targets as folded text: a browser takes long for a table of thousands of rows."""
    lines = []
    for each in state.targets.values():
        parts = (each.target.name, each.word, each.sha256, each.record)
        lines.append(" ".join(filter(None, parts)))
    return {
        "text/plain": "\n".join(lines),
        "text/html": f"<details><summary>{len(lines):,} targets, each with the SHA-256 of its "
        f"record</summary><pre>{escape(chr(10).join(lines))}</pre></details>",
    }


def _card(state: State) -> VerdictCard:
    began, ended = (datetime.fromisoformat(each) for each in (state["at"], state.ended_at))
    return VerdictCard(
        Card(
            verdict=state.verdict,
            reason=state.reason,
            run=state["id"],
            runbook=state["runbook"],
            mode=state["mode"],
            ended_at=state.ended_at,
            took_ms=(ended - began).total_seconds() * 1000,
        )
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Return a table for people, as HTML and as text."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = ""
    lines = [" · ".join(filter(None, columns))]
    for row in rows:
        cells = "".join(f"<td>{escape(value)}</td>" for value in row)
        body += f"<tr>{cells}</tr>"
        lines.append(" · ".join(str(value) for value in row if value != ""))
    return {
        "text/html": f'<div class="pgrunbook">{STYLE}<table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>",
        "text/plain": "\n".join(lines).strip(),
    }
