"""The papermill engine that tells the truth about how a run ended.

`papermill --engine pgrunbook …`, or `pgrunbook run`. Where papermill's own engine marks the cell
that died with its kernel, and every cell that never ran, as completed, this one says what became of
each, puts a banner on top, and ends with an error that has the verdict's exit code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import astuple, replace
from pathlib import Path, PurePath
from typing import IO, Any, cast

import click
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import (
    CellTimeoutError,
    DeadKernelError,
)
from nbformat import NotebookNode
from papermill.engines import NBClientEngine

from pgrunbook import signals
from pgrunbook.controls import one_line
from pgrunbook.errors import Failed, Problem, Refused, RunbookError, Verdict
from pgrunbook.records import leaks, sealable
from pgrunbook.records.how_it_ended import Ending, judge, judge_cut_off
from pgrunbook.runbooks import credentials, kernel_spec, parameters, started_with
from pgrunbook.runbooks.environment import set_variables
from pgrunbook.runbooks.parameters import RUN_ID
from pgrunbook.runbooks.project import Project
from pgrunbook.runner import ask_ledger, kernels, mask_parameters
from pgrunbook.runner.client import NotebookClient
from pgrunbook.runner.executed_notebook import BANNER, ExecutionManager, not_written
from pgrunbook.runner.output_file import Output
from pgrunbook.secrets import search
from pgrunbook.secrets.patterns import redact
from pgrunbook.secrets.search import Leak


class NotPassed(click.ClickException):
    """The run did not pass. A click exception, so that papermill's command line shows it without a
    traceback and exits with the verdict's code. `seal` is what became of the record.
    """

    def __init__(self, ending: Ending, seal: str = "") -> None:
        super().__init__(ending.text)
        self.ending, self.seal = ending, seal
        self.exit_code = ending.verdict.exit_code  # type: ignore[misc]  # click has it on the class

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, as it is."""
        click.echo("\n".join(filter(None, [self.message, self.seal])), file=file, err=file is None)


