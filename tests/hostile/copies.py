"""Copies of a server, as pg_basebackup makes them: one that replicates, and one that lives a life
of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pgrunbook.postgres import embedded, os_user
from pgrunbook.postgres.embedded import Server

STANDBY = "standby"


@contextmanager
def copied(
    primary: Server, data: Path, *, replicates: bool = False, addresses: str = ""
) -> Iterator[Server]:
    """A copy of the server with all its databases, running, until the end of the `with` block.

    If it `replicates` it is a standby, which the primary calls STANDBY in
    synchronous_standby_names; else it goes its own way from there, with the same system identifier.
    `addresses` as for `listening`.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    user = os_user.as_server_user(primary.bin / "pg_basebackup", data)
    options = ["--write-recovery-conf"] if replicates else []
    source = f"{primary.conninfo()} application_name={STANDBY}"
    command = [
        primary.bin / "pg_basebackup",
        "--pgdata",
        data,
        "--checkpoint",
        "fast",
        *options,
        "--dbname",
        source,
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if user:
        shutil.chown(data.parent, user["user"], user["group"])
    subprocess.run(
        command, check=True, env=env, capture_output=True, stdin=subprocess.DEVNULL, cwd="/", **user
    )
    _set_addresses(data, addresses)
    server = embedded.start(data, primary.version)
    try:
        yield server
    finally:
        server.stop()


def listening(server: Server, addresses: str) -> Server:
    """The server, started anew, by TCP on these addresses too, with commas between them."""
    server.stop()
    _set_addresses(server.data, addresses)
    return embedded.start(server.data, server.version)


def _set_addresses(data: Path, addresses: str) -> None:
    for name, line in [
        ("postgresql.conf", f"listen_addresses = '{addresses}'"),
        ("pg_hba.conf", "host all all 127.0.0.0/8 trust"),
    ]:
        with (data / name).open("a") as settings:
            settings.write(f"{line}\n")


@contextmanager
def synchronous(primary: Server, names: str = STANDBY) -> Iterator[None]:
    """The primary's commits wait for these standbys, as long as the `with` block lasts."""
    with psycopg.connect(primary.conninfo(), autocommit=True) as conn:
        conn.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
        conn.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
            conn.execute("SELECT pg_reload_conf()")
