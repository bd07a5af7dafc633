"""What PostgreSQL says of a statement that fails on a twin, and whether the target would say so,
too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import psycopg
from pglast import ast

from pgrunbook.errors import Problem
from pgrunbook.runbooks.scripts import Statement
from pgrunbook.sqltext.created_objects import created_objects
from pgrunbook.sqltext.parse_tree import nodes
from pgrunbook.sqltext.things import freed_names

# DDL of which the server does not say where in the text an error is.
_WITHOUT_PLACE = (
    ast.AlterTableStmt,
    ast.CreateDomainStmt,
    ast.AlterDomainStmt,
    ast.CreatePolicyStmt,
    ast.AlterPolicyStmt,
)
# What is computed may depend on rows or on settings: a default is, when its column is added.
_COMPUTED = (ast.FuncCall, ast.SQLValueFunction, ast.SubLink)

# What may run code, of defaults and checks, too; or sets what the server takes.
_RUNNING = (
    *(ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt),
    *(ast.DoStmt, ast.CallStmt, ast.VariableSetStmt, ast.CreateTableAsStmt),
)

# What the server says where it is in: a constant of JSON; the partitions of a table; the text of a
# function that is made, which is looked at and not run.
_NO_CODE = ("JSON data", "while reindexing partitioned ")
_LOOKED_AT = ("SQL function ", "compilation of PL/pgSQL function ")

_QUOTED = re.compile(r'"(.*)"', re.DOTALL)


class TwinFailure(Exception):
    """A statement that fails on a twin.

    - `sqlstate` is PostgreSQL's code of what it said.
    - `in_code`: it is of the code of a function, or of DO.
    - `of_text`: it is of the statement's text, which was not run yet, and so of no rows.
    - `block` is the statement's block.
    - `in_doubt`: it is of code, or behind code, which may do otherwise where there are rows.
    - `behind` are the statements behind it that may fail for it alone: see `causes`.
    """

    block = ""
    in_doubt = False
    behind = 0

    def __init__(self, statement: Statement, exc: psycopg.Error, before: int = 0) -> None:
        """`before`: the characters that were sent before the statement."""
        self.statement = statement
        said = exc.diag
        at = int(said.statement_position or 0) - 1 - before
        where = statement.place(max(at, 0))
        found = "; ".join(filter(None, [said.message_primary, said.message_detail]))
        self.problem = Problem("fails on the twin", where, "the statement runs", found or str(exc))
        self.sqlstate = exc.sqlstate or ""
        self.in_code = not _is_of_no_code(statement.node, said.context or "")
        self.of_text = (
            bool(said.statement_position)
            or _is_of_constant(statement.node, exc)
            or _is_of_option(statement.node, exc)
        )


def causes(failures: Sequence[TwinFailure]) -> list[TwinFailure]:
    """Return the failures but for those of statements that name what one of the returned was to
    make, drop or rename, which may be why they fail: it says how many they are.
    """
    found: list[TwinFailure] = []
    cause_of: dict[tuple[str, ...], TwinFailure] = {}  # by the words of the names
    longest = 0  # of the names, in words
    for each in failures:
        named = _parts(_words(each.statement.sql), longest)
        cause = next((cause_of[part] for part in named if part in cause_of), each)
        if cause is each:
            found.append(each)
        else:
            cause.behind += 1
        for name in map(_words, _names_of(each.statement.node)):
            cause_of.setdefault(name, cause)
            longest = max(longest, len(name))
    return found


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text, or of a name in it, in lower case."""
    return tuple(re.findall(r"\w+", text.casefold()))


def _parts(words: tuple[str, ...], longest: int) -> Iterator[tuple[str, ...]]:
    """Yield what stands in a row among the words: up to so many."""
    for size in range(1, longest + 1):
        for first in range(len(words) - size + 1):
            yield words[first : first + size]


def _names_of(node: ast.Node) -> Iterator[str]:
    """Yield the names of what a statement makes, drops or renames."""
    for name, _ in freed_names(node):
        yield name
    for each in created_objects(node):
        yield each.name


def _is_of_constant(node: ast.Node, exc: psycopg.Error) -> bool:
    """Whether an error quotes a constant of the statement, which computes nothing else."""
    quoted = _QUOTED.search(exc.diag.message_primary or "")
    if not quoted or not isinstance(node, _WITHOUT_PLACE):
        return False
    constants = set()
    for each in nodes(node):
        if isinstance(each, _COMPUTED):
            return False
        if isinstance(each, ast.A_Const) and isinstance(each.val, ast.String):
            constants.add(each.val.sval)
    return quoted[1] in constants


def _is_of_option(node: ast.Node, exc: psycopg.Error) -> bool:
    """Whether DDL that computes nothing, and so reads no row, has a value that it does not take."""
    if not isinstance(exc, psycopg.errors.InvalidParameterValue) or isinstance(node, _RUNNING):
        return False
    return not any(isinstance(each, _COMPUTED) for each in nodes(node))


def _is_of_no_code(node: ast.Node, context: str) -> bool:
    """Whether the context of an error is that of no code that ran."""
    if not context or context.startswith(_NO_CODE):
        return True
    one_line = "\n" not in context
    return isinstance(node, ast.CreateFunctionStmt) and one_line and context.startswith(_LOOKED_AT)
