"""Inspects a column: all that constrains its values, and what it takes to let one more in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from pgrunbook.admit import expressions, foreign_keys
from pgrunbook.admit.answer_cache import AnswerCache
from pgrunbook.admit.check_evaluator import CannotJudge, CheckEvaluator, RowColumn, as_it_is
from pgrunbook.admit.expressions import Subject
from pgrunbook.admit.findings import Constraint, Findings, Obstacle, kind_of_relation
from pgrunbook.postgres import trust
from pgrunbook.sqltext.long_names import LONGEST, free_name

Row: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class Inspection:
    """One inspection of a column. `run` looks at its type, domains, CHECKs, partitions and foreign
    keys, in the order in which their obstacles are overcome; `found` has the findings.

    - `path` is the schema that names are printed for: that of the first inspection.
    - `depth` is 0 for the column itself, 1 for the column of a lookup table that it refers to, …
    - `relation` is the table's OID, `owner` its name as SQL writes it.
    - `types` are rows: domains from the outside, the base type last.
    - `row_columns` are the table's columns.
    """

    answers: AnswerCache
    schema: str
    table: str
    column: str
    value: str
    path: str
    depth: int = 0
    relation: int = 0
    owner: str = ""
    type: str = ""
    types: Sequence[Row] = ()
    row_columns: dict[str, RowColumn] = field(default_factory=dict)
    found: Findings = field(init=False)

    def __post_init__(self) -> None:
        self.found = Findings(self._where)

    def run(self) -> Inspection:
        """Fill in the findings."""
        names = {"schema": self.schema, "table": self.table, "column": self.column}
        row = next(iter(self.rows("column", **names)), None)
        if row is None:
            self.found.problem("no such table", remedy="make the table, or name another")
        elif other := kind_of_relation(row["relkind"], "is a {}, not a table"):
            self.found.problem(other, remedy="name the table that holds the rows")
        elif row["type_oid"] is None:
            self.found.problem("no such column", remedy="make the column, or name another")
        elif row["generated"]:
            self.found.problem(
                "is a generated column", remedy="name a column that it is generated from"
            )
        else:
            self._judge(row)
        return self

    @property
    def accepts(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.found.obstacles and not self.found.problems

    def _judge(self, column: Row) -> None:
        self.relation, self.owner, self.type = column["relation"], column["owner"], column["type"]
        here = {"relation": self.relation, "printed_for": self.path}
        # All in one round trip, even if some of it is not needed: most columns need nearly all.
        known = self.answers.rows_of_several(
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
                    # a lookup table is read: what its policies and indexes call is called, too
                    "read": self.depth > 0,
                    "default": False,
                },
            },
        )
        role = str(self.answers.conn.info.user)
        strangers = known["admission_strangers"]
        self.found.problems += trust.problems_of_calls(strangers, self._where, role)
        if self.found.problems:
            return  # to evaluate anything would run functions of a role that is not trusted
        self.types = known["admission_types"]
        for row in known["admission_row"]:
            own = RowColumn(row["type"], row["default"], row["collation"])
            self.row_columns[row["column"]] = own
        if not self._judge_type():
            return  # no expression can be evaluated for a value that the type cannot hold
        self._judge_domains()
        table = {"owner": self.owner, "alias": self.table, "row_columns": self.row_columns}
        evaluator = self._evaluator(self.column, **table)
        for check in known["admission_checks"]:
            # The CHECK may be that of a partition or a child, whose columns have another order.
            owner = {"owner": check["owner"], "alias": check["alias"]}
            self._judge_check(check, dataclasses.replace(evaluator, **owner))
        self._judge_partitions(evaluator, [row["bound"] for row in known["admission_bounds"]])
        for key in known["admission_foreign_keys"]:
            foreign_keys.judge(self, key)

    def _judge_type(self) -> bool:
        """Return whether the type can hold the value, now or once an obstacle is overcome."""
        base = self.types[-1]
        if base["kind"] == "e":
            self._judge_enum(base)
        elif base["max_length"]:
            self._judge_length(base)
        elif base["full_name"] != "text" and (
            base["category"] == "A" or not self._holds(base["qualified"])
        ):
            self.found.constraint("type", self.type, self.type, accepts=False)
            self.found.problem(
                f"type {self.type} cannot hold {self.value!r}",
                expected="a text, a varchar, an enum, or a domain over one of them",
                found=self.type,
                remedy="name another column, or change this one's type by hand",
            )
            return False
        return True

    def _holds(self, type_name: str) -> bool:
        """Return whether the value comes back from the type as it went in."""
        cast = sql.SQL("SELECT CAST(CAST({} AS {}) AS text)")
        return self.answer(cast.format(sql.Literal(self.value), as_it_is(type_name))) == self.value

    def _judge_enum(self, enum: Row) -> None:
        labels = ", ".join(sql.Literal(label).as_string() for label in enum["labels"])
        accepts = self.value in enum["labels"]
        self.found.constraint("enum", enum["name"], f"ENUM ({labels})", accepts=accepts)
        if accepts:
            return
        if len(self.value.encode()) > LONGEST:  # which PostgreSQL would refuse, not cut
            what = f"{self.value!r} is too long for a label of enum {enum['name']}"
            self.found.problem(
                what, expected=f"at most {LONGEST} bytes", remedy="choose a shorter value"
            )
            return
        variables = {
            "type": enum["name"],
            "value": self.value,
            "table": self.owner,
            "column": self.column,
        }
        found = f"enum {enum['name']} lacks {self.value!r}{self._shared(enum['type_oid'])}"
        self.found.note(Obstacle("enum", variables, found))

    def _judge_length(self, base: Row) -> None:
        needed = len(self.value)
        fits = needed <= base["max_length"]
        self.found.constraint("length", base["full_name"], base["full_name"], accepts=fits)
        if fits:
            return
        longer = base["full_name"].replace(f"({base['max_length']})", f"({needed})")
        found = (
            f"{base['full_name']} is too short for {self.value!r}, which has {needed} characters"
        )
        if len(self.types) > 1:
            remedy = f"give the column a domain over {longer} by hand"
            remedy = f"a domain's own type cannot be altered: {remedy}"
            self.found.problem(f"domain {self.types[0]['name']}: {found}", remedy=remedy)
            return
        rows = self.rows("dependents", relation=self.relation, column=self.column)
        if rows:
            depends = "its type depends on " + "; ".join(row["dependent"] for row in rows)
            remedy = (
                f"by hand: drop what depends on the column, alter it to {longer}, make it again"
            )
            self.found.problem(found, found=depends, remedy=remedy)
            return
        if "varying" not in longer:
            found += "; char(n) is padded, so the table is rewritten"
        suffix = self.row_columns[self.column].collation or ""  # or else it is lost
        variables = {
            "table": self.owner,
            "column": self.column,
            "type": longer + suffix,
            "previous": base["full_name"] + suffix,
        }
        self.found.note(Obstacle("varchar", variables, found))

    def _judge_domains(self) -> None:
        domains = [row["type_oid"] for row in self.types[:-1]]  # the last one is the base type
        if not domains:
            return
        for check in self.rows("domain_checks", types=domains):
            # in the CHECK of a domain the column is called VALUE
            expression = self._widening("domain", check, self._evaluator("value"))
            if expression is None:
                continue
            found = f"CHECK {check['name']} of domain {check['owner']} rejects {self.value!r}"
            if inside := self._users(check["type_oid"], inside=True):
                self.found.problem(
                    found,
                    found=f"the domain is used inside the type of {inside}",
                    remedy="PostgreSQL cannot validate a new CHECK of such a domain: replace it "
                    "by hand",
                )
                continue
            variables = {"domain": check["owner"]} | _replacement(check, expression)
            found += self._shared(check["type_oid"])
            self.found.note(Obstacle("domain", variables, found, check["validated"]))

    def _judge_check(self, check: Row, evaluator: CheckEvaluator) -> None:
        expression = self._widening("check", check, evaluator)
        if expression is None:
            return
        place = "" if check["owner"] == self.owner else f" of partition {check['owner']}"
        found = f"CHECK {check['name']}{place} rejects {self.value!r}"
        if check["inherited_from"]:
            remedy = f"replace it where it comes from: inspect {check['inherited_from']} instead"
            self.found.problem(
                found, found=f"inherited from {check['inherited_from']}", remedy=remedy
            )
        elif check["also_local_in"]:
            remedy = "these tables keep theirs when the parent's is replaced: replace each by hand"
            self.found.problem(
                found, found=f"also defined by {check['also_local_in']} itself", remedy=remedy
            )
        else:
            variant = "check_no_inherit" if check["no_inherit"] else "check"
            variables = {"table": check["owner"]} | _replacement(check, expression)
            self.found.note(Obstacle(variant, variables, found, check["validated"]))

    def _widening(self, kind: str, check: Row, evaluator: CheckEvaluator) -> str | None:
        """Note the CHECK, and return its new expression, if one is needed and can be made."""
        expression, judged = None, True
        try:
            expression = self.answers.widening(evaluator, check["expression"])
        except CannotJudge as exc:
            judged = False
            what = (
                f"it cannot be judged whether CHECK {check['name']} of {check['owner']} "
                f"accepts {self.value!r}"
            )
            remedy = (
                "replace it by hand by one that compares with plain values and accepts this one"
            )
            self.found.problem(what, found=f"{check['definition']}\n{exc}", remedy=remedy)
        accepts = judged and expression is None
        constraint = Constraint(
            kind, check["name"], check["definition"], accepts, check["validated"], check["owner"]
        )
        self.found.constraints.append(constraint)
        return expression

    def _judge_partitions(self, evaluator: CheckEvaluator, bounds: Sequence[str | None]) -> None:
        if not any(evaluator.concerns(bound) for bound in bounds):
            return
        # a DEFAULT partition has no bound, and takes what no other one does
        accepts = any(self.answers.possible(evaluator, bound) for bound in bounds)
        definition = "; ".join(bound or "DEFAULT" for bound in bounds)
        self.found.constraint("partition", self.owner, definition, accepts=accepts)
        if not accepts:
            remedy = f"make a partition for {self.value!r}, or a DEFAULT partition"
            self.found.problem(f"no partition of {self.owner} takes {self.value!r}", remedy=remedy)

    def lookup(self, key: Row, column: str) -> Inspection:
        """Inspect a column of the lookup table that a foreign key refers to."""
        place = (key["lookup_schema"], key["lookup_table"], column)
        return Inspection(self.answers, *place, self.value, self.path, self.depth + 1).run()

    def _evaluator(self, column: str, **place: Any) -> CheckEvaluator:
        base = self.types[-1]
        is_enum = base["kind"] == "e"
        names = tuple(row["name"] for row in self.types)
        lacks = is_enum and self.value not in base["labels"]
        return CheckEvaluator(
            self.answers.conn,
            self.path,
            Subject(column, names, is_enum, lacks),
            self.value,
            **place,
        )

    def _users(self, type_oid: int, *, inside: bool) -> str:
        rows = self.rows(
            "type_users", type_oid=type_oid, relation=self.relation, column=self.column
        )
        return ", ".join(row["column"] for row in rows if row["inside"] == inside)

    def _shared(self, type_oid: int) -> str:
        users = self._users(type_oid, inside=False)
        return f"; {users} will accept it too, by the same type" if users else ""

    def answer(self, query: sql.Composed) -> object:
        """Return what the server says; None if that is an error. A privilege that the role lacks is
        a problem, too.
        """
        try:
            return self.answers.answer(query)
        except psycopg.errors.InsufficientPrivilege as exc:
            what = exc.diag.message_primary or str(exc)
            self.found.problem(what, remedy="grant the role SELECT on it")
            return None
        except psycopg.Error:
            return None

    def rows(self, question: str, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a question about admission."""
        return self.answers.rows(f"admission_{question}", **parameters, printed_for=self.path)

    @property
    def _where(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"


def _replacement(check: Row, expression: str) -> dict[str, str]:
    """Return the variables of the SQL that replaces a CHECK, and of the SQL that brings it back."""
    old = check["expression"]
    written = expressions.as_written(expressions.parse(old))
    previous = check["definition"]
    if written != expressions.parse(old):
        # made from the text that the server prints, it would be printed otherwise: see `as_written`
        previous = previous.replace(old, expressions.text(written))
    return {
        "constraint": check["name"],
        "temporary": free_name(check["name"], check["taken"]),
        "expression": expression,
        "comment": check["comment"],
        "previous": previous,
    }
