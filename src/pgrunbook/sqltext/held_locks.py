"""Finds the relations that statements lock until their transaction ends, and which of these locks
are held while a later statement works for long: the application waits meanwhile.

https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, ObjectType

from pgrunbook.sqltext import alter_table, alter_table_locks
from pgrunbook.sqltext.alter_table import called_functions
from pgrunbook.sqltext.hazards import Danger, Doubt, Hazard, Thing, Trait
from pgrunbook.sqltext.parse_tree import nodes
from pgrunbook.sqltext.things import OWNED, kind_of, owned_by, relation, thing_named

_LockedOut = Iterator[tuple[Hazard, Thing]]  # LOCKS_OUT_READS or …_WRITES, and of what

_READS, _WRITES = Hazard.LOCKS_OUT_READS, Hazard.LOCKS_OUT_WRITES

_RELATIONS = (
    *(ObjectType.OBJECT_TABLE, ObjectType.OBJECT_FOREIGN_TABLE),
    *(ObjectType.OBJECT_VIEW, ObjectType.OBJECT_MATVIEW, ObjectType.OBJECT_SEQUENCE),
    ObjectType.OBJECT_INDEX,
)
_TABLE_PARTS = (ObjectType.OBJECT_TRIGGER, ObjectType.OBJECT_POLICY, ObjectType.OBJECT_RULE)


def locked_out(node: ast.Node) -> _LockedOut:
    """Yield, for each relation that a statement locks until the transaction ends, whether it keeps
    reads or only writes from it.

    A lock for a moment is no hazard by itself: it is one if a later statement takes long, see
    `HeldLocks`. What the statement itself does under its lock, `dangers` tells.
    """
    match node:
        case ast.AlterTableStmt(objtype=kind) if kind in _RELATIONS[:-1]:
            yield from _of_alter_table(node)
        case ast.RenameStmt(relation=ast.RangeVar() as renamed, renameType=kind):
            if kind != ObjectType.OBJECT_INDEX:
                yield _READS, relation(kind_of(node.relationType or kind), renamed)
        case ast.AlterObjectSchemaStmt(relation=ast.RangeVar() as moved, objectType=kind):
            yield _READS, relation(kind_of(kind), moved)
        case ast.DropStmt(removeType=kind, objects=objects, concurrent=False):
            for each in objects if kind in (*_RELATIONS, *_TABLE_PARTS) else ():
                dropped = thing_named(kind, each)
                yield _READS, dropped._replace(kind="table", part="") if dropped.part else dropped
        case ast.TruncateStmt(relations=relations):
            for each in relations:
                yield _READS, relation("table", each)
        case ast.AlterSeqStmt(sequence=sequence):  # nextval() waits, too
            yield _WRITES, relation("sequence", sequence)
        case ast.ReassignOwnedStmt(roles=roles) | ast.DropOwnedStmt(roles=roles):
            for each in roles:
                yield _READS, owned_by(each)
        case ast.CreateTrigStmt(relation=table):
            yield _WRITES, relation("table", table)
        case ast.CreatePolicyStmt(table=table) | ast.AlterPolicyStmt(table=table):
            yield _READS, relation("table", table)
        case ast.RuleStmt(relation=table):
            yield _READS, relation("table", table)
        case ast.ViewStmt(view=view, replace=True):
            yield _READS, relation("view", view)
        case ast.CreateStmt(partbound=bound, inhRelations=parents, tableElts=elements):
            if bound is not None:
                yield _READS, relation("table", parents[0])
            yield from _referred(elements or ())


def dropped_with_others(node: ast.Node) -> Iterator[Thing]:
    """Yield what a statement drops, if something of tables that stay may be dropped with it: a key
    that refers to them, a trigger, a policy, a default. These tables are locked, too.
    """
    match node:
        case ast.DropStmt(removeType=kind, objects=objects, concurrent=False):
            if kind not in _TABLE_PARTS:  # they have no more than their own table
                for each in objects:
                    yield thing_named(kind, each)
        case ast.AlterTableStmt(relation=table, cmds=commands):
            for each in commands:
                if each.subtype in alter_table.DROPPING:
                    yield relation(alter_table.DROPPING[each.subtype], table, each.name)


def _of_alter_table(node: ast.AlterTableStmt) -> _LockedOut:
    hazard = alter_table_locks.locked_out(node)
    if hazard:
        yield hazard, relation(kind_of(node.objtype), node.relation)
    yield from _referred(each.def_ for each in node.cmds)
    for each in node.cmds:
        if isinstance(each.def_, ast.PartitionCmd) and each.def_.name is not None:
            yield _READS, relation("table", each.def_.name)


def _referred(made: Iterable[ast.Node | None]) -> _LockedOut:
    """Yield what the foreign keys of these columns and constraints refer to."""
    for node in made:
        constraints = node.constraints or () if isinstance(node, ast.ColumnDef) else (node,)
        for each in constraints:
            if isinstance(each, ast.Constraint) and each.contype == ConstrType.CONSTR_FOREIGN:
                yield _WRITES, relation("table", each.pktable)


# What may read or write many rows, whatever it names …
_LONG_AT_WORK = (
    *(ast.MergeStmt, ast.CopyStmt, ast.FetchStmt, ast.ReindexStmt, ast.VacuumStmt),
    ast.ImportForeignSchemaStmt,
)
# … and if it reads some from a table, whatever it writes.
_READING = (
    *(ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt),
    ast.CreateTableAsStmt,
)


def _works_long(node: ast.Node) -> bool:
    """Whether a statement may read or write many rows, as far as its text tells. That is no hazard
    by itself, but locks taken before are held meanwhile.
    """
    match node:
        case ast.CreateTableAsStmt(into=ast.IntoClause(skipData=True)):
            return False
        case ast.RefreshMatViewStmt(skipData=without):
            return not without
        case ast.AlterTableStmt(cmds=commands):
            return any(c.subtype == AlterTableType.AT_ValidateConstraint for c in commands)
    if isinstance(node, _READING):
        return any(_reads_rows(each) for each in nodes(node))
    return isinstance(node, _LONG_AT_WORK)


def _reads_rows(query: ast.Node) -> bool:
    """Whether a query reads from more than one of the server's own catalogs, which are small."""
    match getattr(query, "fromClause", None) or getattr(query, "usingClause", None):
        case (ast.RangeVar(schemaname="pg_catalog" | "information_schema"),):
            return False
        case (ast.RangeVar(schemaname=None, relname=name),):
            return not name.startswith("pg_")
        case tables:
            return bool(tables)


