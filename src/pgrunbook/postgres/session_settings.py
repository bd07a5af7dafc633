"""What is set in a session of ours, whatever the role, the database and the environment say.

A block may set something else, also in a function, where no parser sees it: it holds for its own
statements, as in psql, and neither for ours between them nor for the next block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql

from pgrunbook.postgres import search_path
from pgrunbook.postgres.lockers import LOCK_TIMEOUT
from pgrunbook.postgres.session import Session

# What decides how the server reads our SQL and how it prints what we compare.
_READ_AND_PRINTED = {
    "search_path": search_path.OURS,
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",  # or the moment at which a block began is rounded, to hours at worst
    "TimeZone": "UTC",
}

# Of these, what decides which value a text is, and which text a value. For a block's statements
# they are as the database, the role and the environment say: psql would run them so.
OF_VALUES = ("DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits")

# What decides, besides, which statements the server takes, and what it makes of them: in no session
# of ours are these otherwise than the database, the role and the environment say.
OF_STATEMENTS = ("array_nulls", "check_function_bodies", "transform_null_equals", "xmloption")

# Nobody is waited for for long: to print an index or a CHECK, the server locks its table.
OURS = _READ_AND_PRINTED | {
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": "1min",
    "default_transaction_isolation": "read committed",
    # or a session that reads would wait for the one that writes
    "default_transaction_deferrable": "off",
    "plan_cache_mode": "force_generic_plan",  # each catalog query is planned once a session
    "jit": "off",
    "exit_on_error": "off",  # or what fails in a verify script, as it is meant to, ends the session
}

READS = {"default_transaction_read_only": "on"}

# Statements that take away what others' code has set or made for the session, also in a function,
# where no parser sees it. Advisory locks stay, as a run has its own there: see `run_locks.HELD`.
UNSETTING = """
SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL;
CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES"""


_SAVE = """\
pg_catalog.set_config('%s', (
           SELECT pg_catalog.json_object_agg(name, pg_catalog.current_setting(name))
             FROM pg_catalog.unnest('{%s}'::pg_catalog.text[]) AS name)::pg_catalog.text, true)"""
_RESTORE = """\
SELECT pg_catalog.set_config(key, value, true)
  FROM pg_catalog.json_each_text(pg_catalog.current_setting('%s')::pg_catalog.json)"""


def save(slot: str, names: Iterable[str]) -> str:
    """Return the expression that saves the values of these settings, as they are in the
    transaction, in a setting of ours, `slot`.
    """
    return _SAVE % (slot, ",".join(names))


def restore(slot: str) -> str:
    """Return the statement that sets, in the transaction, what `save` has saved in the slot."""
    return _RESTORE % slot


def save_and_set(slot: str, settings: Mapping[str, str]) -> str:
    """Return the statement that saves the values of these settings, and sets others."""
    return f"SELECT {save(slot, settings)},\n       {_calls(settings)}"


def _calls(settings: Mapping[str, str]) -> str:
    """Return the expressions that set these, in the transaction; evaluated from the left."""
    calls = []
    for name, value in settings.items():
        calls.append(f"pg_catalog.set_config({sql.quote(name)}, {sql.quote(value)}, true)")
    return ",\n       ".join(calls)


# A block may set its path, its role, how dates are read or how long it may take itself, and a
# function that it calls may: what holds after a statement holds for the next one. In between we are
# ourselves.
_BLOCK_S, _OWN = "pgrunbook.block", "pgrunbook.own"
_FOR_ITSELF = ["role", "statement_timeout", "idle_in_transaction_session_timeout"]
NOTE_OWN = f"SELECT {save(_OWN, _FOR_ITSELF)}"
_READ_AS_OURS = _calls(_READ_AND_PRINTED)
LEAVE = f"""\
SELECT {save(_BLOCK_S, [*_FOR_ITSELF, *_READ_AND_PRINTED])},
       {_READ_AS_OURS},
       ARRAY({restore(_OWN)})"""
RETURN = restore(_BLOCK_S)


def block_settings(path: str, scope: str = "LOCAL") -> list[str]:
    """Return the statements after which names and values are read as psql would read a block: names
    by the path, values by the settings of the database and the role. `scope`: LOCAL, for the
    transaction, or SESSION.
    """
    values = [f"SET {scope} {name} = DEFAULT" for name in OF_VALUES]
    return [f"SET {scope} search_path = {path}", *values]


def own_settings(scope: str = "LOCAL") -> list[str]:
    """Return the statements after which names and values are read as our queries mean them."""
    values = [f"SET {scope} {name} = {sql.quote(_READ_AND_PRINTED[name])}" for name in OF_VALUES]
    return [f"SET {scope} search_path = {search_path.OURS}", *values]


@contextmanager
def as_block(conn: Session, path: str = "", role: str = "") -> Iterator[None]:
    """Have the session the settings of a block in the `with` block: the path, or its own schema,
    and the role. For statements that cannot be in a transaction of ours.
    """
    enter = block_settings(path or search_path.of(conn), "SESSION")
    leave = own_settings("SESSION")
    if role:
        enter.append(f"SET ROLE {sql.Identifier(role).as_string()}")
        leave.insert(0, "RESET ROLE")
    conn.execute("; ".join(enter).encode())
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # a lost session has none
            conn.execute("; ".join(leave).encode())


def as_options(values: Mapping[str, str]) -> str:
    """Return what gives a session these settings from its start, as libpq's parameter `options`:
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
    """
    escaped = {name: re.sub(r"([\\\s])", r"\\\1", value) for name, value in values.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())
