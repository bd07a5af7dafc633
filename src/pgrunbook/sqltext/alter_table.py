"""Finds the hazards of ALTER TABLE, as far as its text tells.

The manual's section on it says what each form reads, writes and locks:
https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, DropBehavior, ObjectType
from pglast.stream import RawStream, maybe_double_quote_name

from pgrunbook.sqltext.alter_table_locks import locked_out
from pgrunbook.sqltext.hazards import BESIDE, Danger, Doubt, Hazard, Thing, Trait, taken_along
from pgrunbook.sqltext.parse_tree import nodes
from pgrunbook.sqltext.things import kind_of, relation

_SERIAL = {"smallserial", "serial2", "serial", "serial4", "bigserial", "serial8"}

_ROW_SECURITY = (
    AlterTableType.AT_EnableRowSecurity,
    AlterTableType.AT_DisableRowSecurity,
    AlterTableType.AT_ForceRowSecurity,
    AlterTableType.AT_NoForceRowSecurity,
)


def dangers(node: ast.AlterTableStmt, line: int) -> Iterator[Danger]:
    """Yield the hazards of one ALTER TABLE; or of ALTER INDEX, VIEW, TYPE …, which the parser makes
    the same node of.
    """
    table = relation(kind_of(node.objtype), node.relation)
    if node.objtype == ObjectType.OBJECT_TYPE:
        yield from _of_type(node, table, line)
        return
    strongest = locked_out(node)
    found: list[Danger] = []
    for command in node.cmds:
        hazards = [*_command(table, command), *_validated(table, command, strongest)]
        for hazard, thing, doubts in hazards:
            own = (thing.schema, thing.name) == (table.schema, table.name)
            if own and hazard is Hazard.LOCKS_OUT_WRITES and strongest:
                hazard = strongest
            beside = "tables beside it" if BESIDE in doubts else ""
            found += _dropped(Danger(hazard, thing, line, doubts, beside), command)
    yield from found
    yield from _held_beside(table, node.cmds, found)


# What drops something of tables that stay, or makes it anew, by what it is of the table.
DROPPING = {
    AlterTableType.AT_AlterColumnType: "column",
    AlterTableType.AT_DropColumn: "column",
    AlterTableType.AT_DropConstraint: "constraint",
}


def _held_beside(
    table: Thing, commands: Sequence[ast.AlterTableCmd], found: Sequence[Danger]
) -> Iterator[Danger]:
    """Yield what is locked of other tables, as something goes along of them, while another command
    of the same statement reads or writes rows.
    """
    long = tuple(each for each in found if Trait.LONG in each.hazard.traits)
    if not long:
        return
    for command in commands:
        kind = DROPPING.get(command.subtype)
        if kind and command.subtype != AlterTableType.AT_AlterColumnType:  # which says so itself
            thing = table._replace(kind=kind, part=command.name)
            line = long[0].line
            yield Danger(Hazard.LOCKS_OUT_READS, thing, line, (BESIDE,), "tables beside it", long)


def _validated(table: Thing, command: ast.AlterTableCmd, strongest: Hazard | None) -> Found:
    """Yield the hazards of VALIDATE CONSTRAINT, which lets others read and write, where another
    command of the same statement does not.
    """
    if command.subtype == AlterTableType.AT_ValidateConstraint and strongest:
        yield from _scans(table._replace(kind="constraint", part=command.name), strongest)


def _dropped(danger: Danger, command: ast.AlterTableCmd) -> Iterator[Danger]:
    """Yield a danger of the command, and what goes along if it drops with CASCADE."""
    if command.behavior == DropBehavior.DROP_CASCADE:
        danger = danger._replace(detail="CASCADE")
    yield danger
    if danger.detail == "CASCADE":
        yield from taken_along(danger)


def _of_type(node: ast.AlterTableStmt, table: Thing, line: int) -> Iterator[Danger]:
    for command in node.cmds:
        if command.subtype == AlterTableType.AT_DropColumn:
            attribute = table._replace(kind="attribute", part=command.name)
            yield from _dropped(Danger(Hazard.DROPS_OTHER, attribute, line), command)


# A hazard, what it concerns, and what only the catalog can tell.
Found = Iterator[tuple[Hazard, Thing, tuple[Doubt, ...]]]


def _command(table: Thing, command: ast.AlterTableCmd) -> Found:
    column = table._replace(kind="column", part=command.name or "")
    match command.subtype:
        case AlterTableType.AT_DropColumn:
            yield Hazard.DROPS_COLUMN, column, ()
        case AlterTableType.AT_DropConstraint:
            yield Hazard.DROPS_OTHER, column._replace(kind="constraint"), ()
        case AlterTableType.AT_AddColumn:
            yield from _add_column(table, command)
        case AlterTableType.AT_AddConstraint:
            yield from _add_constraint(table, command.def_)
        case AlterTableType.AT_AlterConstraint:
            if command.def_.alterEnforceability and command.def_.is_enforced:
                named = table._replace(kind="constraint", part=command.def_.conname)
                yield from _scans(named, Hazard.LOCKS_OUT_READS)
        case AlterTableType.AT_AlterColumnType:
            using = ""
            if command.def_.raw_default and not _without_need(command):
                using = "using"
            new_type = RawStream()(command.def_.typeName)
            collation = _collation(command.def_.collClause)
            doubt = Doubt("type", (new_type, using, collation))
            yield from _rewrites(column, doubt)
            yield from _scans(column, Hazard.LOCKS_OUT_READS, doubt._replace(about="made anew"))
            # its foreign keys are made anew, which reads and locks the tables of both sides
            yield Hazard.LOCKS_OUT_READS, column, (doubt, BESIDE)
        case AlterTableType.AT_SetExpression:
            yield from _rewrites(column, Doubt("stored", (command.name,)))
        case AlterTableType.AT_SetNotNull:
            doubt = Doubt("not null", (command.name,))
            yield from _scans(column, Hazard.LOCKS_OUT_READS, doubt)
        case AlterTableType.AT_DetachPartition:
            yield Hazard.DROPS_OTHER, relation("table", command.def_.name), ()
        case AlterTableType.AT_DropInherit:  # who reads the parent misses its rows
            yield Hazard.DROPS_OTHER, table, ()
        case AlterTableType.AT_AttachPartition:
            partition = relation("table", command.def_.name)
            yield from _scans(partition, Hazard.LOCKS_OUT_READS, Doubt("checks"))
            yield from _scans(table, Hazard.LOCKS_OUT_READS, Doubt("default partition"))
        case other:
            yield from _as_a_whole(table, other, command.name or "")


def _as_a_whole(table: Thing, command: AlterTableType, value: str) -> Found:
    """Yield the hazards of commands about the whole table: its storage, owner, row security."""
    match command:
        case AlterTableType.AT_SetAccessMethod:
            yield from _rewrites(table, Doubt("storage", ("access method", value)))
        case AlterTableType.AT_SetTableSpace if table.kind == "index":
            doubt = Doubt("storage", ("tablespace", value))
            yield Hazard.LOCKS_OUT_READS, table, (doubt,)
        case AlterTableType.AT_SetTableSpace:
            yield from _rewrites(table, Doubt("storage", ("tablespace", value)))
        case AlterTableType.AT_DropIdentity:  # with its sequence
            yield Hazard.DROPS_OTHER, table._replace(kind="identity", part=value), ()
        case _ if table.kind == "sequence":  # it has one row
            return
        case AlterTableType.AT_SetLogged:
            yield from _rewrites(table, Doubt("storage", ("persistence", "p")))
        case AlterTableType.AT_SetUnLogged:
            yield from _rewrites(table, Doubt("storage", ("persistence", "u")))
        case AlterTableType.AT_ChangeOwner:
            yield Hazard.CHANGES_PRIVILEGES, table, ()
        case other if other in _ROW_SECURITY:
            yield Hazard.CHANGES_PRIVILEGES, table, ()


def _rewrites(thing: Thing, *doubts: Doubt) -> Found:
    """Yield the hazards of a rewrite: it holds ACCESS EXCLUSIVE until it is done."""
    yield Hazard.REWRITES_TABLE, thing, doubts
    yield Hazard.LOCKS_OUT_READS, thing, doubts


def _scans(thing: Thing, lock: Hazard, *doubts: Doubt) -> Found:
    yield Hazard.SCANS_UNDER_LOCK, thing, doubts
    yield lock, thing, doubts


def _collation(clause: ast.CollateClause | None) -> str:
    """Return the name that follows COLLATE, as SQL writes it; empty if nothing does."""
    if clause is None:
        return ""
    return ".".join(maybe_double_quote_name(part.sval) for part in clause.collname)


def _without_need(command: ast.AlterTableCmd) -> bool:
    """Whether USING only casts the column to the new type, as ALTER would do without it."""
    match command.def_.raw_default:
        case ast.TypeCast(arg=ast.ColumnRef(fields=(ast.String(sval=name),)), typeName=target):
            same_type = RawStream()(target) == RawStream()(command.def_.typeName)
            return bool(name == command.name and same_type)
    return False


# What the lock keeps out under which a new constraint's scan is made: ACCESS EXCLUSIVE everybody, a
# foreign key's SHARE ROW EXCLUSIVE lets reads pass.
_SCANNED_UNDER = {
    ConstrType.CONSTR_CHECK: Hazard.LOCKS_OUT_READS,
    ConstrType.CONSTR_NOTNULL: Hazard.LOCKS_OUT_READS,
    ConstrType.CONSTR_PRIMARY: Hazard.LOCKS_OUT_READS,
    ConstrType.CONSTR_UNIQUE: Hazard.LOCKS_OUT_READS,
    ConstrType.CONSTR_EXCLUSION: Hazard.LOCKS_OUT_READS,
    ConstrType.CONSTR_FOREIGN: Hazard.LOCKS_OUT_WRITES,
}


def _add_constraint(table: Thing, constraint: ast.Constraint) -> Found:
    """Yield the hazards of checking a new constraint against the rows that exist.

    There are none with NOT VALID and NOT ENFORCED; nor for a key that is made USING INDEX, unless
    it is a primary key, whose columns must not be NULL.
    """
    lock = _SCANNED_UNDER.get(constraint.contype)
    if lock is None or constraint.skip_validation:
        return
    doubts = []
    if constraint.indexname:
        if constraint.contype != ConstrType.CONSTR_PRIMARY:
            return
        doubts = [Doubt("key", (constraint.indexname,))]
    if constraint.contype == ConstrType.CONSTR_NOTNULL:
        doubts = [Doubt("not null", (constraint.keys[0].sval,))]
    yield from _scans(table, lock, *doubts)
    if constraint.contype == ConstrType.CONSTR_FOREIGN:
        yield Hazard.LOCKS_OUT_WRITES, relation("table", constraint.pktable), ()


def _add_column(table: Thing, command: ast.AlterTableCmd) -> Found:
    definition = command.def_
    column = table._replace(kind="column", part=definition.colname)
    absent = (Doubt("absent", (definition.colname,)),) if command.missing_ok else ()
    constraints = {c.contype: c for c in definition.constraints or ()}
    filled = _filled_by(definition, constraints)
    if filled is not None:
        yield from _rewrites(column, *filled, *absent)
    if not (_is_serial(definition) or _is_built_in(definition.typeName)):
        domain = Doubt("domain", (RawStream()(definition.typeName),))
        yield from _rewrites(column, domain, *absent)
    valued = constraints.keys() & _VALUED or _is_serial(definition)
    if ConstrType.CONSTR_NOTNULL in constraints and not valued:
        yield from _scans(column, Hazard.LOCKS_OUT_READS, *absent)
    for kind, constraint in constraints.items():
        # without a default, every row has NULL in it, which refers to nothing
        if kind == ConstrType.CONSTR_FOREIGN and not valued:
            continue
        if kind != ConstrType.CONSTR_NOTNULL:
            for hazard, thing, doubts in _add_constraint(column, constraint):
                yield hazard, thing, doubts + absent


# Constraints with which no row of a new column is NULL.
_VALUED = {
    ConstrType.CONSTR_DEFAULT,
    ConstrType.CONSTR_IDENTITY,
    ConstrType.CONSTR_GENERATED,
}


def _filled_by(definition: ast.ColumnDef, constraints: dict[Any, Any]) -> tuple[Doubt, ...] | None:
    """Return the doubts whether each row gets a value of its own in a new column, so that the table
    is rewritten: no doubts if that is certain, None if it is not rewritten.
    """
    if _is_serial(definition) or ConstrType.CONSTR_IDENTITY in constraints:
        return ()
    generated = constraints.get(ConstrType.CONSTR_GENERATED)
    if generated is not None:
        return () if generated.generated_kind == "s" else None  # stored, or else virtual
    default = constraints.get(ConstrType.CONSTR_DEFAULT)
    if default is None:
        return None
    # A constant is stored once, in pg_attribute.attmissingval; a volatile function gives each row
    # its own value. https://www.postgresql.org/docs/current/ddl-alter.html
    functions = called_functions(default.raw_expr)
    if not functions:
        return None
    return (Doubt("default", functions),)


# Types of pg_catalog, which is searched first. Most columns have one of these, and the catalog need
# not be asked whether it is a domain.
_BUILT_IN = {"bytea", "date", "inet", "json", "jsonb", "text", "timestamptz", "tsvector", "uuid"}


def _is_built_in(node: ast.TypeName) -> bool:
    """Whether the type is certainly not a domain: those of a domain's constraints are checked for
    every row.
    """
    first = node.names[0].sval
    return first == "pg_catalog" or first in _BUILT_IN or bool(node.arrayBounds)


def _is_serial(definition: ast.ColumnDef) -> bool:
    return definition.typeName.names[-1].sval in _SERIAL


def called_functions(node: ast.Node) -> tuple[str, ...]:
    """Return the functions that an expression or a query calls, each quoted as a name of SQL, in
    order, each once.
    """
    found: dict[str, None] = {}
    for each in nodes(node):
        if isinstance(each, ast.FuncCall):
            name = ".".join(maybe_double_quote_name(part.sval) for part in each.funcname)
            found[name] = None
    return tuple(found)