def _set_returning_calls(node: ast.Node, line: int) -> Iterator[Danger]:
    """Yield a danger if a statement calls functions, in case one of them returns a set: such a
    statement may work for long without reading a table, as with generate_series().
    """
    functions = called_functions(node) if isinstance(node, _READING) else ()
    if functions:
        doubts = (Doubt("returns set", functions),)
        yield Danger(Hazard.RUNS_CODE, Thing("query", "", ""), line, doubts)


@dataclass(slots=True)
class _Lock:
    since: int  # the line of the statement that takes it
    until: int = 0  # the line of the first later statement that certainly takes long; 0: none
    certain: bool = False  # a later one takes long without being a hazard itself
    during: list[Danger] = field(default_factory=list)  # hazards of later ones that take long


@dataclass(slots=True)
class HeldLocks:
    """The locks that the statements of a block hold while later ones work."""

    # by the hazard, the relation, the path that finds it, and what only the catalog can tell
    _locks: dict[tuple[Hazard, Thing, str, tuple[Doubt, ...]], _Lock] = field(default_factory=dict)

    def add_statement(
        self, node: ast.Node, line: int, hazards: Sequence[Danger], locked: Iterable[Danger]
    ) -> None:
        """Add the next statement of the block: its hazards, and what it keeps locked, as hazards
        LOCKS_OUT_READS or LOCKS_OUT_WRITES.
        """
        causes = [each for each in hazards if Trait.LONG in each.hazard.traits]
        certain = _works_long(node)
        if not certain:
            causes += _set_returning_calls(node, line)
        undoubted = certain or any(not each.doubts for each in causes)
        for lock in self._locks.values():
            if undoubted:
                lock.until = lock.until or line
            lock.certain = lock.certain or certain
            lock.during += causes
        for each in locked:
            key = each.thing, each.path, each.doubts
            # who keeps reads from a table keeps writes from it, too
            if (_READS, *key) not in self._locks:
                self._locks.setdefault((each.hazard, *key), _Lock(line))

    def dangers(self) -> Iterator[Danger]:
        """Yield a hazard for each lock that is held while a later statement may work for long."""
        for (hazard, thing, path, doubts), lock in self._locks.items():
            if lock.until or lock.during:
                line = lock.until or lock.during[0].line
                causes = () if lock.certain else tuple(lock.during)
                since = f"locked since line {lock.since}"
                if doubts:
                    since = f"tables beside it, {since}"
                elif thing.kind == OWNED:
                    doubts = (Doubt("taken along", ("table",)),)
                yield Danger(hazard, thing, line, doubts, since, causes, path)
