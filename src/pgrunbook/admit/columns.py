"""Keeps the columns that a run lets accept one more value: their blocks, and what the server has
answered about each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pgrunbook.admit import admission, variants
from pgrunbook.admit.admission import Admission
from pgrunbook.admit.answer_cache import AnswerCache
from pgrunbook.ledger import ledger
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Admits, Block
from pgrunbook.runbooks.facts import Fact, Facts
from pgrunbook.runbooks.source import Source

# A value that no column should accept; so short that its length does not keep it out.
NONSENSE = "?"


class Questions(NamedTuple):
    """What to ask about a column inside a block's transaction: the statements `asked`, and `facts`,
    which makes facts of the rows of each.
    """

    asked: Sequence[str]
    facts: Callable[[Sequence[list[dict[str, Any]]]], Facts]


@dataclass(slots=True)
class Columns:
    """The columns of one runbook for one schema of a target. Reads only, in the session `look`.

    - `blocks` has two blocks of each column, as it was last inspected: one that lets it accept the
      value, one that validates.
    - `probes` has the variables of the script that verifies a column, by the name of the first
      block.
    """

    sessions: Sessions
    runbook: str
    schema: str
    source: Source
    blocks: list[Block] = field(default_factory=list)
    probes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _folders: dict[Admits, tuple[str, str]] = field(default_factory=dict)
    _seen: dict[Admits, Admission] | None = None  # see `one_moment`
    _answers: dict[Admits, AnswerCache] = field(default_factory=dict)  # each the last one

    def admit(
        self, value: str, columns: Sequence[tuple[str, str]], by: str, then: str
    ) -> list[Admission]:
        """Add two blocks for each column: one that admits the value, out of the folder `by`, and
        one that validates, out of `then`. Return what was found of each column.
        """
        places = [f"{table}.{column}" for table, column in columns]
        names = [f"{by}:{place}" for place in places] + [f"{then}:{place}" for place in places]
        entries = ledger.entries(self.sessions.look, self.runbook, self.schema, names)
        inspected = [self._inspect(Admits(*column, value)) for column in columns]
        for found in inspected:
            admits = Admits(found.table, found.column, found.value)
            place = f"{admits.table}.{admits.column}"
            entry, own = entries.get(f"{by}:{place}"), entries.get(f"{then}:{place}")
            first = variants.admitting_block(self.source, by, found, entry)
            second = variants.validating_block(self.source, then, found, entry, own)
            others = [block for block in self.blocks if block.admits != admits]
            self.blocks = [*others, first, second]
            # Nonsense that is rejected before the first change has to be rejected after it: so this
            # is asked once.
            if first.name not in self.probes:
                self.probes[first.name] = self._probe(admits)
            self._folders[admits] = (by, then)
        return inspected

    def renew(self, block: Block) -> Block:
        """Return the block as the target wants it now: what constrains a column may have changed
        since the plan.
        """
        if not block.admits:
            return block
        self.admit(block.admits.value, [block.admits[:2]], *self._folders[block.admits])
        return next(b for b in self.blocks if b.name == block.name)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Inspect each column only once in the `with` block: what it asks is about one moment."""
        self._seen = {}
        try:
            yield
        finally:
            self._seen = None

    def facts(self, blocks: Sequence[Block], conn: Session | None = None) -> dict[Fact, str]:
        """Return the facts that hold now of the columns of these blocks, as the session `conn` sees
        them, or else `look`.
        """
        facts: dict[Fact, str] = {}
        for admits in dict.fromkeys(block.admits for block in blocks):
            if admits is None:
                continue
            if conn is None:
                found = self._inspect(admits)
            else:
                found, _ = self._inspect_by(conn, admits)
            facts |= variants.facts(found)
        return facts

    def questions(self, block: Block, conn: Session) -> Questions:
        """Return what to ask for the `facts` of one block. The session `conn` sends it in one
        message with the block's statements: see `AnswerCache`.
        """
        if block.admits is None or block.admits not in self._answers:
            return Questions((), lambda _: {})
        before, about = self._answers[block.admits], (self.schema, *block.admits)

        def facts(answers: Sequence[list[dict[str, Any]]]) -> Facts:
            return variants.facts(admission.judge_by(before.with_answers(conn, answers), *about))

        return Questions(before.statements(conn), facts)

    def _inspect(self, admits: Admits) -> Admission:
        """Return what constrains a column, by the session `look`."""
        if self._seen is not None and admits in self._seen:
            return self._seen[admits]
        found, self._answers[admits] = self._inspect_by(self.sessions.look, admits)
        if self._seen is not None:
            self._seen[admits] = found
        return found

    def _inspect_by(self, conn: Session, admits: Admits) -> tuple[Admission, AnswerCache]:
        answers = AnswerCache(conn)
        return admission.inspect(conn, self.schema, *admits, answers), answers

    def _probe(self, admits: Admits) -> Mapping[str, str]:
        """Return the variables of the script that verifies a column: nonsense that the column
        rejects now must be rejected afterwards.
        """
        # Of the catalogs it is the same questions again: `admit` has just asked them.
        answers = AnswerCache(self.sessions.look, self._answers[admits].answers)
        about = (self.schema, admits.table, admits.column, NONSENSE)
        nonsense = admission.inspect(self.sessions.look, *about, answers)
        return {
            **admits._asdict(),
            "nonsense": NONSENSE,
            "nonsense_rejected": str(not nonsense.accepts).lower(),
        }
