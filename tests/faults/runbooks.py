"""The runbooks that are hit by faults, each with its project, its target, and what it makes when
nobody disturbs it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.reference import LEDGER, SCHEMA, Reference, dumps, scratch
from faults.trial import Trial
from support.databases import Database
from support.projects import ROOT

from pgrunbook.postgres import embedded
from pgrunbook.postgres.embedded import Server


@dataclass(frozen=True)
class Runbook:
    """A runbook of a project below `root`, and the SQL file of what its target holds before."""

    name: str
    root: Path
    sample: Path

    def copy(self, folder: Path) -> Path:
        """The project, with its `outputs/`, in a folder where it may be run."""
        for name in ("runbooks", "sql"):
            shutil.copytree(self.root / name, folder / name)
        (folder / "pgrunbook.toml").write_text("")
        (folder / "outputs").mkdir()
        return folder

    @contextmanager
    def database(self, server: Server) -> Iterator[Database]:
        """A target as it is before the runbook."""
        template = f"before_{self.name}"
        embedded.database(server, template, self.sample)
        with scratch(server, template) as database:
            yield database

    def reference(self, server: Server) -> Reference:
        """What an undisturbed run makes, which is what psql makes of the same SQL."""
        with (
            TemporaryDirectory() as folder,
            self.database(server) as database,
            self.database(server) as by_hand,
        ):
            ended = Trial(database, self.copy(Path(folder)), self.name).run()
            assert ended.code == 0, ended.text
            rows = database.execute(
                "SELECT block, sql FROM pgrunbook.blocks WHERE event <> 'started' ORDER BY id"
            )
            scripts: dict[str, str] = dict(rows)
            reference = Reference(
                scripts, dumps(by_hand, list(scripts.values())), database.dump(*LEDGER)
            )
            assert database.dump(*SCHEMA) == reference.dumps[-1]
            return reference


RUNBOOK_900 = Runbook(
    "900_faults",
    Path(__file__).parent / "project",
    Path(__file__).parent / "project/sql/before.sql",
)
RUNBOOK_001 = Runbook("001_import_connector", ROOT, ROOT / "sql/sample.sql")
