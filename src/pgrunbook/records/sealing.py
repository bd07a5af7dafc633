"""Seals executed notebooks: writes the files that belong to one beside it, and adds all of them to
the archive's chain.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import nbformat
from nbformat import NotebookNode

from pgrunbook import files
from pgrunbook.errors import Failed, Problem, Refused, RunbookError, first_line
from pgrunbook.ledger.heads import Head
from pgrunbook.postgres.target import Target
from pgrunbook.records import attestation, consistency, leaks, malformed_notebook
from pgrunbook.records.archive import Archive, seal_command
from pgrunbook.records.format import bundles
from pgrunbook.records.format.parts import Snapshot
from pgrunbook.records.how_it_ended import Ending, final_ending, shown
from pgrunbook.records.ledger_check import LedgerCheck
from pgrunbook.records.reading import sealed_run
from pgrunbook.records.record import Record
from pgrunbook.records.seal import BY_HAND
from pgrunbook.records.untrusted_files import require_regular
from pgrunbook.runbooks import credentials, parameters, targets
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project
from pgrunbook.secrets import search
from pgrunbook.secrets.search import Leak


class Sealed(NamedTuple):
    """The seal that was made: the new head of the archive, and whether it is signed.

    `problems`: what the record lacks, as it could not be read or written. `told`: what the target's
    ledger says of the record, if it was sealed by hand.
    """

    head: Head
    signed: bool
    problems: list[str]
    told: str = ""

    def __str__(self) -> str:
        text = f"number {self.head.sequence}, {self.head.name}"
        if not self.signed:
            text += " (no key: not signed)"
        if self.told:
            text += f"\n{self.told}"
        return text


@dataclass
class Sealing:
    """Seals one executed notebook of the archive, `by_hand` or at the end of its execution.

    `nb` is the notebook in the file, `chosen` are its parameters. `problems`: what the record
    lacks, as it could not be read or written.
    """

    project: Project
    notebook: Path
    nb: NotebookNode
    chosen: Parameters | None
    by_hand: bool
    problems: list[str] = field(default_factory=list)
    _secrets: tuple[str, ...] = ()

    def run(self) -> Sealed:
        """Seal the notebook. The order is that of what may refuse: first what can be checked here,
        then the ledger; files are written last.
        """
        key = self.project.signing_key
        signer = attestation.signer(key) if key else None
        target = self._target()
        with malformed_notebook.refuse(self.notebook.name):
            self._require_truth()
            self._search(target)
            facts, sources = self._facts(), self._record.sources
            # A lone surrogate cannot be written as UTF-8. Find that out before anything is written.
            _json([facts, sources, self._record.snapshots(), self.nb])
        archive = Archive(self.project.outputs)
        archive.require_unsealed(self.notebook)
        if self.by_hand:
            self._require_first(archive)
        check = LedgerCheck(
            self._record, self._ending, self.chosen, self.by_hand, self.problems, self._secrets
        )
        with check.session(target) as conn:
            note = check.compare(conn)
            rows = check.rows(conn)

            # called once nothing else can refuse, and while nobody else adds to the archive
            def complete() -> None:
                if rows:
                    shown = search.clean(rows, self._secrets, sql=True)
                    files.write(self.notebook.with_suffix(".ledger.json"), _json(shown))
                self._take_out_snapshots()

            facts = {
                **facts,
                "sealed": BY_HAND if self.by_hand else "at its end",
                "ledger": note._asdict(),
            }
            head = archive.seal(self.notebook, facts, sources, signer, complete)
            if conn and rows:
                check.note(conn, head)
            told = ""
            if self.by_hand:
                told = "; ".join(filter(None, [note.says, note.remark]))
            return Sealed(head, signer is not None, self.problems, told)

    def _require_truth(self) -> None:
        """Refuse a notebook that was not executed, or contradicts itself: the seal would vouch for
        it.
        """
        if fleet := self._record.fleet:
            about = [fleet.get("runbook") or "001", "--fleet", fleet["fleet"]]
            resume = shlex.join(["pgrunbook", "fleet", "resume", *about])
            raise Refused.of(
                "shows the run of a fleet, whose record is made of its journal alone",
                where=self.notebook.name,
                remedy=f"where its coordinator has died, this makes it: {resume}",
            )
        executed = self._record.started_at or any(cell.get("outputs") for cell in self.nb.cells)
        if not executed:
            remedy = "run its cells, save it with their outputs, and seal that"
            raise Refused.of("was not executed", where=self.notebook.name, remedy=remedy)
        problems = list(consistency.problems(self._record, self.nb.cells, self.chosen))
        if problems:
            raise Refused(
                "The notebook does not show what was run: it is not sealed.", problems=problems
            )

    def _require_first(self, archive: Archive) -> None:
        """Refuse a second notebook of a run whose record is in the archive."""
        run_id = self._record.run_id
        seal = sealed_run(archive, run_id) if run_id else None
        if seal:
            both = [str(archive.root / seal.notebook), str(self.notebook)]
            raise Refused.of(
                "is not the record of that run: it has one",
                where=self.notebook.name,
                expected=seal.notebook,
                found=self._record.run_id,
                remedy=shlex.join(["pgrunbook", "archive", "diff", *both]),
            )

    def _target(self) -> Target | None:
        """Return the run's target; None if pgrunbook.toml or libpq do not know it any more."""
        if self.chosen:
            with suppress(RunbookError):
                return targets.resolve(self.chosen.target, self.project)
        return None

    def _search(self, target: Target | None) -> None:
        """Search for secrets and mask them: another engine than ours has not done that.

        Raises Failed if one is a password of the run: it has to be changed before anything is
        sealed. What only looks like a secret becomes one of `problems`.
        """
        self._secrets = credentials.passwords_of(target) if target else ()
        found = leaks.search(self.nb, self._secrets)
        if not found:
            return
        leaks.mask(self.nb, self._secrets)
        files.write(self.notebook, _json(self.nb))
        own = [leak for leak in found if leak.known]
        if own:
            raise Failed(
                "The notebook held a secret, which is masked now: it is not sealed.",
                problems=_leak_problems(own, self.notebook),
            )
        self.problems += [f"what looks like a secret was masked: {leak}" for leak in found]

    def _facts(self) -> Mapping[str, Any]:
        ending, noted, identity = self._ending, self._record.noted, self._record.identity
        operator, given = "", {}
        if self.chosen:
            operator, given = self.chosen.operator, self.chosen.record()
        return {
            "id": self._record.run_id,
            "runbook": self._record.runbook or self.notebook.stem,
            "operator": identity.get("operator", operator),
            "database": identity.get("database", ""),
            "system_identifier": identity.get("system_identifier", ""),
            "verdict": noted.get("verdict", str(ending.verdict)),
            "reason": noted.get("reason", ending.reason),
            "parameters": given,
        }

    def _take_out_snapshots(self) -> None:
        """Move the snapshots into a file of their own. If an earlier attempt at sealing has done
        that, check that the file is there.
        """
        beside = self.notebook.with_suffix(".snapshots.json")
        if any(said.file for said, _ in shown(self.nb.cells, Snapshot)):
            if not beside.exists():
                self.problems.append(
                    f"the state of the tables is not in the record: there is no {beside.name}"
                )
            return
        snapshots = self._record.snapshots()
        if snapshots:
            files.write(beside, _json(bundles.snapshots_file(snapshots)))
            for cell in self.nb.cells:
                bundles.take_out_snapshots(cell, beside.name)
            # without indentation, which would be a seventh of the file as nbformat writes it
            files.write(self.notebook, _json(self.nb))

    @cached_property
    def _record(self) -> Record:
        return Record(self.nb)

    @cached_property
    def _ending(self) -> Ending:
        return final_ending(self.nb.cells)


