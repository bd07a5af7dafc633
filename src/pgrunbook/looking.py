"""`%sql` in a notebook from the first cell on that may use it: to import it takes a third of a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import psycopg
from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell


def register(shell: InteractiveShell, connect: Callable[[], psycopg.Connection[Any]]) -> None:
    """Do what `magics.register` does before the shell runs a cell that may use a magic, this one included.

    Until then ipython-sql and SQLAlchemy are imported while the cells wait for the server.
    """
    importing = threading.Thread(target=import_module, args=["pgrunbook.magics"], daemon=True)
    importing.start()

    def before(info: ExecutionInfo) -> None:
        if _may_use_magic(info.raw_cell or ""):
            now()
            shell.events.unregister("pre_run_cell", before)

    def now() -> None:
        importing.join()
        from pgrunbook import magics

        magics.register(shell, connect)

    if _may_use_magic(shell.user_ns.get("In", [""])[-1]):
        now()
    else:
        shell.events.register("pre_run_cell", before)


def _may_use_magic(cell: str) -> bool:
    return "%" in cell or "magic" in cell
