"""The cell that declares parameters: lines `name = literal` of Python, which is read and never
executed.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from pgrunbook.errors import Refused
from pgrunbook.secrets.patterns import looks_secret


def read_assignments(source: str, where: str) -> dict[str, Any]:
    """Read the lines `name = literal` of a cell as a mapping. Raises Refused, with line and caret,
    for anything else.
    """
    values = {}
    for node in _parse(source, where):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                values[name] = _literal(value, source, where)
            case _:
                raise _misplaced("more than assignments", node, source, where)
    return values


def _parse(source: str, where: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError as exc:
        line, column = exc.lineno or 1, max((exc.offset or 1) - 1, 0)
        # it holds the line, and a secret with it
        raise _unreadable(exc.msg, source, where, line, column) from None
    except (ValueError, RecursionError, MemoryError):  # what is not text, or nested without end
        raise Refused.of("cannot be read", where=where, expected="name = literal") from None


def _literal(node: ast.expr, source: str, where: str) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        value = ...
    if not is_kept(value):
        raise _misplaced("not a literal that JSON has", node, source, where)
    return value


def is_kept(value: Any) -> bool:
    """Return whether JSON keeps a value as it is, and so do the ledger and the notebook: no tuple,
    no number as a key, no NUL and nothing that is no Unicode.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
        return bool(json.loads(text) == value) and not _NUL.search(text)
    except (ValueError, TypeError, RecursionError):
        return False


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it


def _misplaced(what: str, node: ast.stmt | ast.expr, source: str, where: str) -> Refused:
    column = len(_line(source, node.lineno).encode()[: node.col_offset].decode())
    return _unreadable(what, source, where, node.lineno, column)


def _unreadable(what: str, source: str, where: str, line: int, column: int) -> Refused:
    """Return what to raise: with the line and a caret under it, but not out of a cell with a
    password, of which it may be any part.
    """
    found = "" if looks_secret(source) else f"{_line(source, line)}\n{' ' * column}^"
    return Refused.of(what, where=f"{where}, line {line}", expected="name = literal", found=found)


def _line(source: str, number: int) -> str:
    """Return one line, counted from 1, as Python counts them: for `splitlines` a form feed ends one
    too.
    """
    return re.split(r"\r\n?|\n", source)[number - 1]
