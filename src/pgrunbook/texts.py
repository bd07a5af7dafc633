"""Texts of the server whose bytes are not UTF-8, read with an escape.

A database in SQL_ASCII keeps whatever bytes it is given, and sends them as they are. So do the catalogs that all
databases share: a role's name may have been written in another encoding than this database's.
https://www.postgresql.org/docs/current/multibyte.html
"""

from __future__ import annotations

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader


class _Escaping(Loader):
    """`caf\\xe9` for a text whose last byte is E9: it can be shown, and found. It equals no text of a block's."""

    def load(self, data: Buffer) -> str:
        """The text."""
        return bytes(data).decode("utf-8", "backslashreplace")


def read_any(conn: psycopg.Connection[object]) -> None:
    """Let the session read any bytes, where its database may hold any."""
    if conn.info.parameter_status("server_encoding") == "SQL_ASCII":
        for oid in _TEXTS:
            conn.adapters.register_loader(oid, _Escaping)


# "char", name, text, unknown, char(n) and varchar, by their OIDs in src/include/catalog/pg_type.dat.
_TEXTS = (18, 19, 25, 705, 1042, 1043)
