"""Any sequence of runs, crashes, edits of files and edits of the database by hand, beside a model
of what is then true.

`make test` tries a few sequences, the same ones each time. More of them, longer, chosen anew, on
each version, and a failing one made as short as can be:

    STATEFUL_EXAMPLES=500 .venv/bin/pytest tests/integration/test_stateful.py
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, closing, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.databases import temporary
from support.stateful import (
    ALTERATIONS,
    BLOCKS,
    INITIAL,
    INVALIDATE,
    LOOKUP,
    NOTES,
    OTHERWISE,
    RUNBOOK,
    URL,
    Alteration,
    Folder,
    Moment,
    Reference,
    Target,
    schema,
)

from pgrunbook import Failed, Refused, Run, RunbookError, begin
from pgrunbook.postgres import embedded
from pgrunbook.postgres.embedded import Server

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 8,
    stateful_step_count=15 if EXAMPLES else 10,
    derandomize=not EXAMPLES,
    phases=[Phase.generate, *([Phase.reuse, Phase.shrink] if EXAMPLES else [])],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


INVALID = " INVALID"
EDITED = "the file was edited"

# What happened last, as far as it matters: another whole run is worth its time after a change, a
# second one after one that has passed.
CHANGE, PASS, NOTHING = "change", "pass", "nothing"

# Between two blocks.
BEFORE = (Moment.LOOK, Moment.LOCK, Moment.WORK, Moment.ALL)
AHEAD = st.integers(0, len(BLOCKS) - 1)


@dataclass
class Model:
    """What is true of files, target and ledger.

    `shapes`: the objects that a block makes, by its name and whether its file is edited. `edited`:
    the files, and `recorded`: the files as they were when their blocks were recorded. `there`: the
    objects of the target. `started`: the blocks that a run has left half done, outside a
    transaction. `verdicts`: of each run that has written, by its id; of one that has not ended, or
    that died, there is none.
    """

    shapes: Mapping[tuple[str, bool], Mapping[str, str]]
    there: dict[str, str]
    edited: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(BLOCKS, False))
    recorded: dict[str, bool] = field(default_factory=dict)
    done: list[tuple[str, str]] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    verdicts: dict[str, list[str]] = field(default_factory=dict)

    @property
    def pending(self) -> list[str]:
        """The blocks that the ledger does not have."""
        return [name for name in BLOCKS if name not in self.recorded]

    def shape(self, name: str) -> Mapping[str, str]:
        """What the block is to make, or to have made."""
        return self.shapes[name, self.recorded.get(name, self.edited[name])]

    def missing(self, name: str) -> list[str]:
        """The objects of a block that are not there as they should be."""
        return [key for key, how in self.shape(name).items() if self.there.get(key) != how]

    def obstacles(self) -> dict[str, set[str]]:
        """For each block because of which a run must be refused: the objects, or that its file was
        edited.
        """
        found = {name: set(self._obstacles(name)) for name in BLOCKS}
        return {name: what for name, what in found.items() if what}

    def _obstacles(self, name: str) -> list[str]:
        shape = self.shape(name)
        wrong = [
            key
            for key in self.missing(name)
            if name in self.recorded or not self._can_be_made(name, key)
        ]
        if name == NOTES and self._is_there(name):
            wrong += [
                key for key in self.there if key.startswith("column notes.") and key not in shape
            ]
        edited = self.recorded.get(name, self.edited[name]) != self.edited[name]
        return [key.split()[1] for key in wrong] + [EDITED] * edited

    def _can_be_made(self, name: str, key: str) -> bool:
        """It is absent, or an attempt at this index was broken off."""
        half = (None, self.shape(name)[key] + INVALID) if name == INITIAL else (None,)
        return self.there.get(key) in half

    def _is_there(self, name: str) -> bool:
        return any(key in self.there for key in self.shape(name))

    def can_be_made_by_hand(self) -> list[str]:
        """The blocks of which nothing is there yet, but all that they need."""
        names = [name for name in self.pending if not self._is_there(name)]
        return [name for name in names if name != LOOKUP or "column people.nickname" in self.there]

    def can_be_altered(self, key: str) -> bool:
        """It is there and valid; and if its block is pending, then as the file says, so that this
        can be told later.
        """
        conflicting = [self.shape(name) for name in self.pending if self._obstacles(name)]
        whole = key in self.there and not self.there[key].endswith(INVALID)
        return whole and not any(key in shape for shape in conflicting)

    def moments(self, name: str, *, ledger: bool) -> list[Moment]:
        """When a run can be hit in the middle of this block."""
        found = [Moment.ROW, Moment.COMMIT] if ledger else [Moment.LEDGER]
        if self.missing(name):
            found += [Moment.DDL] + [Moment.BUILD] * (name == INITIAL)
        return found

    def passed_preconditions(self) -> None:
        """A run is about to write: those that died are closed."""
        for verdicts in self.verdicts.values():
            if not verdicts:
                verdicts.append("interrupted")

    def applied(self, name: str, run_id: str) -> None:
        """A run has done what the block needs."""
        if name not in self.recorded:
            self.verdicts.setdefault(run_id, [])
            event = "applied" if self.missing(name) or name in self.started else "adopted"
            self.done.append((name, event))
            self.there |= self.shape(name)
            self.recorded[name] = self.edited[name]

    def hit(self, name: str, run_id: str, moment: Moment) -> None:
        """A run was hit as it came to the block."""
        if moment in (*BEFORE, Moment.LEDGER):
            return
        self.verdicts.setdefault(run_id, [])
        if name == INITIAL and self.missing(name):
            self.started.add(name)
            # it becomes valid with the last commit
            half = INVALID if moment in (Moment.BUILD, Moment.DDL) else ""
            self.there |= {key: how + half for key, how in self.shape(name).items()}

    def ended(self, run_id: str, verdict: str) -> None:
        """A run has ended, and said so if it had begun to write."""
        if run_id in self.verdicts:
            self.verdicts[run_id].append(verdict)


class History(RuleBasedStateMachine):
    """What happens to one target, and to the files of the runbook."""

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self.reference, self.folder = reference, reference.folder
        self.open = ExitStack()
        self.target = Target(
            self.open.enter_context(temporary(reference.server, reference.template))
        )
        os.environ[URL] = self.target.database.url
        self.model = Model(reference.shapes, self.target.objects())
        for name in BLOCKS:
            self.folder.write(name, edited=False)
        self.left: Run | None = None  # a run that nobody has ended
        self.undo: list[tuple[Alteration | None, str]] = []
        self.last = CHANGE

    def teardown(self) -> None:
        if self.left:
            self.left.close()
        self.target.conn.close()
        self.open.close()

    @invariant()
    def target_and_ledger_are_as_they_should(self) -> None:
        assert self.target.objects() == self.model.there
        assert self.target.done() == self.model.done
        assert self.target.verdicts() == self.model.verdicts

    # -- runs
    # ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.last == CHANGE)
    @rule()
    def a_run(self) -> None:
        self.last = NOTHING
        if run := self.begin():
            self.succeed(run)

    @precondition(lambda self: self.last == PASS)
    @rule()
    def another_run(self) -> None:
        before = self.target.database.dump()
        run = self.begin()
        assert run
        self.finish(run)
        assert self.target.database.dump() == before, "the second run has changed something"
        self.last = NOTHING

    @rule(blocks=st.integers(0, len(BLOCKS)), closed=st.booleans())
    def a_run_that_stops(self, blocks: int, closed: bool) -> None:
        """After some blocks; the next one ends it, if nobody has."""
        self.last = CHANGE
        if run := self.begin():
            for name in list(BLOCKS)[:blocks]:
                self.apply(run, name)
            self.left = run
            if closed:
                self.close_left()

    @precondition(lambda self: self.model.pending)
    @rule(moment=st.sampled_from(BEFORE), ahead=AHEAD, cut_off=st.booleans())
    def a_run_that_is_hit_between_blocks(self, moment: Moment, ahead: int, cut_off: bool) -> None:
        if run := self.begin():
            self.hit(run, self.advance(run, ahead), moment, cut_off=cut_off or moment is Moment.ALL)

    @precondition(lambda self: self.model.pending)
    @rule(data=st.data(), ahead=AHEAD, cut_off=st.booleans())
    def a_run_that_is_hit_in_a_block(self, data: st.DataObject, ahead: int, cut_off: bool) -> None:
        if run := self.begin():
            name = self.advance(run, ahead)
            moment = data.draw(
                st.sampled_from(self.model.moments(name, ledger=self.target.has_ledger()))
            )
            self.hit(run, name, moment, cut_off=cut_off)

    def advance(self, run: Run, ahead: int) -> str:
        """Come to one of the blocks that are still to be done: the first one, or so many after
        it.
        """
        name = self.model.pending[: ahead + 1][-1]
        for earlier in list(BLOCKS)[: list(BLOCKS).index(name)]:
            self.apply(run, earlier)
        return name

    def hit(self, run: Run, name: str, moment: Moment, *, cut_off: bool) -> None:
        """Hit the run at that moment of the block. If it is cut off as well, it can write no
        verdict.
        """
        self.last = CHANGE
        with self.target.crash(moment, cut_off=cut_off):
            # Whoever has written nothing, and cannot reach the target any more, is refused.
            with pytest.raises(Failed if run._recorder.begun else (Failed, Refused)):
                run.apply(name)
            run.close()
        self.model.hit(name, run.run_id, moment)
        if not cut_off or moment in (Moment.LOOK, Moment.LOCK):
            self.model.ended(run.run_id, "failed")

    @rule(mode=st.sampled_from(["plan", "verify"]))
    def a_run_that_only_looks(self, mode: str) -> None:
        obstacles = self.model.obstacles()
        wrong = {*obstacles, *self.model.pending} if mode == "verify" else {*obstacles}
        before = self.target.database.dump()
        assert self.look(mode) == wrong
        assert self.target.database.dump() == before

    def look(self, mode: str) -> set[str]:
        """What a run of that mode says is wrong; nothing if it passes."""
        with closing(begin(RUNBOOK, {"target": f"env:{URL}", "mode": mode})) as run:
            try:
                run.preconditions()
                for name in BLOCKS:
                    run.apply(name)
                run.verify()
                run.verdict()
            except RunbookError as error:
                return {problem.where for problem in error.problems}
        return set()

    def begin(self) -> Run | None:
        """Begin a run. None if it is refused: then it has named what is in its way, and changed
        nothing.
        """
        run = begin(RUNBOOK, {"target": f"env:{URL}", "mode": "apply", "run": self.left})
        self.close_left()
        if obstacles := self.model.obstacles():
            before = self.target.database.dump()
            with pytest.raises(Refused) as refused:
                run.preconditions()
            run.close()
            assert self.target.database.dump() == before
            self.check_named(obstacles, refused.value)
            return None
        run.preconditions()
        run.observe()
        self.model.passed_preconditions()
        self.undo = [
            (alteration, sql) for alteration, sql in self.undo if alteration and alteration.harmless
        ]
        return run

    def check_named(self, obstacles: Mapping[str, set[str]], refused: Refused) -> None:
        assert {problem.where for problem in refused.problems} == obstacles.keys()
        for name, what in obstacles.items():
            said = "\n".join(problem.what for problem in refused.problems if problem.where == name)
            assert all(thing in said for thing in what), said

    def apply(self, run: Run, name: str) -> None:
        run.apply(name)
        self.model.applied(name, run.run_id)

    def finish(self, run: Run) -> None:
        for name in BLOCKS:
            self.apply(run, name)
        run.verify()
        run.verdict()
        self.model.ended(run.run_id, "passed")
        assert not self.model.pending

    def succeed(self, run: Run) -> None:
        """Come to the end, and find what psql makes of the same files; unless somebody has put
        something beside it.
        """
        self.finish(run)
        self.last = PASS
        if not self.undo:
            assert schema(self.target.database) == self.reference.dump(self.model.edited)

    def close_left(self) -> None:
        if self.left:
            self.left.close()
            self.model.ended(self.left.run_id, "interrupted")
            self.left = None

    # -- edits
    # ----------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(list(BLOCKS)))
    def a_file_is_edited(self, name: str) -> None:
        """In what it means; or such an edit is taken back."""
        self.edit(name)

    @rule(
        name=st.sampled_from(list(BLOCKS)),
        remark=st.sampled_from(["-- a remark", "/* another */\n\n", ""]),
    )
    def a_remark_is_written(self, name: str, remark: str) -> None:
        self.folder.write(name, edited=self.model.edited[name], remark=remark)
        self.last = CHANGE

    @precondition(lambda self: self.model.can_be_made_by_hand())
    @rule(data=st.data())
    def a_block_is_made_by_hand(self, data: st.DataObject) -> None:
        """Exactly as the file says."""
        name = data.draw(st.sampled_from(self.model.can_be_made_by_hand()))
        self.target.execute(*BLOCKS[name].deploy(edited=self.model.edited[name]))
        self.see()

    @precondition(lambda self: self.model.can_be_made_by_hand())
    @rule(data=st.data())
    def a_block_is_made_by_hand_otherwise(self, data: st.DataObject) -> None:
        """As the file would say if it were edited, or were not; or left half done."""
        name = data.draw(st.sampled_from(self.model.can_be_made_by_hand()))
        how = data.draw(st.sampled_from(OTHERWISE[name]))
        statements = BLOCKS[name].deploy(
            edited=self.model.edited[name] ^ (how == "of the other file")
        )
        self.target.execute(*statements[: 1 if how == "first statement" else None])
        if how == "invalid":
            self.target.execute(*(INVALIDATE[key] for key in self.model.shape(name)))
        self.see()
        if name in self.model.obstacles():
            self.undo.append((None, BLOCKS[name].revert))

    @precondition(lambda self: self.alterations())
    @rule(data=st.data())
    def the_database_is_altered(self, data: st.DataObject) -> None:
        alteration = data.draw(st.sampled_from(self.alterations()))
        before, was = self.model.obstacles(), self.model.there[alteration.object]
        self.target.execute(alteration.do)
        self.see()
        if alteration.harmless or self.model.obstacles() != before:
            self.undo.append((alteration, alteration.undo.format(was=was)))

    def alterations(self) -> list[Alteration]:
        """What can be done by hand now, and be taken back."""
        made = [alteration for alteration, _ in self.undo]
        return [a for a in ALTERATIONS if self.model.can_be_altered(a.object) and a not in made]

    @precondition(lambda self: self.undo)
    @rule()
    def the_database_is_put_right(self) -> None:
        self.put_right()

    @precondition(lambda self: self.undo or self.model.obstacles())
    @rule()
    def all_is_taken_back_and_a_run_passes(self) -> None:
        self.put_right()
        for name in self.model.obstacles():
            self.edit(name)
        run = self.begin()
        assert run
        self.succeed(run)

    def edit(self, name: str) -> None:
        self.model.edited[name] = not self.model.edited[name]
        self.folder.write(name, edited=self.model.edited[name])
        self.last = CHANGE

    def see(self) -> None:
        """The model takes over what was done by hand."""
        self.model.there = self.target.objects()
        self.last = CHANGE

    def put_right(self) -> None:
        """Take back what was done by hand and is in the way, or shows in a dump."""
        while self.undo:
            self.target.execute(self.undo.pop()[1])
        self.see()


@pytest.mark.timeout(300 + 30 * EXAMPLES)
@pytest.mark.parametrize("server", [16, 18] if EXAMPLES else [18], indirect=True)
def test_any_history(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    folder.make()
    embedded.database(server, "stateful", folder.sample)
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(tmp_path))
    monkeypatch.setenv(URL, "")
    reference = Reference.of(server, "stateful", folder)
    with redirect_stdout(StringIO()):  # the frames that a notebook shows
        run_state_machine_as_test(partial(History, reference), settings=SETTINGS)
