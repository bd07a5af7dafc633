"""What is set in a session of ours, whatever the role, the database and the environment say.

A block may set something else, also in a function, where no parser sees it: it holds for its own
statements, as in psql, and neither for ours between them nor for the next block.
"""

from __future__ import annotations

from psycopg import sql

from pgrunbook.postgres import search_path
from pgrunbook.postgres.lockers import LOCK_TIMEOUT

# What decides how the server reads our SQL and how it prints what we compare.
_READ_AND_PRINTED = {
    "search_path": search_path.OURS,
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",  # or the moment at which a block began is rounded, to hours at worst
    "TimeZone": "UTC",
}

# Nobody is waited for for long: to print an index or a CHECK, the server locks its table.
OURS = _READ_AND_PRINTED | {
    "client_encoding": "UTF8",
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
# where no parser sees it. Advisory locks stay: a run has one in the session that applies blocks.
UNSETTING = """
SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL;
CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES"""


def _set(values: dict[str, str]) -> str:
    """Set all of them until the transaction ends; each value is an expression."""
    names = (sql.quote(name) for name in values)
    calls = zip(names, values.values(), strict=True)
    return "SELECT " + ", ".join(
        f"pg_catalog.set_config({name}, {value}, true)" for name, value in calls
    )


def _now(name: str) -> str:
    return f"pg_catalog.current_setting('{name}')"


# A block may set its path, its role or how dates are read itself, and a function that it calls may:
# what holds after a statement holds for the next one. In between we are ourselves.
NOTE_ROLE = _set({"pgrunbook.own_role": _now("role")})
_KEPT = {f"pgrunbook.{name.lower()}": name for name in ["role", *_READ_AND_PRINTED]}
LEAVE = _set(
    {kept: _now(name) for kept, name in _KEPT.items()}
    | {name: sql.quote(value) for name, value in _READ_AND_PRINTED.items()}
    | {"role": _now("pgrunbook.own_role")}
)
RETURN = _set({name: _now(kept) for kept, name in _KEPT.items()})
