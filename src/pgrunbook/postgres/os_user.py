"""Users of the operating system: who runs this process, and who the embedded PostgreSQL."""

from __future__ import annotations

import getpass
import os
import pwd
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pgrunbook.errors import Refused

# The user for PostgreSQL, which refuses to run as root, where we are root. The wheel's own launcher
# has one of the same name.
OS_USER = "pgserver"


def own_name() -> str:
    """Return the name of the user who runs this process; empty if the machine has none for the
    user's id, as in many containers.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return ""


def server_user() -> tuple[int, int]:
    """Return the user id and group id that the server runs under: ours, or those of OS_USER, made
    if need be.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for _ in range(20):
        with suppress(KeyError):
            entry = pwd.getpwnam(OS_USER)
            return entry.pw_uid, entry.pw_gid
        with suppress(FileNotFoundError):
            # fails while another process is making the user
            command = ["useradd", "--system", OS_USER]
            subprocess.run(command, capture_output=True)  # noqa: S603
        time.sleep(0.05)
    raise Refused.of(
        "PostgreSQL does not run as root, and there is no other user for it",
        where=f"OS user {OS_USER}",
        remedy=f"create {OS_USER}, or run as an ordinary user",
    )


def as_server_user(program: Path, data: Path) -> dict[str, Any]:
    """Return what subprocess needs to run the program as the user who runs the server."""
    if os.geteuid() != 0:
        return {}
    for directory in {*program.parents, *data.parents}:
        mode = directory.stat().st_mode
        if not mode & 0o001:
            # let others pass through, not read: a checkout under /root
            directory.chmod(mode | 0o001)
    uid, gid = server_user()
    return {"user": uid, "group": gid, "extra_groups": []}
