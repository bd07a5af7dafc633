"""PgBouncer in front of a server, as Debian has it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.projects import wait_for

from pgrunbook.postgres import os_user
from pgrunbook.postgres.embedded import Server

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
MODES = ("session", "transaction", "statement")


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer with one server connection a database: whoever comes next gets it as the last one
    has left it.
    """

    port: int

    def url(self, database: str) -> str:
        """How to reach a database through it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str, **options: Any) -> psycopg.Connection[Any]:
        """An application's session behind it, in autocommit."""
        return psycopg.connect(
            self.url(database), autocommit=True, prepare_threshold=None, **options
        )


@contextmanager
def pooling(server: Server, mode: str) -> Iterator[Pooler]:
    """A PgBouncer in this mode, until the end of the `with` block. Skips the test where there is
    none.
    """
    if not Path(PROGRAM).exists():
        pytest.skip("NOT TESTED: there is no PgBouncer on this machine. apt-get install pgbouncer")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uid, gid = os_user.server_user()  # it does not run as root either
    with tempfile.TemporaryDirectory(prefix="pooler-") as folder:
        settings = Path(folder, "pgbouncer.ini")
        settings.write_text(f"""
[databases]
* = host={server.socket} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 1
max_client_conn = 50
logfile = {folder}/log
""")
        for path in (Path(folder), settings):
            shutil.chown(path, uid, gid)
        process = subprocess.Popen(
            [PROGRAM, settings],
            user=uid,
            group=gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pooler = Pooler(port)
        try:
            wait_for(lambda: process.poll() is not None or _answers(pooler))
            assert process.poll() is None, Path(folder, "log").read_text()
            yield pooler
        finally:
            process.terminate()
            process.wait()


def _answers(pooler: Pooler) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", pooler.port), timeout=1):
        return True
    return False
