"""The lines `-- check: sentence` of a verify script: each is proven by the statement below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pglast import ast

from pgrunbook.errors import Problem

# In any case and spacing: a check line that was not recognised would never be tried, and whoever
# reads the script would take its sentence for one that holds.
_LINE = re.compile(r"^[^\S\n]*--[^\S\n]*check[^\S\n]*:(.*)$", re.IGNORECASE | re.MULTILINE)


def last_sentence(sql: str, start: int, end: int) -> str:
    """Return the sentence of the last such line in a part of the text; "" if there is none."""
    sentence = ""
    for match in _LINE.finditer(sql, start, end):
        sentence = match[1].strip()
    return sentence


def problems(text: str, spans: Sequence[tuple[int, int]], name: str) -> Iterator[Problem]:
    """Yield a problem for each such line without a sentence or a statement of its own. `spans` are
    the first and last lines of the statements: inside one it is a comment of the code.
    """
    checks = []
    for match in _LINE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if not any(first <= line <= last for first, last in spans):
            checks.append((line, match[1].strip()))
    end_of_file = text.count("\n") + 1
    for (line, sentence), (end, _) in pairwise([*checks, (end_of_file, "")]):
        if sentence and any(line < first <= end for first, _ in spans):
            continue
        yield Problem(
            "is a check that nobody tries",
            where=f"{name}:{line}",
            expected="a sentence, and a statement of its own below it",
            found=f"-- check: {sentence}",
            remedy="write what is lacking, or delete the line",
        )


def is_question(node: ast.Node) -> bool:
    """Whether a statement asks for a yes or a no, as far as its form says so."""
    if not isinstance(node, ast.SelectStmt) or not node.targetList:
        return False
    return all(isinstance(each.val, _CONDITIONS) for each in node.targetList)


_CONDITIONS = (ast.A_Expr, ast.BoolExpr, ast.NullTest, ast.BooleanTest, ast.SubLink)
