"""Finds the hazards of statements, as far as their text tells: each with what it concerns, and with
the doubts that only the catalog can settle. Asks no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pglast import ast
from pglast.enums import (
    AlterPublicationAction,
    DropBehavior,
    ExclusiveLock,
    ObjectType,
    OnConflictAction,
    ReindexObjectType,
    ShareLock,
)
from pglast.stream import RawStream

from pgrunbook.sqltext import alter_table
from pgrunbook.sqltext.alter_table import Found
from pgrunbook.sqltext.explained import executed
from pgrunbook.sqltext.hazards import (
    BESIDE,
    OF_DOMAIN,
    Danger,
    Doubt,
    Hazard,
    Thing,
    taken_along,
)
from pgrunbook.sqltext.held_locks import HeldLocks, dropped_with_others, locked_out
from pgrunbook.sqltext.mentions import relations
from pgrunbook.sqltext.names import EVENTS, Names
from pgrunbook.sqltext.options import is_on
from pgrunbook.sqltext.privileges import privilege_hazards
from pgrunbook.sqltext.things import FIRED, kind_of, relation, thing_named


def dangers(
    statements: Iterable[tuple[ast.Node, int]],
    *,
    transaction: bool = True,
    names: Names | None = None,
) -> list[Danger]:
    """Return the hazards of a block's statements, in their order.

    - `statements` are given each with its line.
    - `transaction`: the block runs in one, so that locks are held until its end.
    - `names` follows the names through the blocks of a runbook; it takes account of these
      statements, for the blocks behind.

    What the statements have made themselves holds no rows that anybody knows: to change it is no
    hazard.
    """
    found: list[Danger] = []
    held = HeldLocks()
    names = names or Names()
    for node, line in statements:
        if not transaction and not isinstance(node, ast.CommentStmt):
            found.append(Danger(Hazard.NOT_TRANSACTIONAL, Thing("", "", "the block"), line))
        new: list[Danger] = []
        names.free(executed(node))
        for danger in _hazards_of_all(node, line, names):
            new += names.before(danger)
        found += new
        done = executed(node)
        if transaction:
            locked: list[Danger] = []
            for hazard, thing in locked_out(done):
                locked += names.before(Danger(hazard, thing, line))
            for thing in dropped_with_others(done):
                locked += names.before(Danger(Hazard.LOCKS_OUT_READS, thing, line, (BESIDE,)))
            held.add_statement(done, line, new, locked)
        names.take(done)
    return list(dict.fromkeys([*found, *held.dangers()]))


def _hazards_of_all(node: ast.Node, line: int, names: Names) -> Iterator[Danger]:
    """Yield the hazards of one statement; of the one that it executes, as EXPLAIN ANALYZE does; and
    of what statements before it have made it mean: functions of their views, tables that they have
    moved.
    """
    yield from _hazards_of(node, line)
    done = executed(node)
    if done is not node:
        yield from _hazards_of(done, line)
    yield from _runs(names.code_of_views(done), line)
    if isinstance(done, ast.DropStmt):
        for table in names.moved_into(done):
            yield Danger(Hazard.DROPS_TABLE, table, line)


def _hazards_of(node: ast.Node, line: int) -> Iterator[Danger]:
    """Yield the hazards of one statement."""
    match node:
        case ast.AlterTableStmt():
            yield from alter_table.dangers(node, line)
        case ast.DropStmt(removeType=kind, objects=objects, behavior=behavior):
            for each in objects:
                thing = thing_named(kind, each)
                dropped = Danger(_drop_hazard(kind), thing, line, (), _cascade(behavior))
                yield dropped
                # the tables of an extension go without CASCADE, too
                if dropped.detail or kind == ObjectType.OBJECT_EXTENSION:
                    yield from taken_along(dropped)
        case ast.TruncateStmt(relations=relations, behavior=behavior):
            for each in relations:
                table = relation("table", each)
                yield Danger(Hazard.TRUNCATES, table, line, (), _cascade(behavior))
                yield _fired(each, "truncate", line)
        case ast.CopyStmt(is_from=True, is_program=False, relation=table):
            yield _fired(table, "insert", line)
        case ast.InsertStmt() | ast.UpdateStmt() | ast.DeleteStmt() | ast.MergeStmt():
            yield from _row_hazards(node, line)
            yield from _calls(node, line)
        case ast.SelectStmt():
            yield from _query(node, line)
        case ast.CreateTableAsStmt(query=ast.SelectStmt() as query):
            yield from _query(query, line)
        case _:
            for group in (
                _storage_hazards,
                _lock_hazards,
                _name_hazards,
                _drop_hazards,
                privilege_hazards,
                _code_hazards,
            ):
                for hazard, thing, doubts in group(node):
                    yield Danger(hazard, thing, line, doubts)


def _drop_hazard(kind: int) -> Hazard:
    if kind in (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_FOREIGN_TABLE):
        return Hazard.DROPS_TABLE
    return Hazard.DROPS_OTHER


def _cascade(behavior: int) -> str:
    return "CASCADE" if behavior == DropBehavior.DROP_CASCADE else ""


# -- rows


def _row_hazards(node: ast.Node, line: int) -> Iterator[Danger]:
    """Yield the hazards of a statement that writes rows, and of those that its WITH holds."""
    yield from _with_hazards(node, line)
    every = ""
    columns: tuple[str, ...] = ()
    if isinstance(node, ast.UpdateStmt):
        columns = tuple(each.name for each in node.targetList)
    if isinstance(node, ast.UpdateStmt | ast.DeleteStmt) and not node.whereClause:
        every = "every row"
    events = _events(node)
    for event in events:
        if event in _CHANGING:
            table = relation("table", node.relation)
            yield Danger(_CHANGING[event], table, line, (), every, columns=columns)
    for event in events:
        yield _fired(node.relation, event, line)


def _events(node: ast.Node) -> list[str]:
    """Return the events by which a statement fires rules and triggers, the worst one first."""
    match node:
        case ast.DeleteStmt():
            return ["delete"]
        case ast.UpdateStmt():
            return ["update"]
        case ast.MergeStmt(mergeWhenClauses=clauses):
            commands = {clause.commandType for clause in clauses}
            return [event for command, event in EVENTS.items() if command in commands]
        case ast.InsertStmt(onConflictClause=ast.OnConflictClause(action=action)):
            if action == OnConflictAction.ONCONFLICT_UPDATE:
                return ["update", "insert"]
    return ["insert"]


_CHANGING = {"delete": Hazard.DELETES_ROWS, "update": Hazard.UPDATES_ROWS}


def _fired(table: ast.RangeVar, event: str, line: int) -> Danger:
    return Danger(Hazard.RUNS_CODE, relation(FIRED, table), line, (Doubt("fires", (event,)),))


def _with_hazards(node: ast.Node, line: int) -> Iterator[Danger]:
    """Yield the hazards of the statements in WITH. They may write at the outermost level alone, so
    no query further inside is looked at.
    """
    # of INSERT it may stand before the query, too
    for part in (node, getattr(node, "selectStmt", None)):
        clause = getattr(part, "withClause", None)
        if not clause:
            continue
        for each in clause.ctes:
            if not isinstance(each.ctequery, ast.SelectStmt):
                yield from _row_hazards(each.ctequery, line)


def _query(node: ast.SelectStmt, line: int) -> Iterator[Danger]:
    yield from _with_hazards(node, line)
    yield from _calls(node, line)


def _calls(node: ast.Node, line: int) -> Iterator[Danger]:
    yield from _runs(alter_table.called_functions(node), line)
    for schema, name in sorted(relations(node)):
        thing = Thing(FIRED, schema, name)
        yield Danger(Hazard.RUNS_CODE, thing, line, (Doubt("fires", ("select",)),))


def _runs(functions: Iterable[str], line: int) -> Iterator[Danger]:
    for name in functions:
        *schema, function = name.split(".")
        thing = Thing("function", ".".join(schema), function)
        yield Danger(Hazard.RUNS_CODE, thing, line, (Doubt("volatile", (name,)),))


# -- what is built, read or written anew as a whole


def _storage_hazards(node: ast.Node) -> Found:
    match node:
        case ast.IndexStmt(concurrent=False, relation=table) if table.inh:
            # ON ONLY makes the index of a partitioned table, without those of its partitions
            yield Hazard.SCANS_UNDER_LOCK, relation("table", table), ()
            yield Hazard.LOCKS_OUT_WRITES, relation("table", table), ()
        case ast.ReindexStmt(kind=kind, relation=there, params=params) if there is not None:
            if not is_on(params, "concurrently"):
                what = "table"
                if kind == ReindexObjectType.REINDEX_OBJECT_INDEX:
                    what = "index"
                # the planner opens every index of a table that is read
                yield Hazard.LOCKS_OUT_READS, relation(what, there), ()
        case ast.RefreshMatViewStmt(relation=view, concurrent=False):
            yield Hazard.REWRITES_TABLE, relation("materialized view", view), ()
            yield Hazard.LOCKS_OUT_READS, relation("materialized view", view), ()
        case ast.ClusterStmt(relation=ast.RangeVar() as table):
            yield from _rewrites(table)
        case ast.AlterTableMoveAllStmt(objtype=kind, orig_tablespacename=space):
            every = Thing(f"every {kind_of(kind)} of tablespace", "", space)
            if kind != ObjectType.OBJECT_INDEX:
                yield Hazard.REWRITES_TABLE, every, ()
            yield Hazard.LOCKS_OUT_READS, every, ()
        case ast.VacuumStmt(options=options, rels=tables):
            if is_on(options, "full"):
                for each in tables or ():
                    yield from _rewrites(each.relation)


def _rewrites(table: ast.RangeVar) -> Found:
    yield Hazard.REWRITES_TABLE, relation("table", table), ()
    yield Hazard.LOCKS_OUT_READS, relation("table", table), ()


def _lock_hazards(node: ast.Node) -> Found:
    match node:
        case ast.LockStmt(relations=tables, mode=mode) if mode >= ShareLock:
            hazard = Hazard.LOCKS_OUT_WRITES
            if mode > ExclusiveLock:
                hazard = Hazard.LOCKS_OUT_READS
            for each in tables:
                yield hazard, relation("table", each), ()
        case ast.CreateStmt(partbound=bound, inhRelations=parents) if bound is not None:
            parent = relation("table", parents[0])
            if not bound.is_default:  # its rows may belong into the new partition
                doubt = Doubt("default partition")
                yield Hazard.SCANS_UNDER_LOCK, parent, (doubt,)
                yield Hazard.LOCKS_OUT_READS, parent, (doubt,)
        case ast.AlterDomainStmt(subtype="C" | "O" | "V", typeName=name, def_=constraint):
            # ADD, SET NOT NULL, VALIDATE: every table with a column of the domain is read
            if constraint is None or not constraint.skip_validation:
                domain = thing_named(ObjectType.OBJECT_DOMAIN, name)
                yield Hazard.SCANS_UNDER_LOCK, domain, (OF_DOMAIN,)
                yield Hazard.LOCKS_OUT_WRITES, domain, (OF_DOMAIN,)


# -- names


# Clients never name these, so a rename does not break them.
_UNNAMED = (
    ObjectType.OBJECT_TABCONSTRAINT,
    ObjectType.OBJECT_DOMCONSTRAINT,
    ObjectType.OBJECT_INDEX,
    ObjectType.OBJECT_TRIGGER,
    ObjectType.OBJECT_POLICY,
    ObjectType.OBJECT_RULE,
)


def _name_hazards(node: ast.Node) -> Found:
    match node:
        case ast.RenameStmt(renameType=kind) if kind not in _UNNAMED:
            thing = thing_named(kind, _subject(node))
            if node.relation is not None and node.subname:
                thing = thing._replace(part=node.subname)
            if not thing.name:  # a schema, a role, a database
                thing = thing._replace(name=node.subname)
            yield Hazard.RENAMES, thing, ()
        case ast.AlterObjectSchemaStmt(objectType=kind):
            yield Hazard.RENAMES, thing_named(kind, _subject(node)), ()
        case ast.AlterEnumStmt(typeName=name, oldVal=str() as label):
            yield Hazard.RENAMES, thing_named(ObjectType.OBJECT_TYPE, name)._replace(part=label), ()
        case ast.AlterDomainStmt(subtype="X", typeName=name, name=constraint):
            domain = thing_named(ObjectType.OBJECT_DOMAIN, name)
            dropped = domain._replace(kind="domain constraint", part=constraint)
            yield Hazard.DROPS_OTHER, dropped, ()


def _drop_hazards(node: ast.Node) -> Found:
    """Yield what is dropped otherwise than by DROP of an object with a name of its own."""
    match node:
        case ast.DropUserMappingStmt(user=role, servername=server):
            yield Hazard.DROPS_OTHER, Thing("user mapping", "", server, RawStream()(role)), ()
        case ast.AlterPublicationStmt(pubname=name, action=AlterPublicationAction.AP_DropObjects):
            for each in node.pubobjects:
                of = f"tables of schema {each.name or 'CURRENT_SCHEMA'}"
                if each.pubtable:
                    of = str(relation("table", each.pubtable.relation))
                yield Hazard.DROPS_OTHER, Thing(f"{of} of publication", "", name), ()
        case ast.AlterPublicationStmt(pubname=name, action=AlterPublicationAction.AP_SetObjects):
            others = Thing("others than these of publication", "", name)
            yield Hazard.DROPS_OTHER, others, (Doubt("others of it"),)


def _subject(node: ast.RenameStmt | ast.AlterObjectSchemaStmt) -> ast.Node:
    """Return the node that names what the statement is about: the parser has two places for it."""
    return node.object if node.relation is None else node.relation


# -- code


def _code_hazards(node: ast.Node) -> Found:
    """Yield statements that run code by themselves. Functions in a query are those of `_calls`."""
    match node:
        case ast.DoStmt():
            yield Hazard.RUNS_CODE, Thing("DO", "", ""), ()
        case ast.CallStmt(funccall=ast.FuncCall(funcname=name)):
            yield Hazard.RUNS_CODE, thing_named(ObjectType.OBJECT_PROCEDURE, name), ()
        case ast.CreateExtensionStmt(extname=name) | ast.AlterExtensionStmt(extname=name):
            yield Hazard.RUNS_CODE, Thing("extension", "", name), ()
        case ast.CopyStmt(is_program=True):
            yield Hazard.RUNS_CODE, Thing("COPY … PROGRAM", "", ""), ()
