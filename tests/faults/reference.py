"""What is true when nothing goes wrong: the target after each block, as psql makes it of the deploy
files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

import psycopg
from psycopg import sql
from support.databases import Database

from pgrunbook.postgres.embedded import Server

# The ledger is compared for itself: only its tables are the same after every history.
SCHEMA = ("--exclude-schema", "pgrunbook")
LEDGER = ("--schema", "pgrunbook", "--schema-only")


@dataclass(frozen=True)
class Reference:
    """The blocks in order, each with its SQL; the dump of the target after none of them, after the
    first, and so on; the ledger's tables.
    """

    scripts: Mapping[str, str]
    dumps: tuple[str, ...]
    ledger: str

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the blocks."""
        return tuple(self.scripts)


@contextmanager
def scratch(server: Server, template: str) -> Iterator[Database]:
    """A copy of the template, gone at the end, though the server may have been killed and started
    again meanwhile.
    """
    made = Database(server, f"test_{token_hex(6)}")
    name = sql.Identifier(made.name)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template))
        )
    yield made
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def dumps(database: Database, scripts: Sequence[str]) -> tuple[str, ...]:
    """Run the SQL of each block with psql; what pg_dump says before the first and after each."""
    made = [database.dump(*SCHEMA)]
    for script in scripts:
        database.psql("--quiet", stdin=script)
        made.append(database.dump(*SCHEMA))
    return tuple(made)