class RunbookEngine(NBClientEngine):  # type: ignore[misc]
    """Executes a notebook as papermill's default engine does, with a record that is true whatever
    happens.
    """

    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, output_path: str | None = None, **options: Any
    ) -> NotebookNode:
        """Execute the notebook, and seal its record if it lies in the archive of the project that
        is worked in.

        With the option `seal=False` the caller does that, and until it has, a first signal stops
        nothing: see `signals.end`. Raises NotPassed if the run did not end with the verdict
        `passed`, or if its record cannot be sealed.
        """
        for_manager = {"progress_bar": True, "log_output": False, "autosave_cell_every": 30}
        for name in for_manager.keys() & options.keys():
            for_manager[name] = options.pop(name)
        seals, path = options.pop("seal", True), nb.metadata.papermill.get("output_path")
        output = Output.of(path)
        try:
            _require_no_files(options)
            archive = _archive(output) if seals else None
            run_id = parameters.run_id()
        except Refused as exc:  # there could be no record, so there is nothing to write
            raise NotPassed(ending_of(exc)) from exc
        _forget_execution(nb)
        _leave_out_the_host(nb)
        manager = ExecutionManager(nb, output_path, **for_manager)
        manager.worker = options.get("warm", False)
        manager.run_id = run_id
        with signals.as_before() if seals else nullcontext():
            ending, answer = cls._run(manager, kernel_name, options)
            # papermill may have been told not to save it after each cell: its end is written
            manager.output_path = path
            ending = replace(manager.write_end(ending, answer.committed), committed=answer.plain)
            if output:
                output.final = manager.written
            seal = ""
            if seals:
                ending, seal = _seal(manager, ending, output, archive)
        if ending.verdict is not Verdict.PASSED:
            raise NotPassed(ending, seal)
        if seals:
            with suppress(OSError):  # nobody need listen
                click.echo(f"{ending.text}\n{seal}", err=True)
        return cast(NotebookNode, manager.nb)

    @classmethod
    def _run(
        cls, manager: ExecutionManager, kernel_name: str, options: Mapping[str, Any]
    ) -> tuple[Ending, ask_ledger.LedgerReport]:
        """Run the cells. Returns how the run ended, and what the ledger says of it, if that has to
        be asked.
        """
        nb = manager.nb
        try:
            chosen = parameters.papermill_parameters(nb)  # before a kernel is started
            manager.secrets = credentials.passwords_of_name(chosen.target)
            found = leaks.search(nb, manager.secrets)
            if found:
                raise Refused(
                    "The runbook holds a secret: nothing was started.",
                    problems=search.problems(found),
                )
            if not (options.get("kernel") or options.get("warm")):
                kernel_spec.require(kernel_name, "the notebook")
        except Refused as exc:
            mask_parameters.mask_parameters(nb)
            leaks.mask(nb, manager.secrets)
            signals.end()
            with manager.unsaved():
                manager.notebook_start()
            return ending_of(exc), ask_ledger.LedgerReport()
        told = {RUN_ID: manager.run_id, **started_with.environment(chosen)}
        with set_variables(told):
            ending = cls._execute(
                manager, kernel_name, rehearses=chosen.mode == "rehearse", **options
            )
        signals.end()
        answer = ask_ledger.LedgerReport()
        if ask_ledger.is_open(ending, nb.cells):
            answer = ask_ledger.ask(chosen, manager.run_id, nb.cells)
        if manager.cut:
            ending = judge_cut_off(ending, nb.cells, answer.verdict)
        elif answer.lacks_verdict:  # a cell has ended it that is not the run's
            ending = ask_ledger.tell(chosen, manager.run_id, ending)
        own = [leak for leak in manager.leaks if leak.known]
        if own:
            ending = ask_ledger.tell(chosen, manager.run_id, _ending_of_leak(ending, own))
        places = {leak.where for leak in own}
        others = [str(leak) for leak in manager.leaks if leak.where not in places]
        return replace(ending, masked=tuple(dict.fromkeys(others))), answer

    @classmethod
    def _execute(cls, manager: ExecutionManager, kernel_name: str, **options: Any) -> Ending:
        try:
            signals.note()  # until the first cell: from then on, signals stop that
            manager.notebook_start()
            cls.execute_managed_notebook(manager, kernel_name, **options)
        except DeadKernelError:
            return manager.cut_off("the kernel died")
        except (CellTimeoutError, TimeoutError):
            return manager.cut_off("the cell ran into its timeout")
        except KeyboardInterrupt:
            return manager.cut_off("stopped by a signal")
        except OSError as exc:
            return manager.cut_off(not_written(exc))
        except (RuntimeError, NoSuchKernel) as exc:
            if manager.current is not None:
                raise
            if signals.stopped():
                return manager.cut_off("stopped by a signal")
            return Ending(Verdict.INTERRUPTED, f"the kernel could not be started: {exc}")
        return judge(manager.nb.cells)

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: ExecutionManager, kernel_name: str, **options: Any
    ) -> NotebookNode:
        """Run the cells in a kernel, as papermill's default engine does."""
        options.pop("input_path", None)
        timeout = options.pop("execution_timeout", None)
        early, rehearses = options.pop("kernel", None), options.pop("rehearses", False)
        if options.pop("warm", False):
            # Imported here: it imports what a kernel has, and whoever starts a kernel need not.
            from pgrunbook.runner.warm_client import WarmClient

            return WarmClient(nb_man, timeout=timeout, **options).execute()
        with nullcontext(early) if early else kernels.start_kernel(kernel_name) as kernel:
            client = NotebookClient(
                nb_man,
                km=kernel,
                kernel_name=kernel_name,
                timeout=timeout,
                startup_timeout=options.pop("start_timeout", 60),
                # Who starts kernels early has the embedded server too, and stops it; but the copy
                # of a rehearsal is the kernel's own.
                shutdown_kernel="immediate" if early and not rehearses else "graceful",
                **options,
            )
            return cast(NotebookNode, client.execute(cleanup_kc=True))


