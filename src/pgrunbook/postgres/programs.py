"""The programs of a server of our own: they run as its user, in a directory that is ours to use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pgrunbook.errors import Refused
from pgrunbook.postgres import os_user
from pgrunbook.postgres.session import Session


@contextmanager
def ours_to_use(data: Path) -> Iterator[None]:
    """Raise Refused in place of an OSError: the directory is somebody else's."""
    try:
        yield
    except OSError as exc:
        raise not_ours(data, f"{exc.filename or data}: {exc.strerror}") from exc


def not_ours(data: Path, found: str) -> Refused:
    """Return what to raise of a directory in which the server cannot keep its data."""
    return Refused.of(
        "the embedded PostgreSQL cannot keep its data here",
        where=str(data),
        expected="a directory that it made for this user, or may make",
        found=found,
        remedy="run as the user to whom the directory belongs, choose another one, or remove it",
    )


def run(program: Path, *arguments: str, data: Path, cwd: str | Path = "") -> None:
    """Run a program of the server's, as the user who runs the server. Raises Refused if it
    fails.
    """
    with ours_to_use(data):
        user = os_user.as_server_user(program, data)
        done = execute(program, *arguments, cwd=cwd or data, **user)
    if done.returncode:
        raise failure(f"{program.name} failed", data, done.stderr)


def execute(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program, without the settings that the user has for libpq."""
    # They are for other servers, and the server itself would obey PGPORT and PGTZ.
    env = environment(LC_ALL="C")
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, **options}
    return subprocess.run(  # noqa: S603  # no shell, fixed programs
        command, env=env, encoding="utf-8", errors="replace", **given
    )


def environment(**given: str) -> dict[str, str]:
    """Return ours, with these variables in place of all that the user has for libpq."""
    found = {}
    for name, value in os.environ.items():
        if not name.startswith("PG"):
            found[name] = value
    return found | given


def failure(what: str, data: Path, said: str = "") -> Refused:
    """Return what to raise of a program that failed: what it said, and the end of the
    server's log.
    """
    lines = said.splitlines()
    log = data / "log"
    if log.exists():
        lines += log.read_text(errors="replace").splitlines()[-15:]
    return Refused.of(
        what,
        where=str(data),
        found="\n".join(lines),
        remedy="mend what the log says; or, if the data can go, remove the directory and start "
        "again",
    )


# How often to ask whether the server is there: it may fall silent, and pg_dump waits as long as it
# takes.
_ASK_S = 1.0


def run_watched(
    program: Path, *arguments: str, env: dict[str, str], answers: Session | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it, as long as it takes, and as the server that it works on `answers` us. Raises Silent
    if it does not.
    """
    command: Sequence[str | Path] = (program, *arguments)
    given = {**env, "LC_ALL": "C"}
    with subprocess.Popen(  # noqa: S603  # no shell, fixed programs
        command,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            while True:
                # communicate() loses nothing when it times out: it goes on where it was
                with suppress(subprocess.TimeoutExpired):
                    said = process.communicate(timeout=_ASK_S if answers else None)
                    return subprocess.CompletedProcess(command, process.returncode, *said)
                if answers:
                    answers.execute("SELECT")
        except BaseException:
            process.kill()
            raise
