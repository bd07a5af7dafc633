"""The shape that DDL makes, as facts that can be compared with what the catalog holds.

Both sides are read by PostgreSQL's own parser and brought into one canonical form: a block's SQL as
it is written, the catalog's as the server prints it. So a `VARCHAR(20) DEFAULT 'x'` equals the
catalog's `character varying(20) DEFAULT 'x'::character varying`, without a scratch database and
without any lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import pglast
from pglast import ast, enums
from pglast.enums import ConstrType
from pglast.stream import maybe_double_quote_name
from pglast.visitors import Visitor

from pgrunbook.sqltext import canonical


class Key(NamedTuple):
    """What a fact is about: its kind, the table, and the name of the column, constraint or index.

    A table is described by facts of these kinds: `table`; `column` (its type), `not null`,
    `default` and `generated`; `constraint`; `index` (those behind a constraint left out); and of
    what was a partition, `standalone` (yes, or pending while it is being detached).
    """

    kind: str
    table: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name}" if self.name else f"{self.kind} {self.table}"


Facts = Mapping[Key, str]

# How a fact ends that is about an index that is not valid, and how one reads about a partition half
# detached.
INVALID = " (invalid)"
PENDING = "pending"

# What exists by itself; a default or a NOT NULL is a property of its column.
OBJECTS = ("table", "column", "constraint", "index")


class LazyFacts(Mapping[Key, str]):
    """Facts whose text is made when it is first asked for: that of most of a block is not, before
    the server is at work on it. A piece is a text, or a function that returns it.
    """

    def __init__(self, pieces: Mapping[Key, str | Callable[[], str]]) -> None:
        self.pieces = pieces

    def __getitem__(self, key: Key) -> str:
        """The text of a fact."""
        piece = self.pieces[key]
        return piece if isinstance(piece, str) else piece()

    def __contains__(self, key: object) -> bool:
        return key in self.pieces

    def __iter__(self) -> Iterator[Key]:
        return iter(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)


def together(parts: Iterable[Facts]) -> Facts:
    """The facts of several, as one."""
    pieces = (part.pieces if isinstance(part, LazyFacts) else part for part in parts)
    return LazyFacts({key: piece for each in pieces for key, piece in each.items()})


class Need(NamedTuple):
    """Something that must be there already: a table to `alter` or to `reference`, or one of its
    columns.

    `column` and `type` are empty where the table as a whole, or a column of any type, is meant.
    """

    table: str
    use: str
    column: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one statement makes and needs. `lenient`: ADD COLUMN IF NOT EXISTS, where a column that
    is there already keeps its default and its nullability; only the type must agree.
    """

    facts: Facts
    needs: tuple[Need, ...] = ()
    lenient: bool = False
    known: bool = True


# The statements whose shape is known.
KNOWN = (
    "CREATE TABLE, CREATE INDEX, ALTER TABLE … ADD, VALIDATE or DETACH, COMMENT ON, REINDEX, "
    "or VACUUM"
)


class UnknownShape(ValueError):
    """What the statement makes cannot be told from its text."""


def effect_of(node: ast.Node) -> Effect:
    """What a statement makes. Raises UnknownShape for a statement that this module does not
    know.
    """
    if _Qualified.found(node):
        raise UnknownShape("names a schema, which may be another than the run's")
    match node:
        case ast.CreateStmt():
            return _create_table(node)
        case ast.IndexStmt():
            return _create_index(node)
        case ast.AlterTableStmt(objtype=enums.ObjectType.OBJECT_TABLE):
            return _alter_table(node)
        case ast.CommentStmt():
            return Effect({}, tuple(_commented(node)))
        case ast.ReindexStmt():
            return Effect({})
        case ast.VacuumStmt():
            return Effect({}, tuple(Need(rel.relation.relname, "alter") for rel in node.rels or ()))
    raise UnknownShape(f"cannot tell from {type(node).__name__.removesuffix('Stmt')} what it makes")


class _Qualified(Visitor):  # type: ignore[misc]  # pglast leaves it without types
    """Looks for a relation whose schema is named."""

    def __init__(self) -> None:
        self.schema = ""

    @classmethod
    def found(cls, node: ast.Node) -> bool:
        """Whether the statement names the schema of a relation."""
        visitor = cls()
        visitor(node)
        return bool(visitor.schema)

    def visit_RangeVar(self, _ancestors: Any, relation: ast.RangeVar) -> None:
        """Called by pglast for each relation."""
        self.schema = self.schema or relation.schemaname or ""