def _require_no_files(options: Mapping[str, Any]) -> None:
    """Raise Refused where papermill is to write what cells print into files of its own: nobody
    masks it there.
    """
    for name in ("stdout_file", "stderr_file"):
        if options.get(name):
            raise Refused.of(
                "writes what cells print as it is, a password too",
                where=f"papermill's --{name.replace('_', '-')}",
                remedy="leave it out: the executed notebook has what cells print",
            )


def _archive(output: Output | None) -> Project | None:
    """Return the project in whose archive the record will be, if it will be in any. Raises Refused
    if it cannot be there.
    """
    if output is None:
        return None
    output.require_folder()
    try:
        project = Project.find()
    except Refused:  # the kernel will say why
        return None
    if not output.file.is_relative_to(project.outputs):
        return None
    sealable.require(project, output.file)
    return project


def ending_of(exc: RunbookError) -> Ending:
    """Return how a run ended of which no cell was run."""
    problems = tuple(Problem(*map(redact, astuple(problem))) for problem in exc.problems)
    return Ending(exc.verdict, exc.message, redact(str(exc)), problems=problems)


def _seal(
    manager: ExecutionManager, ending: Ending, output: Output | None, archive: Project | None
) -> tuple[Ending, str]:
    """Seal the record, if it lies in an archive. Returns what `seal_record` returns."""
    if output is None or archive is None:
        name = output.file.name if output else "it"
        return ending, f"not sealed: {name} does not lie below outputs/ of this project"
    if not manager.written:
        return ending, "not sealed: its end could not be written"
    return seal_record(archive, output.file, ending)


def seal_record(project: Project, notebook: Path, ending: Ending) -> tuple[Ending, str]:
    """Seal the record of a run that has ended. Returns how the run ended, and what came of the
    seal: a run that passed has failed if its record cannot be sealed.
    """
    # Imported here, once the run has ended: it need not wait for what signs.
    from pgrunbook.records import sealing

    try:
        done = sealing.seal(project, notebook)
    except RunbookError as exc:
        error = Failed(
            "The run has ended as its record says. That is not sealed.", problems=exc.problems
        )
        if ending.verdict is Verdict.PASSED:
            return Ending(error.verdict, error.message, str(error), problems=error.problems), ""
        return ending, str(error)
    lines = [f"warning: {problem}" for problem in done.problems]
    lines.append(f"seal: {done}")
    return ending, "\n".join(map(one_line, lines))


def _ending_of_leak(ending: Ending, found: Sequence[Leak]) -> Ending:
    """Return the ending of a run whose notebook has held a password of its own."""
    # It has failed, however it went on the target: whoever could read the output has the password.
    message = (
        "A password of this run was in the notebook, and is masked. The run itself "
        f"{ending.verdict}: {ending.reason}"
    )
    error = Failed(message, problems=search.problems(found))
    return Ending(error.verdict, message, str(error), ending.cell, problems=error.problems)


def _forget_execution(nb: NotebookNode) -> None:
    """Leave out what the engine has noted in a notebook that was executed before."""
    nb.metadata.pop("pgrunbook", None)
    nb.cells = [cell for cell in nb.cells if BANNER not in cell.metadata.get("tags", ())]


def _leave_out_the_host(nb: NotebookNode) -> None:
    """Keep only the names of the files that papermill reads and writes: whoever reads the record
    knows the rest, or need not know it.
    """
    noted = nb.metadata.papermill
    noted["environment_variables"] = {}
    for name in ("input_path", "output_path"):
        path = noted.get(name)
        noted[name] = PurePath(path).name if isinstance(path, str) else None
