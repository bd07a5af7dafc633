"""One look at one column: all that constrains its values, and what it takes to let one more in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from pgrunbook.admit import expressions
from pgrunbook.admit.expressions import Subject
from pgrunbook.admit.try_check import CannotJudge, Cell, Trial, as_it_is
from pgrunbook.admit.witness import Witness
from pgrunbook.errors import Problem
from pgrunbook.postgres import trust

Row: TypeAlias = Mapping[str, Any]

TABLE_KINDS = {"r", "p"}  # pg_class.relkind of ordinary and partitioned tables
_OTHER_KINDS = {
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "i": "index",
}
_MAX_DEPTH = 5  # lookup tables whose values are looked up in lookup tables
_MAX_NAME = 63  # bytes of an identifier or an enum's label: NAMEDATALEN - 1


def kind_of_relation(relkind: str, template: str) -> str:
    """What a relation is that is no table, put into the template; nothing for a table."""
    return "" if relkind in TABLE_KINDS else template.format(_OTHER_KINDS.get(relkind, "relation"))


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that constrains the values of the column.

    `kind` is one of type, length, enum, domain, check, partition, foreign key. `owner` is the
    table, or the type, that has it, as SQL. Those of a lookup table's column count too: they follow
    their foreign key.
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
        return f"{'CHECK' if self.kind == 'check' else self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A constraint that rejects the value and can be made to accept it.

    `variant` names the SQL file that does so, `variables` are what psql would give it. With
    `validate`, the constraint was validated before, and its replacement is to be validated in a
    transaction of its own.
    """

    variant: str
    variables: Mapping[str, str]
    found: str
    validate: bool = False


