"""Runs a runbook against one target after another in this process: no kernel is started for each.

What a run does, its record and its verdict are as of `run_notebook`, with the same engine. The
cells run in a shell of this process: `warm_client`.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from nbformat import NotebookNode
from papermill.execute import prepare_notebook_metadata, remove_error_markers
from papermill.iorw import load_notebook_node, papermill_io
from papermill.parameterize import parameterize_notebook

from pgrunbook import signals
from pgrunbook.errors import Refused, RunbookError, Verdict
from pgrunbook.planning.refusals import ONE_OF_MANY
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.record import Record
from pgrunbook.runbooks import kernel_spec, notebooks, parameters, started_with, targets
from pgrunbook.runbooks.environment import set_variables
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import Project
from pgrunbook.runner import engine, run_notebook
from pgrunbook.runner.engine import NotPassed, RunbookEngine
from pgrunbook.runner.output_file import Output
from pgrunbook.secrets import search

_LOG = logging.getLogger(__name__)

# What cells change belongs to the process: its output, its folder, its environment.
_alone = threading.Lock()

_STOPPED = Ending(Verdict.INTERRUPTED, "stopped by a signal, before any cell was run")


class WarmWorker:
    """Runs one notebook, as it is now, against any number of targets, one at a time.

    Raises Refused if the notebook cannot be run. The kernel that it asks for is not started: its
    cells run in the Python of this process.
    """

    def __init__(self, project: Project, notebook: Path) -> None:
        self.project, self.notebook = project, notebook
        notebooks.require_valid(notebook)
        self._kernel = notebooks.kernel(notebook)
        kernel_spec.require(self._kernel, notebook.name)
        started_with.require_not_executed(notebook)
        run_notebook.register_engine()
        self._declared = parameters.read_declaration(notebook)
        self._loaded = remove_error_markers(load_notebook_node(str(notebook)))

    def run(
        self,
        target: str,
        given: Mapping[str, Any],
        run_id: str,
        *,
        folder: str = "",
        cell_timeout_s: float | None = None,
    ) -> tuple[Path | None, Ending]:
        """Run it against a target, and seal its record. Returns the path of the record, None if no
        cell was run, and how the run ended.

        The record lies in a `folder` of `outputs/`, by default that of the target and schema. A
        cell that takes longer than `cell_timeout_s` is interrupted. If it, or what a signal stops,
        does not end within seconds, the process does: then the target's ledger says what was
        committed.
        """
        try:
            with self._own_process(run_id):
                chosen = self._validate(target, given)
                reached = targets.resolve(target, self.project)
                place = folder or reached.records(chosen.schema_)
                output = run_notebook.record_path(self.project, place, self.notebook.stem, run_id)
                path = self.project.root / output  # absolute, as a cell may change the folder
                nb = self._parameterize(target, given, str(path))
                ending = self._execute(nb, str(path), cell_timeout_s)
                ending, seal = engine.seal_record(self.project, path, ending)
                _LOG.info("%s on %s: %s, %s", self.notebook.stem, target, ending.verdict, seal)
                return path, ending
        except RunbookError as exc:
            return None, engine.ending_of(exc)
        except KeyboardInterrupt:
            return None, _STOPPED

    def plan(
        self,
        target: str,
        given: Mapping[str, Any],
        run_id: str,
        *,
        mode: Literal["plan", "verify"] = "plan",
        cell_timeout_s: float | None = None,
    ) -> tuple[Record | None, Ending]:
        """Run it against a target in a mode that only reads, and write nothing anywhere. Returns
        what the record would be, None if no cell was run, and how the run ended.
        """
        try:
            with self._own_process(run_id), set_variables({ONE_OF_MANY: "yes"}):
                nb = self._parameterize(target, {**given, "mode": mode}, None)
                return Record(nb), self._execute(nb, None, cell_timeout_s)
        except RunbookError as exc:
            return None, engine.ending_of(exc)
        except KeyboardInterrupt:
            return None, _STOPPED

    @contextlib.contextmanager
    def _own_process(self, run_id: str) -> Iterator[None]:
        """Have this process for one run in the `with` block: its folder, environment, signals."""
        own = started_with.identity(self.project, self.notebook, run_id)
        with (
            _alone,
            signals.as_before(),
            contextlib.chdir(self.project.root),
            set_variables(own),
        ):
            signals.handle(signal.default_int_handler)
            yield
            search.forget()

    def _validate(self, target: str, given: Mapping[str, Any]) -> Parameters:
        chosen = parameters.validate(self._declared, {**given, "target": target})
        if chosen.mode == "rehearse":
            raise Refused.of(
                "is not for a worker: the copy of a rehearsal goes with its process",
                where="mode",
                expected="plan, apply, verify or revert",
                remedy=f"pgrunbook run {self.notebook.stem} --target {target} --mode rehearse",
            )
        return chosen

    def _parameterize(
        self, target: str, given: Mapping[str, Any], output: str | None
    ) -> NotebookNode:
        """Return the notebook with these parameters, as papermill would execute it."""
        nb = parameterize_notebook(
            copy.deepcopy(self._loaded),  # which is executed in place, and serves other targets
            {**given, "target": target},
            kernel_name=self._kernel,
            language="python",
            engine_name=run_notebook.ENGINE,
        )
        return cast(NotebookNode, prepare_notebook_metadata(nb, str(self.notebook), output))

    def _execute(
        self, nb: NotebookNode, output: str | None, cell_timeout_s: float | None
    ) -> Ending:
        try:
            RunbookEngine.execute_notebook(
                nb,
                self._kernel,
                output,
                progress_bar=False,
                warm=True,
                seal=False,
                execution_timeout=cell_timeout_s,
            )
        except NotPassed as exc:
            return exc.ending
        finally:
            # the engine has registered one for this very file
            handler = papermill_io.get_handler(output)
            if isinstance(handler, Output):
                handler.forget()
        return run_notebook.noted_ending(nb)
