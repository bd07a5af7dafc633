"""Plans or rehearses pending runbooks one after the other: each on what those before it would
leave, on one copy of their target's schema.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

from pgrunbook.errors import Refused
from pgrunbook.inventory.objects import Inventory, differences
from pgrunbook.inventory.read import read
from pgrunbook.planning import right_target
from pgrunbook.planning.shared_copy import SharedCopy
from pgrunbook.postgres.connection import connect
from pgrunbook.postgres.identity import identify
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks import arguments, targets
from pgrunbook.runbooks.arguments import Arguments
from pgrunbook.runbooks.environment import set_variables
from pgrunbook.runbooks.project import Project


class _CopyKey(NamedTuple):
    """What runbooks that share a copy have in common."""

    target: str
    mode: str


class InTurn:
    """The copies, one for each target of which several runbooks are pending; dropped at the end."""

    def __init__(self, project: Project, asked: Mapping[Path, Arguments]) -> None:
        self._project = project
        self._asked = asked
        self._keys: dict[Path, _CopyKey] = {}
        for path, each in asked.items():
            self._keys[path] = _CopyKey(each.chosen.target, each.chosen.mode)
        self._copies: dict[_CopyKey, SharedCopy] = {}
        self._before: dict[_CopyKey, Inventory] = {}  # what each copy had when it was made
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def turn(self, notebook: Path) -> Iterator[Sequence[str]]:
        """Let the notebook that is run in the `with` block find the copy, if it shares one. Yields
        the runbooks before it, of which the copy has the blocks.
        """
        key = self._keys[notebook]
        sharing = [path for path, each in self._keys.items() if each == key]
        if key.mode not in ("plan", "rehearse") or len(sharing) == 1:
            yield ()
            return
        try:
            shared = self._copies.get(key) or self._make_copy(key)
        except Refused as exc:
            raise self._with_way_out(exc, notebook) from exc
        # asked of the copy each time: what blocks make is not in their text alone
        changed = [each.object for each in differences(self._before[key], _read(shared))]
        shared = replace(shared, changed=changed, last=notebook == sharing[-1])
        with (
            tempfile.TemporaryDirectory(prefix="pgrunbook-") as folder,
            set_variables(shared.write(Path(folder, "copy.json"))),
        ):
            yield shared.after
        self._copies[key] = replace(shared, after=[*shared.after, notebook.stem])

    def _with_way_out(self, exc: Refused, notebook: Path) -> Refused:
        """Return the error with the command that plans or rehearses the runbook by itself."""
        chosen = self._asked[notebook].chosen
        alone = arguments.command_again(self._project, notebook.stem, chosen, chosen.mode)
        problems = []
        for each in exc.problems:
            remedy = f"or have no copy: {alone}"
            if each.remedy:
                remedy = f"{each.remedy}; {remedy}"
            problems.append(replace(each, remedy=remedy))
        what = "Runbooks cannot be looked at one after the other: nothing was changed."
        return Refused(what, problems=problems)

    def _make_copy(self, key: _CopyKey) -> SharedCopy:
        from pgrunbook.postgres import schema_copy, twin_server  # few commands need them

        name = uuid.uuid4().hex[:8]
        target = targets.resolve(key.target, self._project)
        label = f"{name} pending"
        with closing(connect(target, schema="pg_catalog", label=label, read_only=True)) as look:
            right_target.check_identity(target, identify(look))
            if key.mode == "rehearse":
                folder = self._project.scratch()
                copying = schema_copy.copy_schema(target, look, folder, name)
                shared = SharedCopy.of(self._stack.enter_context(copying))
            else:
                server = targets.for_twins(self._project, look.info.server_version // 10_000)
                making = twin_server.make_twin(target, look, server, name)
                shared = SharedCopy.of(self._stack.enter_context(making))
        self._before[key] = _read(shared)
        return shared


def _read(shared: SharedCopy) -> Inventory:
    there = Target("the copy", shared.conninfo)
    with closing(connect(there, schema="pg_catalog", read_only=True)) as conn:
        return read(conn)
