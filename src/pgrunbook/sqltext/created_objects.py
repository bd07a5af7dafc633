"""Finds the objects that a statement makes, by the names that its text gives them.

Only names: whether an object exists, and what it is like, the server says. What a function or a DO
block makes, the text does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pglast import ast
from pglast.enums import AlterTableType, ConstrType, FunctionParameterMode, ObjectType
from pglast.stream import RawStream, maybe_double_quote_name

# What `DROP` and `ALTER` call a kind, where it is not the kind's own name in capitals. The kinds
# are pg_identify_object's words.
_KEYWORDS = {
    "statistics object": "STATISTICS",
    "table column": "COLUMN",
    "table constraint": "CONSTRAINT",
    "domain constraint": "CONSTRAINT",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
}
_OF_A_TABLE = ("trigger", "policy", "rule")
_PARTS = {"table column": "TABLE", "table constraint": "TABLE", "domain constraint": "DOMAIN"}
_WITH_ARGUMENTS = ("function", "procedure", "aggregate", "operator")
_OF_A_METHOD = ("operator class", "operator family")
TEMPORARY = "pg_temp"  # the schema of what is temporary, whatever it is called


@dataclass(frozen=True, slots=True)
class CreatedObject:
    """An object as a statement names it.

    - `schema` is empty if the search path decides; `name`, if PostgreSQL chooses one.
    - `parent` is the table (or the domain) that it is part of.
    - `arguments` are the types of a function's arguments, or the access method of an operator
      class.
    - `lenient`: IF NOT EXISTS; `replaces`: OR REPLACE.
    - `was` is its name before a RENAME.
    """

    kind: str
    schema: str
    name: str
    parent: str = ""
    arguments: str = ""
    lenient: bool = False
    replaces: bool = False
    was: str = ""

    def __str__(self) -> str:
        name = self.name or "without a name"
        if self.kind == "table column":
            return f"{self.kind} {self.parent}.{name}"
        if self.parent:
            return f"{self.kind} {name} on {self.parent}"
        return f"{self.kind} {name}"

    @property
    def signature(self) -> str:
        """Its name as DROP writes it: a function has the types of its arguments."""
        return self._named(self.name)

    @property
    def undo_statement(self) -> str:
        """The statement that drops it, or gives it the name back that it had before. It fails if
        the object does not exist, or has no name.
        """
        if self.was:
            return self._renamed_back()
        if self.kind in _PARTS:
            whole = f"{_PARTS[self.kind]} {self._qualified(self.parent)}"
            part = f"{_KEYWORDS[self.kind]} IF EXISTS {_quote(self.name)}"
            return f"ALTER {whole} DROP {part} CASCADE"
        return f"DROP {self._keyword} IF EXISTS {self._named(self.name)} CASCADE"

    def _renamed_back(self) -> str:
        to = f"{_quote(self.name)} TO {_quote(self.was)}"
        if self.kind in _PARTS:
            part = _KEYWORDS[self.kind]
            return f"ALTER {_PARTS[self.kind]} {self._qualified(self.parent)} RENAME {part} {to}"
        return f"ALTER {self._keyword} {self._named(self.name)} RENAME TO {_quote(self.was)}"

    @property
    def _keyword(self) -> str:
        return _KEYWORDS.get(self.kind, self.kind.upper())

    def _named(self, name: str) -> str:
        if self.kind in _OF_A_TABLE:
            return f"{_quote(name)} ON {self._qualified(self.parent)}"
        if self.kind in _WITH_ARGUMENTS:
            return f"{self._qualified(name)}({self.arguments})"
        if self.kind in _OF_A_METHOD:
            return f"{self._qualified(name)} USING {_quote(self.arguments)}"
        return self._qualified(name)

    def _qualified(self, name: str) -> str:
        own = name if self.kind == "operator" else _quote(name)
        return f"{_quote(self.schema)}.{own}" if self.schema else own


def created_objects(*statements: ast.Node) -> list[CreatedObject]:
    """Return what the statements make, in order. A table counts as one object, with its columns and
    keys; an object that gets another name counts, too.
    """
    found: list[CreatedObject] = []
    for node in statements:
        found += _of_statement(node)
    return found


def created_relations(node: ast.Node) -> Iterator[tuple[str, str]]:
    """Yield schema and name of each relation, but no index, that a statement certainly makes."""
    for each in _of_statement(node):
        is_new = not (each.lenient or each.replaces or each.was)
        if is_new and each.kind in RELATIONS and each.kind != "index":
            yield each.schema, each.name


def _of_statement(node: Any) -> Iterator[CreatedObject]:
    match node:
        case ast.CreateForeignTableStmt():
            yield _relation("foreign table", node.base.relation, node.base.if_not_exists)
        case ast.CreateStmt():
            yield _relation("table", node.relation, node.if_not_exists)
        case ast.CreateTableAsStmt():
            yield _relation(_RELATIONS[node.objtype], node.into.rel, node.if_not_exists)
        case ast.SelectStmt(intoClause=ast.IntoClause(rel=relation)):
            yield _relation("table", relation)
        case ast.ViewStmt():
            yield replace(_relation("view", node.view), replaces=bool(node.replace))
        case ast.CreateSeqStmt():
            yield _relation("sequence", node.sequence, node.if_not_exists)
        case ast.IndexStmt():
            index = _part("index", node.relation, node.idxname)
            yield replace(index, lenient=bool(node.if_not_exists))
        case ast.AlterTableStmt():
            yield from _by_alter_table(node)
        case ast.RenameStmt():
            yield from _by_rename(node)
        case ast.CreateSchemaStmt():
            yield from _by_create_schema(node)
        case ast.CreateFunctionStmt():
            yield _by_create_function(node)
        case ast.DefineStmt():
            yield from _by_define(node)
        case ast.CompositeTypeStmt():
            yield _relation("type", node.typevar)
        case ast.CreateEnumStmt() | ast.CreateRangeStmt():
            yield _by_names("type", node.typeName)
        case ast.CreateDomainStmt():
            yield _by_names("domain", node.domainname)
        case ast.AlterDomainStmt(subtype="C"):
            domain, name = _by_names("domain", node.typeName), node.def_.conname or ""
            yield CreatedObject("domain constraint", domain.schema, name, domain.name)
        case ast.CreateStatsStmt(defnames=None):
            yield _part("statistics object", node.relations[0], None)
        case ast.CreateStatsStmt():
            statistics = _by_names("statistics object", node.defnames)
            yield replace(statistics, lenient=bool(node.if_not_exists))
        case ast.CreateTrigStmt():
            trigger = _part("trigger", node.relation, node.trigname)
            yield replace(trigger, replaces=bool(node.replace))
        case ast.CreatePolicyStmt():
            yield _part("policy", node.table, node.policy_name)
        case ast.RuleStmt():
            yield replace(_part("rule", node.relation, node.rulename), replaces=bool(node.replace))
        case ast.CreateOpClassStmt():
            yield replace(_by_names("operator class", node.opclassname), arguments=node.amname)
        case ast.CreateOpFamilyStmt():
            yield replace(_by_names("operator family", node.opfamilyname), arguments=node.amname)
        case ast.CreateConversionStmt():
            yield _by_names("conversion", node.conversion_name)
        case _ if type(node) in _OUTSIDE_SCHEMAS:
            kind, name = _OUTSIDE_SCHEMAS[type(node)]
            lenient = bool(getattr(node, "if_not_exists", False))
            made = CreatedObject(kind, "", getattr(node, name), lenient=lenient)
            yield replace(made, replaces=bool(getattr(node, "replace", False)))


# What lies in no schema: its kind, and where the statement has its name.
_OUTSIDE_SCHEMAS = {
    ast.CreateEventTrigStmt: ("event trigger", "trigname"),
    ast.CreateExtensionStmt: ("extension", "extname"),
    ast.CreatePublicationStmt: ("publication", "pubname"),
    ast.CreatePLangStmt: ("language", "plname"),
    ast.CreateAmStmt: ("access method", "amname"),
    ast.CreateFdwStmt: ("foreign-data wrapper", "fdwname"),
    ast.CreateForeignServerStmt: ("server", "servername"),
}

_RELATIONS = {
    ObjectType.OBJECT_TABLE: "table",
    ObjectType.OBJECT_MATVIEW: "materialized view",
    ObjectType.OBJECT_VIEW: "view",
    ObjectType.OBJECT_SEQUENCE: "sequence",
    ObjectType.OBJECT_INDEX: "index",
    ObjectType.OBJECT_FOREIGN_TABLE: "foreign table",
}
RELATIONS = {*_RELATIONS.values()}


def _relation(kind: str, relation: ast.RangeVar, lenient: Any = False) -> CreatedObject:
    schema = TEMPORARY if relation.relpersistence == "t" else relation.schemaname or ""
    return CreatedObject(kind, schema, relation.relname, lenient=bool(lenient))


def _part(kind: str, table: ast.RangeVar, name: str | None) -> CreatedObject:
    return CreatedObject(kind, table.schemaname or "", name or "", table.relname)


def _by_names(kind: str, names: Sequence[Any]) -> CreatedObject:
    """Return an object by its names: of a catalog, a schema and its own, the last two count."""
    *others, name = [each if isinstance(each, str) else each.sval for each in names]
    schema = others[-1] if others else ""
    return CreatedObject(kind, schema, name)


def _by_alter_table(node: ast.AlterTableStmt) -> Iterator[CreatedObject]:
    for command in node.cmds:
        match command.subtype:
            case AlterTableType.AT_AddColumn:
                column = _part("table column", node.relation, command.def_.colname)
                yield replace(column, lenient=bool(command.missing_ok))
            case AlterTableType.AT_AddConstraint:
                yield _part("table constraint", node.relation, _constraint_name(node, command.def_))


def _constraint_name(node: ast.AlterTableStmt, constraint: ast.Constraint) -> str | None:
    """Its name; that of a primary key, of which a table has one, can be told without."""
    name: str | None = constraint.conname or constraint.indexname
    if constraint.contype is ConstrType.CONSTR_PRIMARY and not name:
        return f"{node.relation.relname}_pkey"
    return name


_BY_NAME = {
    ObjectType.OBJECT_TYPE: "type",
    ObjectType.OBJECT_DOMAIN: "domain",
    ObjectType.OBJECT_SCHEMA: "schema",
    ObjectType.OBJECT_STATISTIC_EXT: "statistics object",
    ObjectType.OBJECT_COLLATION: "collation",
    ObjectType.OBJECT_PUBLICATION: "publication",
}
_CALLED = {
    ObjectType.OBJECT_FUNCTION: "function",
    ObjectType.OBJECT_PROCEDURE: "procedure",
    ObjectType.OBJECT_AGGREGATE: "aggregate",
}
_SUBNAMED = {
    ObjectType.OBJECT_COLUMN: "table column",
    ObjectType.OBJECT_TABCONSTRAINT: "table constraint",
    ObjectType.OBJECT_TRIGGER: "trigger",
    ObjectType.OBJECT_POLICY: "policy",
    ObjectType.OBJECT_RULE: "rule",
}


def _by_rename(node: ast.RenameStmt) -> Iterator[CreatedObject]:
    kind = node.renameType
    if kind in _RELATIONS:
        relation = _relation(_RELATIONS[kind], node.relation)
        yield replace(relation, name=node.newname, was=node.relation.relname)
    elif kind in _SUBNAMED:
        yield replace(_part(_SUBNAMED[kind], node.relation, node.newname), was=node.subname)
    elif kind in _CALLED:
        named = _by_names(_CALLED[kind], node.object.objname)
        arguments = ", ".join(map(RawStream(), node.object.objargs or ()))
        yield replace(named, name=node.newname, was=named.name, arguments=arguments)
    elif kind is ObjectType.OBJECT_SCHEMA:
        yield CreatedObject("schema", "", node.newname, was=node.subname)
    elif kind in _BY_NAME and isinstance(node.object, tuple):
        named = _by_names(_BY_NAME[kind], node.object)
        yield replace(named, name=node.newname, was=named.name)


def _by_create_schema(node: ast.CreateSchemaStmt) -> Iterator[CreatedObject]:
    name = node.schemaname or node.authrole.rolename  # CREATE SCHEMA AUTHORIZATION role
    yield CreatedObject("schema", "", name, lenient=bool(node.if_not_exists))
    for element in node.schemaElts or ():
        for inside in _of_statement(element):
            yield replace(inside, schema=name)


_INPUTS = (
    FunctionParameterMode.FUNC_PARAM_IN,
    FunctionParameterMode.FUNC_PARAM_INOUT,
    FunctionParameterMode.FUNC_PARAM_VARIADIC,
    FunctionParameterMode.FUNC_PARAM_DEFAULT,
)


def _by_create_function(node: ast.CreateFunctionStmt) -> CreatedObject:
    """Return a function, which is known by the types of what goes in; or a procedure, which is
    known by those that come out, too.
    """
    kind = "procedure" if node.is_procedure else "function"
    of_table = FunctionParameterMode.FUNC_PARAM_TABLE
    types = []
    for parameter in node.parameters or ():
        printed = RawStream()(parameter.argType)
        if parameter.mode in _INPUTS:
            types.append(printed)
        elif node.is_procedure and parameter.mode is not of_table:
            types.append(f"OUT {printed}")
    named = _by_names(kind, node.funcname)
    return replace(named, arguments=", ".join(types), replaces=bool(node.replace))


_DEFINED = {
    ObjectType.OBJECT_TYPE: "type",
    ObjectType.OBJECT_COLLATION: "collation",
    ObjectType.OBJECT_TSCONFIGURATION: "text search configuration",
    ObjectType.OBJECT_TSDICTIONARY: "text search dictionary",
    ObjectType.OBJECT_TSPARSER: "text search parser",
    ObjectType.OBJECT_TSTEMPLATE: "text search template",
    ObjectType.OBJECT_OPERATOR: "operator",
    ObjectType.OBJECT_AGGREGATE: "aggregate",
}


def _by_define(node: ast.DefineStmt) -> Iterator[CreatedObject]:
    if kind := _DEFINED.get(node.kind):
        named = replace(_by_names(kind, node.defnames), lenient=bool(node.if_not_exists))
        yield replace(named, arguments=_defined_arguments(node), replaces=bool(node.replace))


def _defined_arguments(node: ast.DefineStmt) -> str:
    if node.kind is not ObjectType.OBJECT_OPERATOR:
        return _aggregate_arguments(node)
    given = {each.defname: each.arg for each in node.definition}
    types = [given.get("leftarg"), given.get("rightarg")]
    return ", ".join(RawStream()(each) if each else "NONE" for each in types)


def _aggregate_arguments(node: ast.DefineStmt) -> str:
    if node.kind is not ObjectType.OBJECT_AGGREGATE or not node.args:
        return ""
    # behind the list stands how many of them are direct arguments, of an ordered-set aggregate
    arguments = node.args[0] or ()
    return ", ".join(RawStream()(argument.argType) for argument in arguments) or "*"


def _quote(name: str) -> str:
    quoted: str = maybe_double_quote_name(name)
    return quoted
