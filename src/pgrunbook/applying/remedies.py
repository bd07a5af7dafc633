"""What to do about an error of the server, by its SQLSTATE."""

from __future__ import annotations

import psycopg

from pgrunbook.planning import hidden_rows
from pgrunbook.runbooks.blocks import Block

# psql would find what is left out of the role's or the database's own search path, too.
_NOT_FOUND = (
    "correct the SQL; a name without its schema is looked up in the run's schema, and then in "
    "those of the database's search_path (the preconditions say which are left out); or in those "
    "of the header search_path alone; then run again"
)

# By the first characters of the SQLSTATE:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_REMEDIES = {
    "08": "the server's log says why the connection ended; see that it can be reached, then run "
    "again",
    "23": "correct the rows that break the constraint, then run again",
    "25006": "connect to a primary, as a role that may write; transaction_read_only is not for a "
    "block to set",
    "25P": "our side was silent for too long, or a time limit of the server ended the session; "
    "run again",
    "42501": "grant this role the privilege, or run as one that has it",
    "42704": _NOT_FOUND,
    "42883": _NOT_FOUND,
    "42P01": _NOT_FOUND,
    "53100": "make room on the server's disk, then run again",
    "57014": "raise {statement_timeout}, unless somebody cancelled the statement; then run again",
    "57P": "see that the server is up, then run again",
}


# How the names of the run's own cursors and prepared statements begin. If the block's code closes
# them all, the transaction cannot go on.
_OURS = "pgrunbook_"
_CLOSED = (
    "have the block's code close cursors, and deallocate prepared statements, by their names: the "
    "run has some there, too"
)

# The server's source files for COPY: an error from there is about a file's permissions, and not
# about the role's privileges, with the same SQLSTATE.
_COPYING = ("copyto.c", "copyfrom.c")
_OF_THE_SERVER = "name a file that the server's own user may open, in the server's file system"


def advice(
    exc: psycopg.Error, block: Block, otherwise: str = "correct the SQL or the data, then run again"
) -> str:
    """Return what to do about the server's error; `otherwise`, if nothing is known about it."""
    where = "the header" if "statement_timeout" in block.timeouts else "the parameter"
    if exc.sqlstate == "42501" and exc.diag.source_file in _COPYING:
        return _OF_THE_SERVER
    code = exc.sqlstate or "08"  # no answer: the connection was lost
    lost = psycopg.errors.InvalidCursorName, psycopg.errors.InvalidSqlStatementName
    if isinstance(exc, lost) and _OURS in (exc.diag.message_primary or ""):
        return _CLOSED
    if hidden_rows.raised(exc):
        return f"{hidden_rows.SEES_ALL}; {hidden_rows.MEANT}"
    for start, remedy in _REMEDIES.items():
        if code.startswith(start):
            return remedy.format(statement_timeout=f"{where} statement_timeout")
    return otherwise