def _create_table(node: ast.CreateStmt) -> Effect:
    table = node.relation.relname
    if node.inhRelations or node.partspec or node.ofTypename or node.tablespacename:
        raise UnknownShape(
            f"CREATE TABLE {table}: INHERITS, PARTITION, OF and TABLESPACE are not known"
        )
    reader = _Reader(table)
    reader.facts[Key("table", table)] = "table"
    elements = sorted(node.tableElts or (), key=lambda e: not isinstance(e, ast.ColumnDef))
    for element in elements:
        match element:
            case ast.ColumnDef():
                reader.column(element)
            case ast.Constraint():
                reader.constraint(element)
            case _:
                raise UnknownShape(f"CREATE TABLE {table}: LIKE is not known")
    return Effect(LazyFacts(reader.facts), tuple(reader.needs))


def _alter_table(node: ast.AlterTableStmt) -> Effect:
    reader = _Reader(node.relation.relname)
    reader.needs.append(Need(reader.table, "alter"))
    lenient = False
    for command in node.cmds:
        match command.subtype:
            case enums.AlterTableType.AT_AddColumn:
                reader.column(command.def_)
                lenient = lenient or bool(command.missing_ok)
            case enums.AlterTableType.AT_AddConstraint:
                reader.constraint(command.def_)
            case enums.AlterTableType.AT_ValidateConstraint:
                pass  # `holds` takes a constraint that is validated for one that need not be
            case enums.AlterTableType.AT_DetachPartition:
                partition = command.def_.name.relname
                reader.needs.append(Need(partition, "alter"))
                reader.facts[Key("standalone", partition)] = "yes"
            case other:
                raise UnknownShape(
                    f"ALTER TABLE {reader.table}: cannot tell what {other.name} makes"
                )
    return Effect(LazyFacts(reader.facts), tuple(reader.needs), lenient)


def _commented(node: ast.CommentStmt) -> Iterator[Need]:
    """The table, and the column, that a comment is about."""
    match node.objtype, node.object:
        case enums.ObjectType.OBJECT_TABLE, (table,):
            yield Need(table.sval, "alter")
        case enums.ObjectType.OBJECT_COLUMN, (table, column):
            yield Need(table.sval, "alter", column.sval)
        case enums.ObjectType.OBJECT_TABCONSTRAINT, (table, _):
            yield Need(table.sval, "alter")


