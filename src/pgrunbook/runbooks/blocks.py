"""Blocks: one unit of DDL with one lock footprint each, read from the files of a runbook."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from pgrunbook.errors import Problem
from pgrunbook.runbooks.batches import Batching
from pgrunbook.runbooks.facts import Facts
from pgrunbook.runbooks.scripts import Script, Statement
from pgrunbook.sqltext import mentions, needs
from pgrunbook.sqltext.created_objects import CreatedObject
from pgrunbook.sqltext.mentions import Relation
from pgrunbook.sqltext.needs import Need
from pgrunbook.sqltext.search_paths import ANYWHERE, path_behind


class Admits(NamedTuple):
    """A column, and a value that it is to accept."""

    table: str
    column: str
    value: str


# without slots: cached properties need a `__dict__`
@dataclass(frozen=True)
class Block:
    """One block as it would run on a target: rendered and parsed.

    - `scripts`: its files as they stand in git, before placeholders are filled in.
    - `sql`: the text that is displayed, sent and recorded; `statements`, the same, parsed.
    - `needs`: the tables and columns that it needs.
    - `timeouts`: what its header sets of lock_timeout and statement_timeout.
    - `choices`: of a block with variants, those that were chosen, each with its variables; `admits`
      says for which column and value, `facts` what holds of that column afterwards.
    - `fills`: the columns, as (table, column), that the product will write once the block is there.
    - `transaction`: whether its statements run in one, or each by itself as PostgreSQL refuses them
      inside one.
    - `search_path`, `role`: of its statements; empty for the run's.
    - `repeatable`: it is applied anew when its file changes.
    - `batching`: how it is cut into batches, each a transaction of its own; None for any other.
    """

    name: str
    title: str
    why: str
    sql: str
    statements: tuple[Statement, ...]
    needs: tuple[Need, ...]
    scripts: tuple[Script, ...] = ()
    timeouts: Mapping[str, str] = field(default_factory=dict)
    admits: Admits | None = None
    facts: Facts = field(default_factory=dict)
    choices: tuple[tuple[str, Mapping[str, str]], ...] = ()
    fills: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    transaction: bool = True
    search_path: str = ""
    role: str = ""
    repeatable: bool = False
    batching: Batching | None = None

    @property
    def entry(self) -> str:
        """What of `deploy/` it comes from, without the ending: of a block that has variants, the
        folder.
        """
        return entry_of(self.name)

    def named_in(self, names: Collection[str]) -> bool:
        """Return whether these names name the block, or the folder that it comes from."""
        return self.name in names or self.entry in names

    @property
    def accepts(self) -> frozenset[str]:
        """The hazards that the headers of its files accept."""
        return frozenset().union(*(script.accepts for script in self.scripts))

    @property
    def keeps(self) -> frozenset[str]:
        """The objects that are to stay as somebody has altered them, by type and identity."""
        return frozenset().union(*(script.keeps for script in self.scripts))

    # Two checksums: after an edit the first has changed; the second only if PostgreSQL would do
    # something else.

    @property
    def source_sha256(self) -> str:
        """Checksum of the files."""
        return source_sha256(self.scripts)

    @property
    def tree_sha256(self) -> str:
        """Checksum of their parse trees."""
        return tree_sha256(self.scripts)

    @property
    def sql_sha256(self) -> str:
        """Checksum of what is sent."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @cached_property
    def made(self) -> list[CreatedObject]:
        """The objects that its statements make, by the names in their text."""
        return [each for statement in self.statements for each in statement.made]

    def made_along(self, path: str) -> list[tuple[str, CreatedObject]]:
        """Return the same, each with the search path in force when it is made: the block's own, or
        else `path`, until a statement sets another.
        """
        path = self.search_path or path
        found = []
        for statement in self.statements:
            found += [(path, each) for each in statement.made]
            behind = path_behind(statement.node, path)
            if behind != ANYWHERE:
                path = behind
        return found

    @property
    def about(self) -> list[Relation]:
        """The relations that it is about: those that its statements name, but for what foreign keys
        refer to.
        """
        found: dict[Relation, None] = {}
        if self.admits:
            found["", self.admits.table] = None
        referenced = {("", need.table) for need in self.needs if need.use == "reference"}
        for statement in self.statements:
            for each in sorted(statement.relations - referenced):
                found[each] = None
        return list(found)

    @cached_property
    def names(self) -> frozenset[str]:
        """The relations that it names or needs, without their schemas; and a domain of which a
        constraint is to let a value in.
        """
        return frozenset(name for _, name in self.relations) | {fact.table for fact in self.facts}

    @cached_property
    def relations(self) -> frozenset[Relation]:
        """Those that its statements name, and that it needs."""
        # a need is of the run's schema, which it does not name
        named = {("", need.table) for need in self.needs}
        if self.admits:
            named.add(("", self.admits.table))
        for statement in self.statements:
            named |= statement.relations
        return frozenset(named)

    @property
    def altered(self) -> set[str]:
        """The relations of which only the server knows what they are afterwards."""
        names = set()
        for statement in self.statements:
            if needs.alters(statement.node):
                names |= {name for _, name in statement.relations}
        return names

    @property
    def plain(self) -> bool:
        """Whether it changes nothing but what hangs on the relations that it names."""
        return all(mentions.is_plain(statement.node) for statement in self.statements)

    @property
    def runs_code(self) -> bool:
        """Whether it may make anything."""
        return any(mentions.runs_code(statement.node) for statement in self.statements)

    @property
    def alters(self) -> bool:
        """Whether it concerns what is there before it, as far as its statements tell."""
        # a table that it makes itself, and the indexes of that, were not there before it
        own = set()
        for each in self.made:
            if each.kind in ("table", "index") and not each.was:
                own.add(each.name)
        for statement in self.statements:
            named = statement.relations
            # what names nothing, or does more than it names, may concern anything
            if not named or not mentions.is_plain(statement.node):
                return True
            if not {name for _, name in named} <= own:
                return True
        return False


def entry_of(block: str) -> str:
    """Return the part of a block's name that is in `deploy/` and `revert/`: `020_admit` of
    `020_admit:table.column`.
    """
    return block.partition(":")[0]


def source_sha256(scripts: Iterable[Script]) -> str:
    """Checksum of files."""
    return _digest(script.source_sha256 for script in scripts)


def tree_sha256(scripts: Iterable[Script]) -> str:
    """Checksum of their parse trees, to which comments and white space do not count."""
    return _digest(script.tree_sha256 for script in scripts)


def _digest(digests: Iterable[str]) -> str:
    """Return one file's checksum as it is (`sha256sum` gives the same); of several, the checksum
    of theirs.
    """
    listed = list(digests)
    if len(listed) == 1:
        return listed[0]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()