@dataclass(slots=True)
class Inspection:
    """The questions, and the findings so far. `run` answers them in the order in which obstacles
    are overcome.
    """

    witness: Witness
    schema: str
    table: str
    column: str
    value: str
    path: str  # the schema for which names are printed: that of the first inspection
    depth: int = 0
    relation: int = 0
    owner: str = ""
    type: str = ""
    types: Sequence[Row] = ()
    cells: dict[str, Cell] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def run(self) -> Inspection:
        """Fill in the findings."""
        names = {"schema": self.schema, "table": self.table, "column": self.column}
        row = next(iter(self._rows("column", **names)), None)
        if row is None:
            self._problem("no such table", remedy="make the table, or name another")
        elif other := kind_of_relation(row["relkind"], "is a {}, not a table"):
            self._problem(other, remedy="name the table that holds the rows")
        elif row["type_oid"] is None:
            self._problem("no such column", remedy="make the column, or name another")
        elif row["generated"]:
            self._problem("is a generated column", remedy="name a column that it is generated from")
        else:
            self._judge(row)
        return self

    @property
    def accepts(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.obstacles and not self.problems

    def _judge(self, column: Row) -> None:
        self.relation, self.owner, self.type = column["relation"], column["owner"], column["type"]
        here = {"relation": self.relation, "printed_for": self.path}
        known = self.witness.together(
            {
                "admission_types": here | {"column": self.column},
                "admission_row": here,
                "admission_checks": here | {"column": self.column},
                "admission_bounds": here,
                "admission_foreign_keys": here | {"column": self.column},
                "admission_strangers": {
                    "relation": self.relation,
                    "column": self.column,
                    "path": self.path,
                    "read": self.depth > 0,
                },
            },
        )
        self.problems += trust.functions(known["admission_strangers"], self._where, self._role)
        if self.problems:
            return  # to evaluate anything would run them
        self.types = known["admission_types"]
        for row in known["admission_row"]:
            self.cells[row["column"]] = Cell(row["type"], row["default"], row["collation"])
        if not self._judge_type():
            return  # no expression can be evaluated for a value that the type cannot hold
        self._judge_domains()
        trial = self._trial(self.column, owner=self.owner, alias=self.table, cells=self.cells)
        for check in known["admission_checks"]:
            self._judge_check(
                check, dataclasses.replace(trial, owner=check["owner"], alias=check["alias"])
            )
        self._judge_partitions(trial, [row["bound"] for row in known["admission_bounds"]])
        for key in known["admission_foreign_keys"]:
            self._judge_foreign_key(key)

    def _judge_type(self) -> bool:
        """Whether the type can hold the value, now or once an obstacle is overcome."""
        base = self.types[-1]
        if base["kind"] == "e":
            self._judge_enum(base)
        elif base["max_length"]:
            self._judge_length(base)
        elif base["full_name"] != "text" and (
            base["category"] == "A" or not self._holds(base["qualified"])
        ):
            self._constraint("type", self.type, self.type, accepts=False)
            self._problem(
                f"type {self.type} cannot hold {self.value!r}",
                expected="a text, a varchar, an enum, or a domain over one of them",
                found=self.type,
                remedy="name another column, or change this one's type by hand",
            )
            return False
        return True

    def _holds(self, type_name: str) -> bool:
        """Whether the value comes back from the type as it went in."""
        cast = sql.SQL("SELECT CAST(CAST({} AS {}) AS text)")
        return self._answer(cast.format(sql.Literal(self.value), as_it_is(type_name))) == self.value

    def _judge_enum(self, enum: Row) -> None:
        labels = ", ".join(sql.Literal(label).as_string() for label in enum["labels"])
        accepts = self.value in enum["labels"]
        self._constraint("enum", enum["name"], f"ENUM ({labels})", accepts=accepts)
        if accepts:
            return
        if len(self.value.encode()) > _MAX_NAME:
            what = f"{self.value!r} is too long for a label of enum {enum['name']}"
            self._problem(
                what, expected=f"at most {_MAX_NAME} bytes", remedy="choose a shorter value"
            )
            return
        variables = {
            "type": enum["name"],
            "value": self.value,
            "table": self.owner,
            "column": self.column,
        }
        found = f"enum {enum['name']} lacks {self.value!r}{self._shared(enum['type_oid'])}"
        self._note(Obstacle("enum", variables, found))

    def _judge_length(self, base: Row) -> None:
        needed = len(self.value)
        fits = needed <= base["max_length"]
        self._constraint("length", base["full_name"], base["full_name"], accepts=fits)
        if fits:
            return
        longer = base["full_name"].replace(f"({base['max_length']})", f"({needed})")
        found = (
            f"{base['full_name']} is too short for {self.value!r}, which has {needed} characters"
        )
        if len(self.types) > 1:
            remedy = (
                "a domain's own type cannot be altered: give the column a domain over "
                f"{longer} by hand"
            )
            self._problem(f"domain {self.types[0]['name']}: {found}", remedy=remedy)
        elif dependents := [
            row["dependent"]
            for row in self._rows("dependents", relation=self.relation, column=self.column)
        ]:
            remedy = (
                f"by hand: drop what depends on the column, alter it to {longer}, make it again"
            )
            self._problem(
                found, found="its type depends on " + "; ".join(dependents), remedy=remedy
            )
        else:
            suffix = self.cells[self.column].collation or ""  # or else it is lost
            variables = {"type": longer + suffix, "previous": base["full_name"] + suffix}
            rewrites = (
                "; char(n) is padded, so the table is rewritten" if "varying" not in longer else ""
            )
            place = {"table": self.owner, "column": self.column}
            self._note(Obstacle("varchar", place | variables, found + rewrites))

    def _judge_domains(self) -> None:
        domains = [row["type_oid"] for row in self.types[:-1]]
        for check in self._rows("domain_checks", types=domains) if domains else ():
            if (expression := self._widening("domain", check, self._trial("value"))) is None:
                continue
            found = f"CHECK {check['name']} of domain {check['owner']} rejects {self.value!r}"
            if inside := self._users(check["type_oid"], inside=True):
                self._problem(
                    found,
                    found=f"the domain is used inside the type of {inside}",
                    remedy="PostgreSQL cannot validate a new CHECK of such a domain: replace it "
                    "by hand",
                )
                continue
            variables = {"domain": check["owner"]} | _replacement(check, expression)
            found += self._shared(check["type_oid"])
            self._note(Obstacle("domain", variables, found, check["validated"]))

    def _judge_check(self, check: Row, trial: Trial) -> None:
        if (expression := self._widening("check", check, trial)) is None:
            return
        place = "" if check["owner"] == self.owner else f" of partition {check['owner']}"
        found = f"CHECK {check['name']}{place} rejects {self.value!r}"
        if check["inherited_from"]:
            remedy = f"replace it where it comes from: inspect {check['inherited_from']} instead"
            self._problem(found, found=f"inherited from {check['inherited_from']}", remedy=remedy)
        elif check["also_local_in"]:
            remedy = "these tables keep theirs when the parent's is replaced: replace each by hand"
            self._problem(
                found, found=f"also defined by {check['also_local_in']} itself", remedy=remedy
            )
        else:
            variant = "check_no_inherit" if check["no_inherit"] else "check"
            variables = {"table": check["owner"]} | _replacement(check, expression)
            self._note(Obstacle(variant, variables, found, check["validated"]))

    def _widening(self, kind: str, check: Row, trial: Trial) -> str | None:
        """The CHECK's new expression, if it is needed and can be made."""
        expression, judged = None, True
        try:
            expression = self.witness.widening(trial, check["expression"])
        except CannotJudge as exc:
            judged = False
            what = (
                f"it cannot be judged whether CHECK {check['name']} of {check['owner']} "
                f"accepts {self.value!r}"
            )
            remedy = (
                "replace it by hand by one that compares with plain values and accepts this one"
            )
            self._problem(what, found=f"{check['definition']}\n{exc}", remedy=remedy)
        accepts = judged and expression is None
        self.constraints.append(
            Constraint(
                kind,
                check["name"],
                check["definition"],
                accepts,
                check["validated"],
                check["owner"],
            )
        )
        return expression

    def _judge_partitions(self, trial: Trial, bounds: Sequence[str | None]) -> None:
        if not any(trial.concerns(bound) for bound in bounds):
            return
        accepts = any(self.witness.possible(trial, bound) for bound in bounds)
        definition = "; ".join(bound or "DEFAULT" for bound in bounds)
        self._constraint("partition", self.owner, definition, accepts=accepts)
        if not accepts:
            remedy = f"make a partition for {self.value!r}, or a DEFAULT partition"
            self._problem(f"no partition of {self.owner} takes {self.value!r}", remedy=remedy)

    def _judge_foreign_key(self, key: Row) -> None:
        if self.depth == _MAX_DEPTH:
            remedy = f"insert {self.value!r} into {key['lookup']} by hand"
            self._problem(
                f"the lookup tables up to {key['lookup']} depend on each other", remedy=remedy
            )
            return
        lookup = self._lookup(key, key["lookup_column"])
        accepts = lookup.accepts and self._is_in(key, lookup)
        self.constraints.append(
            Constraint(
                "foreign key", key["name"], key["definition"], accepts, key["validated"], self.owner
            )
        )
        self.constraints += [c for c in lookup.constraints if c not in self.constraints]
        if not accepts:
            self.problems += lookup.problems
            if lookup.types:  # else it was not judged at all
                self._insert(key, lookup)

    def _lookup(self, key: Row, column: str) -> Inspection:
        place = (key["lookup_schema"], key["lookup_table"], column)
        return Inspection(self.witness, *place, self.value, self.path, self.depth + 1).run()

    def _is_in(self, key: Row, lookup: Inspection) -> bool:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE CAST({} AS {}) {} {})")
        table = sql.Identifier(key["lookup_schema"], key["lookup_table"])
        base = lookup.types[-1]
        parts = (as_it_is(base[name]) for name in ("qualified", "equals"))
        found = query.format(
            table, sql.Identifier(key["lookup_column"]), *parts, sql.Literal(self.value)
        )
        return bool(self._answer(found))

    def _insert(self, key: Row, lookup: Inspection) -> None:
        """Note the INSERT into the lookup table, after all that has to make room for it there."""
        found = f"lookup table {key['lookup']} lacks {self.value!r}"
        remedy = f"insert what is needed into {key['lookup']} by hand"
        required = self._rows(
            "required", schema=lookup.schema, table=lookup.table, column=lookup.column
        )
        unfilled = [row for row in required if not self._lookup(key, row["column"]).accepts]
        if key["width"] > 1:
            self._problem(
                f"{found}, and foreign key {key['name']} holds several columns", remedy=remedy
            )
        elif any(obstacle.variant == "enum" for obstacle in lookup.obstacles):
            reason = (
                "PostgreSQL lets nobody use a label in the transaction that adds it to its enum"
            )
            self._problem(
                found, found=reason, remedy="add the label by hand, commit, and " + remedy
            )
        elif unfilled:
            columns = ", ".join(f"{row['column']} {row['type']} NOT NULL" for row in unfilled)
            self._problem(found, found=f"a row needs {columns}", remedy=remedy)
        else:
            self._note(
                *lookup.obstacles,
                _insertion(key, [row["column"] for row in required], self.value, found),
            )

    def _constraint(self, kind: str, name: str, definition: str, *, accepts: bool) -> None:
        self.constraints.append(
            Constraint(kind, name, definition, accepts, validated=True, owner=name)
        )

    def _note(self, *obstacles: Obstacle) -> None:
        """Two foreign keys may lead to the same lookup table, a lookup table's column may have the
        same domain.
        """
        for obstacle in obstacles:
            if not any(
                (o.variant, o.variables) == (obstacle.variant, obstacle.variables)
                for o in self.obstacles
            ):
                self.obstacles.append(obstacle)

    def _trial(self, column: str, **place: Any) -> Trial:
        base = self.types[-1]
        is_enum = base["kind"] == "e"
        names = tuple(row["name"] for row in self.types)
        lacks = is_enum and self.value not in base["labels"]
        return Trial(
            self.witness.conn,
            self.path,
            Subject(column, names, is_enum, lacks),
            self.value,
            **place,
        )

    def _users(self, type_oid: int, *, inside: bool) -> str:
        rows = self._rows(
            "type_users", type_oid=type_oid, relation=self.relation, column=self.column
        )
        return ", ".join(row["column"] for row in rows if row["inside"] == inside)

    def _shared(self, type_oid: int) -> str:
        users = self._users(type_oid, inside=False)
        return f"; {users} will accept it too, by the same type" if users else ""

    def _answer(self, query: sql.Composed) -> object:
        """What the server says; nothing, if that is an error, which may be a problem."""
        try:
            return self.witness.answer(query)
        except psycopg.errors.InsufficientPrivilege as exc:
            self._problem(
                exc.diag.message_primary or str(exc), remedy="grant the role SELECT on it"
            )
            return None
        except psycopg.Error:
            return None

    def _rows(self, question: str, **parameters: object) -> list[dict[str, Any]]:
        return self.witness.rows(f"admission_{question}", **parameters, printed_for=self.path)

    def _problem(self, what: str, **details: str) -> None:
        self.problems.append(Problem(what, where=self._where, **details))

    @property
    def _where(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"

    @property
    def _role(self) -> str:
        return str(self.witness.conn.info.user)


def _replacement(check: Row, expression: str) -> dict[str, str]:
    """The variables that replace a CHECK, and bring it back."""
    old = check["expression"]
    written = expressions.as_written(expressions.parse(old))
    unlike = written != expressions.parse(old)
    return {
        "constraint": check["name"],
        "temporary": _free_name(check["name"], check["taken"]),
        "expression": expression,
        "comment": check["comment"],
        "previous": check["definition"].replace(old, expressions.text(written))
        if unlike
        else check["definition"],
    }


def _insertion(key: Row, filled: Sequence[str], value: str, found: str) -> Obstacle:
    columns = [key["lookup_column"], *filled]
    variables = {
        "table": key["lookup"],
        "column": key["lookup_column"],
        "value": value,
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)).as_string(),
        "values": sql.SQL(", ").join([sql.Literal(value)] * len(columns)).as_string(),
    }
    also = f"; its {', '.join(filled)} must be filled in, and gets the same text" if filled else ""
    return Obstacle("lookup", variables, found + also)


def _free_name(name: str, taken: Sequence[str]) -> str:
    """A name of at most 63 bytes that no constraint has: the same each time, as what is rendered is
    hashed.
    """
    suffixes = (f"_new{number or ''}" for number in range(len(taken) + 1))
    names = (
        name.encode()[: _MAX_NAME - len(suffix)].decode(errors="ignore") + suffix
        for suffix in suffixes
    )
    return next(candidate for candidate in names if candidate not in taken)
