"""The findings about a column: what constrains its values, what keeps one more out, and what has to
be solved by hand before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgrunbook.errors import Problem

TABLE_KINDS = {"r", "p"}  # pg_class.relkind of ordinary and partitioned tables
_OTHER_KINDS = {
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "i": "index",
}


def kind_of_relation(relkind: str, template: str) -> str:
    """Return the template with the kind of a relation that is not a table; empty for a table."""
    if relkind in TABLE_KINDS:
        return ""
    return template.format(_OTHER_KINDS.get(relkind, "relation"))


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that constrains the values of the column. Those of a lookup table's column count,
    too: they follow their foreign key.

    - `kind` is one of type, length, enum, domain, check, partition, foreign key.
    - `definition` is as the server prints it.
    - `accepts`: it lets the value in.
    - `owner` is the table, or the type, that has it, as SQL writes it.
    """

    kind: str
    name: str
    definition: str
    accepts: bool
    validated: bool
    owner: str

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        if self.kind == "domain":
            return f"CHECK {self.name} of domain {self.owner}"
        if self.kind == "check":
            return f"CHECK {self.name}"
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A constraint that rejects the value and can be made to accept it.

    - `variant` names the SQL file that does so; `variables` are what psql would give it.
    - `found` says what is in the way.
    - `validate`: the constraint was validated, so its replacement is to be validated, in a
      transaction of its own.
    """

    variant: str
    variables: Mapping[str, str]
    found: str
    validate: bool = False


@dataclass(slots=True)
class Findings:
    """The findings so far. `where` is the column, as problems name it."""

    where: str
    constraints: list[Constraint] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def constraint(self, kind: str, name: str, definition: str, *, accepts: bool) -> None:
        """Add what a type, or the bounds of partitions, constrain."""
        constraint = Constraint(kind, name, definition, accepts, validated=True, owner=name)
        self.constraints.append(constraint)

    def note(self, *obstacles: Obstacle) -> None:
        """Add these obstacles, each once: two foreign keys may lead to the same lookup table, a
        lookup table's column may have the same domain.
        """
        noted = [(each.variant, each.variables) for each in self.obstacles]
        for obstacle in obstacles:
            key = (obstacle.variant, obstacle.variables)
            if key not in noted:
                self.obstacles.append(obstacle)
                noted.append(key)

    def problem(self, what: str, **details: str) -> None:
        """Add what has to be solved by hand."""
        self.problems.append(Problem(what, where=self.where, **details))
