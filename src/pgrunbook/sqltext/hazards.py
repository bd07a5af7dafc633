"""The words for what is dangerous about a statement: hazards, and what they concern."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple


class Trait(enum.Flag):
    """What the code does about every hazard of a kind."""

    SIZED = enum.auto()  # a plan shows how large the thing is
    DEPENDENTS = enum.auto()  # a plan shows what depends on it
    TIMED = enum.auto()  # a plan estimates how long it takes, by the size
    # As long as there are rows, or nobody knows how long. Locks taken before are held meanwhile.
    LONG = enum.auto()
    # `lint` asks for the header `accepts`, without a database: it loses rows, keeps the application
    # from them, or breaks clients. The others are ordinary; a plan shows them.
    LINTED = enum.auto()
    FELT = enum.auto()  # in a verify script, others wait until it is rolled back
    PASSED_ON = enum.auto()  # if a view is named, it concerns the table that the view reads
    PARENT_ONLY = enum.auto()  # it does not concern a table's children, nor its partitions


_MEASURED = Trait.SIZED | Trait.DEPENDENTS
_WRITES_ROWS = _MEASURED | Trait.LONG | Trait.FELT | Trait.PASSED_ON


class Hazard(enum.StrEnum):
    """What a statement may cost; the names are those of a policy and of the header `accepts`.

    Each is given its traits here, so that a new one cannot be forgotten where they are used.
    """

    traits: Trait

    def __new__(cls, name: str, traits: Trait) -> Hazard:
        """Make a member; its value is the name alone, as policies and headers write it."""
        hazard = str.__new__(cls, name)
        hazard._value_ = name
        hazard.traits = traits
        return hazard

    DROPS_TABLE = "drops_table", _MEASURED | Trait.LINTED
    DROPS_COLUMN = "drops_column", _MEASURED | Trait.LINTED
    # a view, a function, a type, an index, a constraint …
    DROPS_OTHER = "drops_other", _MEASURED
    TRUNCATES = "truncates", _MEASURED | Trait.LINTED | Trait.FELT
    DELETES_ROWS = "deletes_rows", _WRITES_ROWS | Trait.LINTED
    UPDATES_ROWS = "updates_rows", _WRITES_ROWS
    # a new file, for all rows and all indexes
    REWRITES_TABLE = "rewrites_table", _MEASURED | Trait.TIMED | Trait.LONG | Trait.LINTED
    # every row is read, with a lock held that others feel
    SCANS_UNDER_LOCK = "scans_under_lock", _MEASURED | Trait.TIMED | Trait.LONG | Trait.LINTED
    # For as long as a scan or a rewrite takes. What is locked for a moment only is bounded by
    # lock_timeout, and is no hazard.
    LOCKS_OUT_READS = "locks_out_reads", Trait.SIZED | Trait.LINTED | Trait.FELT
    LOCKS_OUT_WRITES = "locks_out_writes", Trait.SIZED | Trait.LINTED | Trait.FELT
    # what is broken off half way stays half done
    NOT_TRANSACTIONAL = "not_transactional", Trait(0)
    # Clients know it by the former name. Its size says nothing, nor in the next two.
    RENAMES = "renames", Trait.DEPENDENTS | Trait.LINTED | Trait.PARENT_ONLY
    CHANGES_PRIVILEGES = "changes_privileges", Trait.PARENT_ONLY
    # what it does cannot be told from the statement
    RUNS_CODE = "runs_code", Trait.LONG | Trait.PASSED_ON


class Thing(NamedTuple):
    """An object that a hazard concerns, as the statement names it.

    `schema` is empty where the search path finds it. `part` is the name of what belongs to a
    table: a column, a constraint, a trigger. `kind` is that of the innermost.
    """

    kind: str
    schema: str
    name: str
    part: str = ""

    def schemas(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Return the schemas where it may be: its own, or those of the path."""
        return (self.schema,) if self.schema else path

    def __str__(self) -> str:
        whole = f"{self.schema}.{self.name}" if self.schema else self.name
        if not self.part:
            return f"{self.kind} {whole}".strip()
        if self.kind == "column":
            return f"column {whole}.{self.part}"
        return f"{self.kind} {self.part} of {whole}"


class Doubt(NamedTuple):
    """What only the catalog can tell: the hazard is there unless it says otherwise.

    | `about` | `values` | no hazard if |
    | --- | --- | --- |
    | `type` | a type, `using` or empty, a collation | the old one's values can stay as they are |
    | `made anew` | the same | they cannot, or no CHECK and no index is made anew for it |
    | `of domain` | | no table has a column of it |
    | `altered before` | | never certain: the catalog has what a statement before alters |
    | `others of it` | | never certain: nothing tells which are not kept |
    | `default` | functions, each quoted | none of them is volatile |
    | `domain` | a type | it is no domain with constraints |
    | `not null` | a column | it holds no NULL for certain |
    | `key` | an index | none of its columns may be NULL |
    | `checks` | | the partition's constraint follows from its CHECKs: this is never certain |
    | `default partition` | | the table has no default partition |
    | `storage` | `access method`, `tablespace`, `persistence`; its value | it is that already |
    | `volatile` | functions | none is volatile, or only in what it returns |
    | `returns set` | functions | each returns one value |
    | `absent` | a column, or nothing for the whole object | it is there: IF NOT EXISTS |
    | `stored` | a column | it is generated when it is read |
    | `taken along` | `table`, `column` or `other` | none goes with what is dropped |
    | | `locked` | nothing goes along of a table that stays |
    | `fires` | an event, as `insert` | no rule or trigger is for it; `select`: no view calls code |
    """

    about: str
    values: tuple[str, ...] = ()


# What is locked beside a thing: what goes along with it, or is made anew, is of other tables, too.
BESIDE = Doubt("taken along", ("locked",))
# What is checked of a domain, is of the tables that have a column of it.
OF_DOMAIN = Doubt("of domain")


class Danger(NamedTuple):
    """A hazard of one statement, which begins in this line of its file.

    `detail` is what else its words say: `every row`, `CASCADE`. `during`: it is there if one of
    these is, which takes long. `path`: where a name without a schema is looked up, as SET takes it;
    empty for the run's schema, `search_paths.ANYWHERE` where nothing tells. `columns`: those that
    UPDATE sets.
    """

    hazard: Hazard
    thing: Thing
    line: int
    doubts: tuple[Doubt, ...] = ()
    detail: str = ""
    during: tuple[Danger, ...] = ()
    path: str = ""
    columns: tuple[str, ...] = ()

    @property
    def along(self) -> str:
        """What goes along with the thing, if that is the danger: `table`, `column` …; or empty."""
        return next((each.values[0] for each in self.doubts if each.about == "taken along"), "")


# what CASCADE may drop beside a thing, by the hazard that this is
ALONG = {
    Hazard.DROPS_TABLE: "table",
    Hazard.DROPS_COLUMN: "column",
    Hazard.DROPS_OTHER: "other",
}


def taken_along(dropped: Danger) -> Iterator[Danger]:
    """Yield the hazards of what goes with something that is dropped with CASCADE, but for that
    hazard which it has itself.
    """
    for hazard, what in ALONG.items():
        if dropped.hazard in ALONG and hazard is not dropped.hazard:
            yield dropped._replace(hazard=hazard, doubts=(Doubt("taken along", (what,)),))
