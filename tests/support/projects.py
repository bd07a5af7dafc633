"""A project for tests, run as its users run it: from the command line, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pgrunbook import RunbookError
from support import forks
from support.databases import Database

ROOT = Path(__file__).parents[2]
RUNBOOK = "001_import_connector"


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, all that it printed, and the executed notebook, if
    any.
    """

    code: int
    text: str
    notebook: Path | None = None

    @cached_property
    def cells(self) -> dict[str, str]:
        """The plain text of each code cell's outputs, by the cell's id."""
        assert self.notebook, self.text
        cells = json.loads(self.notebook.read_text())["cells"]
        return {
            c["id"]: "\n".join(map(_text, c["outputs"])) for c in cells if c["cell_type"] == "code"
        }


def _text(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    shown = (
        data.get("text/markdown")
        or data.get("text/plain")
        or output.get("text")
        or output.get("traceback")
        or ""
    )
    return shown if isinstance(shown, str) else "".join(shown)


@dataclass(frozen=True)
class Project:
    """A folder with `pgrunbook.toml`, `runbooks/` and `sql/`."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def command(
        self, *arguments: str | Path, cwd: Path | None = None, kernel: bool = False
    ) -> Outcome:
        """Run `pgrunbook` with these arguments, in a process of its own. Without a kernel, which
        takes seconds to start, cells run in that process, as in a worker's.
        """
        return self._call("pgrunbook", arguments, cwd, kernel=kernel)

    def run(
        self,
        target: Database | str,
        *arguments: str,
        cwd: Path | None = None,
        kernel: bool = False,
    ) -> Outcome:
        """Run 001 so against a database, or a target by its name."""
        given = ("run", RUNBOOK, "--target", self._name(target), *arguments)
        return self.command(*given, cwd=cwd, kernel=kernel)

    def papermill(
        self,
        target: Database | str,
        *arguments: str,
        cwd: Path | None = None,
        name: str = "x.ipynb",
        kernel: bool = True,
    ) -> Outcome:
        """The same with papermill itself, into this file of the archive. Paths are taken from the
        project's root. Our engine can do without a kernel.
        """
        output = self.root / "outputs" / name
        output.parent.mkdir(exist_ok=True)
        notebook = self.root / "runbooks" / f"{RUNBOOK}.ipynb"
        given = ["-p", "target", self._name(target), *arguments]
        done = self._call("papermill", [notebook, output, *given], cwd, kernel=kernel)
        return Outcome(done.code, done.text, output if output.exists() else None)

    def step(
        self,
        target: Database | str,
        *arguments: str,
        upto: str | None = None,
        runbook: str = RUNBOOK,
    ) -> Outcome:
        """Run the cells of a runbook here, without papermill and its kernel, up to the one that
        raises. Quicker by seconds: for what is refused, which papermill and the engine have tests
        of their own for. `upto` is the last block that is applied, empty for none; then the kernel
        is gone.
        """
        options = (
            dict(zip(arguments[::2], arguments[1::2], strict=True)) if "-p" not in arguments else {}
        )
        pairs = zip(arguments[1::3], arguments[2::3], strict=True) if "-p" in arguments else ()
        namespace: dict[str, Any] = {}
        given = {
            "target": self._name(target),
            **{name.strip("-"): value for name, value in options.items()},
            **dict(pairs),
        }
        cells = json.loads((self.root / "runbooks" / f"{runbook}.ipynb").read_text())["cells"]
        with patch.dict(os.environ, self._env | {"PGRUNBOOK_ROOT": str(self.root)}, clear=True):
            try:
                for cell in cells:
                    source = "".join(cell["source"])
                    if (
                        upto is not None
                        and source.startswith("run.apply(")
                        and upto < source.split('"')[1]
                    ):
                        break
                    if cell["cell_type"] == "code" and not source.startswith("%"):
                        exec(source, namespace)
                        if "parameters" in cell["metadata"].get("tags", ()):
                            namespace |= given
            except RunbookError as error:
                return Outcome(error.verdict.exit_code, f"{error.verdict.upper()}: {error}\n")
            finally:
                if run := namespace.get("run"):
                    run.close()
        return Outcome(0, "PASSED")

    def new(self, runbook: str) -> Path:
        """Make a runbook without blocks, whose notebook applies every block that there will be.
        Returns the folder of its SQL.
        """
        made = self.command("new", runbook)
        assert made.code == 0, made.text
        folder = self.root / "sql" / runbook
        for each in folder.glob("*/*"):
            each.unlink()
        self.apply_all(runbook)
        return folder

    def apply_all(self, runbook: str) -> None:
        """Have a new runbook's notebook apply every block that there is."""
        path = self.root / "runbooks" / f"{runbook}.ipynb"
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            if "".join(cell["source"]).startswith("run.apply("):
                cell["source"] = ["run.apply_all()"]
        path.write_text(json.dumps(notebook))

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start `pgrunbook` with these arguments, and do not wait for it; a target is
        `env:CRM_URL`, if it was run on before.
        """
        command = [sys.executable, "-m", "pgrunbook", *arguments]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.root, env=self._env, stdin=quiet, stdout=quiet, stderr=quiet
        )

    @property
    def _env(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith(("PG", "JPY"))} | self.env

    def _name(self, target: Database | str) -> str:
        if isinstance(target, str):
            return target
        self.env["CRM_URL"] = target.url
        return "env:CRM_URL"

    def _call(
        self, module: str, arguments: Sequence[str | Path], cwd: Path | None, *, kernel: bool
    ) -> Outcome:
        before = set(self.root.glob("outputs/**/*.ipynb"))
        code, text = forks.call(
            module, arguments, cwd=cwd or self.root, env=self._env, kernel=kernel
        )
        made = set(self.root.glob("outputs/**/*.ipynb")) - before
        return Outcome(code, text, made.pop() if made else None)


def kernel_of(runner: int) -> int:
    """The process id of the kernel that a runner has started."""
    # as Jupyter starts kernels
    (kernel,) = [pid for pid in _children(runner) if os.getsid(pid) == pid]
    return kernel


def _children(parent: int) -> list[int]:
    """The processes that any thread of this one has started."""
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


# Only a failure takes so long: a machine that has other work may take twenty times what it takes.
PATIENCE_S = 120.0


def wait_for(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Wait until the condition holds; fail if it does not come to hold in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.05)