def seal(project: Project, notebook: Path, *, by_hand: bool = False) -> Sealed:
    """Seal the record of a run that has ended. `by_hand`: the caller has not executed it.

    If the target can be reached, the ledger's rows about the run are written beside the notebook,
    and the new head into the ledger.

    Raises Refused if the file is not a notebook of the archive, is sealed already, was not
    executed, has other parameters than the run, or contradicts the ledger; Failed if the archive is
    broken, or cannot be written.
    """
    name = Archive(project.outputs).name(notebook)
    require_regular(notebook)
    try:
        with malformed_notebook.refuse(name):
            nb = _read(notebook)
            bundles.require_known(nb, name)
            chosen = _parameters(nb)
        return Sealing(project, notebook, nb, chosen, by_hand).run()
    except OSError as exc:
        remedy = f"once the disk can be written: {seal_command(notebook)}"
        raise Failed.of(
            "could not be sealed", where=name, found=exc.strerror or str(exc), remedy=remedy
        ) from exc


def _leak_problems(found: Sequence[Leak], notebook: Path) -> list[Problem]:
    remedy = (
        "change it, as it may have been read meanwhile; read the record, then: "
        f"{seal_command(notebook)}"
    )
    return [Problem(leak.what, where=leak.where, remedy=remedy) for leak in found]


def _read(notebook: Path) -> NotebookNode:
    text = notebook.read_text(encoding="utf-8")
    try:
        return cast(NotebookNode, nbformat.reads(text, as_version=4))
    except Exception as exc:  # nbformat raises errors of many kinds
        raise ValueError(f"{type(exc).__name__}: {first_line(exc)}") from exc


def _parameters(nb: NotebookNode) -> Parameters | None:
    try:
        return parameters.papermill_parameters(nb)
    except Refused:  # the run was refused because of them
        return None


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