class _Reader:
    """Collects what the columns and constraints of one table make and need."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.facts: dict[Key, str | Callable[[], str]] = {}
        self.needs: list[Need] = []

    def column(self, column: ast.ColumnDef) -> None:
        name = column.colname
        collation = f" {canonical.text(column.collClause)}" if column.collClause else ""
        self.facts[Key("column", self.table, name)] = (
            canonical.type_name(column.typeName) + collation
        )
        for constraint in column.constraints or ():
            match constraint.contype:
                case ConstrType.CONSTR_NOTNULL:
                    self.facts[Key("not null", self.table, name)] = "NOT NULL"
                case ConstrType.CONSTR_DEFAULT:
                    self.facts[Key("default", self.table, name)] = _later(constraint.raw_expr)
                case ConstrType.CONSTR_GENERATED:
                    self.facts[Key("generated", self.table, name)] = _later(constraint)
                case ConstrType.CONSTR_IDENTITY:
                    self.facts[Key("generated", self.table, name)] = _later(constraint)
                    self.facts[Key("not null", self.table, name)] = "NOT NULL"
                case ConstrType.CONSTR_NULL:
                    pass
                case attribute if attribute.name.startswith("CONSTR_ATTR_"):
                    told = (
                        "write DEFERRABLE and the like with a constraint of the table, not of "
                        "a column"
                    )
                    raise UnknownShape(f"{self.table}.{name}: {told}")
                case _:
                    self.constraint(_of_table(constraint, name))

    def constraint(self, constraint: ast.Constraint) -> None:
        if constraint.indexname:
            raise UnknownShape(f"{self.table}: a constraint USING INDEX names no columns")
        name = constraint.conname or self._choose_name(constraint)
        self.facts[Key("constraint", self.table, name)] = _unnamed(constraint)
        if constraint.contype == ConstrType.CONSTR_PRIMARY:
            for key in constraint.keys:
                self.facts[Key("not null", self.table, key.sval)] = "NOT NULL"
        if constraint.contype == ConstrType.CONSTR_FOREIGN:
            self._references(constraint)

    def _references(self, constraint: ast.Constraint) -> None:
        if not constraint.pk_attrs:
            raise UnknownShape(
                f"{self.table}: name the referenced columns, REFERENCES table (column)"
            )
        for own, other in zip(constraint.fk_attrs, constraint.pk_attrs, strict=True):
            type_ = str(self.facts.get(Key("column", self.table, own.sval), ""))
            self.needs.append(Need(constraint.pktable.relname, "reference", other.sval, type_))

    def _choose_name(self, constraint: ast.Constraint) -> str:
        """The name that PostgreSQL gives a constraint without one (ChooseConstraintName)."""
        middle = "_".join(_named_after(constraint))
        labels = (f"{_LABELS[constraint.contype]}{n or ''}" for n in range(1000))
        names = (_object_name(self.table, middle, label) for label in labels)
        return next(name for name in names if Key("constraint", self.table, name) not in self.facts)


_LABELS: Mapping[int, str] = {
    ConstrType.CONSTR_PRIMARY: "pkey",
    ConstrType.CONSTR_UNIQUE: "key",
    ConstrType.CONSTR_FOREIGN: "fkey",
    ConstrType.CONSTR_CHECK: "check",
    ConstrType.CONSTR_EXCLUSION: "excl",
}


def _named_after(constraint: ast.Constraint) -> list[str]:
    """The columns that go into a chosen name."""
    match constraint.contype:
        case ConstrType.CONSTR_UNIQUE:
            return [key.sval for key in constraint.keys]
        case ConstrType.CONSTR_FOREIGN:
            return [key.sval for key in constraint.fk_attrs]
        case ConstrType.CONSTR_CHECK:
            mentioned = canonical.columns(constraint.raw_expr)
            return mentioned if len(mentioned) == 1 else []
    return []


def _object_name(first: str, second: str, label: str) -> str:
    """`first_second_label` in 63 bytes, the longer of the two cut first (makeObjectName)."""
    room = 63 - len(label) - 1 - bool(second)
    a, b = first.encode(), second.encode()
    while len(a) + len(b) > room:
        a, b = (a[:-1], b) if len(a) > len(b) else (a, b[:-1])
    return "_".join(part.decode(errors="ignore") for part in (a, b, label.encode()) if part)


def _of_table(constraint: ast.Constraint, column: str) -> ast.Constraint:
    """A column's constraint, written as the table's."""
    name = (ast.String(sval=column),)
    match constraint.contype:
        case ConstrType.CONSTR_PRIMARY | ConstrType.CONSTR_UNIQUE:
            return canonical.replace(constraint, keys=name)
        case ConstrType.CONSTR_FOREIGN:
            return canonical.replace(constraint, fk_attrs=name)
    return constraint


def _create_index(node: ast.IndexStmt) -> Effect:
    table = node.relation.relname
    if not node.idxname:
        raise UnknownShape(f"CREATE INDEX ON {table}: give the index a name")
    needs = [Need(table, "alter")]
    needs += [Need(table, "alter", element.name) for element in node.indexParams if element.name]

    @cache
    def text() -> str:
        plain = canonical.replace(node, idxname=None, concurrent=False, if_not_exists=False)
        return canonical.text(plain).removeprefix("CREATE ")

    return Effect(LazyFacts({Key("index", table, node.idxname): text}), tuple(needs))


def _later(node: ast.Node) -> Callable[[], str]:
    """The canonical text of the node, when it is asked for."""
    return cache(lambda: canonical.text(node))


def _unnamed(constraint: ast.Constraint) -> str | Callable[[], str]:
    """What a constraint says but for its name; at once of a plain key, as most tables have one."""
    if constraint.contype in (ConstrType.CONSTR_PRIMARY, ConstrType.CONSTR_UNIQUE):
        said = {
            name for name in constraint if getattr(constraint, name) not in (None, False, 0, "\0")
        }
        if said <= {"contype", "conname", "keys", "location"}:
            return canonical.key(constraint.contype, tuple(key.sval for key in constraint.keys))
    return cache(lambda: canonical.text(canonical.replace(constraint, conname=None)))


def read(ddl: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """The facts in the rows of the catalog query `ddl`."""
    facts: dict[Key, str] = {}
    for row in ddl:
        table, own = row["table"], row["name"]
        for (kind, _, name), value in _read(row["ddl"]):
            if kind == "index" and own is not None:
                value = value.replace(" ON t ", f" ON {maybe_double_quote_name(table)} ", 1)
            facts[
                Key(
                    kind,
                    table,
                    own if kind in ("constraint", "index") and own is not None else name,
                )
            ] = value + row["state"]
    return facts


def holds(expected: str, found: str | None) -> bool:
    """Whether a fact is as expected, or says more: a constraint made NOT VALID may have been
    validated since.
    """
    return found in (expected, expected.removesuffix(" NOT VALID"))


@lru_cache(maxsize=100_000)
def _read(ddl: str) -> tuple[tuple[Key, str], ...]:
    """The facts of one piece of the catalog's DDL, the same piece read once."""
    (raw,) = pglast.parse_sql(ddl)
    return tuple(effect_of(raw.stmt).facts.items())


def relation_names(facts: Facts, keys: Iterable[Key]) -> Iterator[str]:
    """The names that the facts of these keys take in the schema's one namespace of relations and
    types.
    """
    for key in keys:
        if key.kind == "table":
            yield key.table
        elif key.kind == "index" or (
            key.kind == "constraint" and facts[key].startswith(("PRIMARY KEY", "UNIQUE"))
        ):
            yield key.name
