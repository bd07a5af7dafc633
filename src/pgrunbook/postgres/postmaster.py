"""The process of a server of our own: whether it is alive, and where it listens."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no type information

from pgrunbook.postgres import os_user

PORT = 5432  # nothing listens on it: it is part of the socket's name

_SOCKET_PATH_BYTES = 103  # what sockaddr_un has room for, where it has the least (macOS)


def is_alive(data: Path) -> bool:
    """Return whether the process in postmaster.pid is the postmaster, whose working directory is
    the data directory.

    Not so a process that got its pid later (in a container it is often the same), and a zombie.
    """
    try:
        process = psutil.Process(int(_pid_file(data)[0]))
        return process.name() == "postgres" and Path(process.cwd()) == data
    except (IndexError, ValueError, psutil.Error):
        return False


def has_crashed(data: Path) -> bool:
    """Return whether the postmaster has ended, or the machine has, without shutting down."""
    return (data / "postmaster.pid").exists() and not is_alive(data)


def _pid_file(data: Path) -> list[str]:
    """Return the lines: pid, data directory, start time, port, socket directory and more; none if
    there is no file.
    """
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def socket(data: Path) -> Path:
    """Return the directory of its socket, as it says itself."""
    lines = _pid_file(data)
    return data / lines[4] if len(lines) > 4 else data


def socket_directory(data: Path) -> str:
    """Return the data directory, or if libpq cannot use its name, a private temporary directory."""
    name = os.fsencode(data / f".s.PGSQL.{PORT}")
    if len(name) <= _SOCKET_PATH_BYTES and b"," not in name:  # a comma separates hosts
        return "."
    directory = tempfile.mkdtemp(prefix="pgrunbook-")
    os.chown(directory, *os_user.server_user())
    return directory
