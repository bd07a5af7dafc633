"""The code cells of a runbook, as far as their text tells: are they Python, what do they apply and
lack?
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from pgrunbook.errors import Problem, did_you_mean
from pgrunbook.runbooks import notebooks
from pgrunbook.runbooks.notebooks import NotebookCell
from pgrunbook.secrets import literals, search

# What a run cannot do without, and why.
_NEEDED = {
    "preconditions": "it decides what is done with each block",
    "verify": "a run that is not verified fails",
    "verdict": "a run that nothing ends has no verdict, and fails",
}

_FORMER = {"finish": "verdict"}  # names of cells until version 0.1


def problems(
    notebook: Path, blocks: Collection[str], undecided: Collection[str] = ()
) -> Iterator[Problem]:
    """Yield a problem for each cell that is not Python, each block that no cell applies, and each
    name of a block that is not there. `blocks` are the names of the files and folders in `deploy/`,
    without endings, but for folders about which nothing is decided: `undecided`.

    Where a cell applies what only running it tells, such as the names in a loop, no block is
    missed. Raises Refused if the file is not a notebook.
    """
    calls, broken = _calls(notebook)
    if broken:  # what the others apply would not be the whole
        yield from broken
        return
    named = {_block_name(call): cell for cell, call in calls if _method(call) == "apply"}
    for name, cell in named.items():
        where = f"{notebook.name}, cell {cell}"
        if name in undecided:
            remedy = f"run the cell of run.allow that names {name} above the preconditions"
            yield Problem(f"nothing is decided about {name!r}", where, remedy=remedy)
        elif name is not None and name not in blocks:
            remedy = f"{did_you_mean(name, blocks)}correct the name, and save the notebook"
            yield Problem(
                f"no block is called {name!r}", where, expected=", ".join(blocks), remedy=remedy
            )
    # any block may be among those whose names only running the cell tells
    if None in named or any(_method(call) == "apply_all" for _, call in calls):
        return
    for block in blocks:
        if block not in named:
            remedy = f'add a cell with run.apply("{block}"), and save the notebook'
            yield Problem("no cell applies it", where=block, found=notebook.name, remedy=remedy)


def missing_calls(notebook: Path) -> Iterator[Problem]:
    """Yield a problem for each method that every run needs and no cell calls. A call of
    `run.verify` with names of blocks does not count. Nothing if there are cells that are not
    Python. Raises Refused if the file is not a notebook.
    """
    calls, broken = _calls(notebook)
    if broken:
        return
    called = {_method(call) for _, call in calls if not call.args}
    for name, why in _NEEDED.items():
        if name not in called:
            yield Problem(
                f"no cell calls run.{name}()", where=notebook.name, remedy=f"add one: {why}"
            )


def set_again(notebook: Path, declaration: Collection[str]) -> Iterator[Problem]:
    """Yield the parameters that cells besides the one that declares them set: a run is not begun
    with another value than it was started with. Nothing of cells that are no Python.
    """
    for cell, source in _code_cells(notebook):
        if cell.declares:
            continue
        with suppress(SyntaxError):
            # not by `ast`: names are also set by `for`, `import`, `with`, `def` …
            set_here = symtable.symtable(source, notebook.name, "exec").get_symbols()
            for symbol in set_here:
                if symbol.is_assigned() and symbol.get_name() in declaration:
                    yield Problem(
                        f"sets the parameter {symbol.get_name()}",
                        f"{notebook.name}, cell {cell.id}",
                        remedy="call it something else",
                    )


def reverts_last(notebook: Path) -> bool:
    """Return whether a cell calls run.revert() below the one that calls run.verdict()."""
    calls, _ = _calls(notebook)
    called = [_method(call) for _, call in calls]
    return "verdict" in called and "revert" in called[called.index("verdict") :]


def secrets(notebook: Path, known: Sequence[str] = ()) -> Iterator[Problem]:
    """Yield a problem for each secret in the text of the cells: one in the usual forms, or one of
    those known. Raises Refused if the file is not a notebook.
    """
    for cell in notebooks.cells(notebook):
        where = f"{notebook.name}, cell {cell.id}"
        if cell.source.lstrip().startswith("%%sql"):
            yield from literals.problems(cell.source.lstrip()[5:], where, known)
        else:
            only_sql = search.is_sql(cell.source)
            found = search.search_text(cell.source, known, where, sql=only_sql)
            yield from search.problems(found)


def _calls(notebook: Path) -> tuple[list[tuple[str, ast.Call]], list[Problem]]:
    """Return each call, with the id of its cell; and what is wrong with cells that are not
    Python.
    """
    calls: list[tuple[str, ast.Call]] = []
    broken = []
    for cell, source in _code_cells(notebook):
        try:
            tree = ast.parse(source)
        except SyntaxError as exc:
            where = f"{notebook.name}, cell {cell.id}, line {exc.lineno}"
            found = (exc.text or "").rstrip("\n")
            broken.append(Problem(exc.msg, where, expected="Python", found=found))
            continue
        calls += [(cell.id, node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return calls, broken


def _code_cells(notebook: Path) -> Iterator[tuple[NotebookCell, str]]:
    """Yield each code cell, and its text with IPython's magics turned into Python."""
    python = TransformerManager()  # it turns `%sql` and the like into calls, which `ast` can parse
    for cell in notebooks.cells(notebook):
        if cell.kind == "code":
            yield cell, python.transform_cell(cell.source)


def _method(call: ast.Call) -> str:
    """Return the method that is called on `run`, by its present name; empty for any other call."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="run"), attr=name):
            return _FORMER.get(name, name)
    return ""


def _block_name(call: ast.Call) -> str | None:
    """Return the block that `run.apply` is given, if the text tells."""
    match call.args:
        case [ast.Constant(value=str(name))]:
            return name
    return None
