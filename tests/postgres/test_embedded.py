"""The embedded PostgreSQL: many users, all kinds of crashes, one server."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from support.projects import wait_for

from pgrunbook.errors import Refused
from pgrunbook.postgres import embedded
from pgrunbook.postgres.embedded import Server
from pgrunbook.postgres.postmaster import is_alive

NOBODY = 65534

# A process that uses the server, and the database if there is a sample, until its standard input
# ends.
USER = """
import pathlib, sys
from pgrunbook.postgres import embedded
data, *samples = map(pathlib.Path, sys.argv[1:])
server = embedded.start(data)
for sample in samples:
    embedded.database(server, "loaded", sample)
print((data / "postmaster.pid").read_text().split()[0], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory to make servers in. Whatever still runs there at the end is killed."""
    directory = Path(tempfile.mkdtemp(prefix="pgrunbook-"))
    yield directory
    for pid_file in directory.rglob("postmaster.pid"):
        if is_alive(pid_file.parent):
            os.kill(postmaster(pid_file.parent), signal.SIGKILL)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A data directory to copy: that is quicker than initdb."""
    with tempfile.TemporaryDirectory(prefix="pgrunbook-") as directory:
        embedded.start(Path(directory, "data")).stop()
        yield Path(directory, "data")


@pytest.fixture
def data(place: Path, cluster: Path) -> Path:
    """A data directory of version 18 whose server was stopped."""
    subprocess.run(["cp", "-a", cluster, place / "data"], check=True)
    return place / "data"


@pytest.fixture
def user(data: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`user(sample)` starts a process that uses the server of `data`."""
    with ExitStack() as stack:

        def start(*samples: Path) -> subprocess.Popen[str]:
            command: list[str | Path] = [sys.executable, "-c", USER, data, *samples]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


def postmaster(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split()[0])


def has_started(process: subprocess.Popen[str]) -> int:
    """Wait until the process has the server; the pid of its postmaster."""
    return int(process.stdout.readline())  # type: ignore[union-attr]  # it is a pipe


def ask(server: Server, query: str, database: str = "postgres") -> object:
    with closing(psycopg.connect(server.conninfo(database), autocommit=True)) as conn:
        row = conn.execute(query).fetchone()
        return row and row[0]


# Starting and stopping


@pytest.mark.parametrize("version", [16, 18])
def test_a_new_server(place: Path, version: int) -> None:
    server = embedded.start(place / "not" / "there", version)
    assert str(ask(server, "SHOW server_version")).startswith(f"{version}.")
    assert [ask(server, f"SHOW {name}") for name in ("timezone", "fsync", "listen_addresses")] == [
        "UTC",
        "on",
        "",
    ]
    assert (server.bin / "pg_dump").exists()
    server.stop()
    assert not is_alive(server.data)


def test_starting_again_in_a_process_joins(data: Path) -> None:
    server = embedded.start(data)
    pid = postmaster(data)
    assert embedded.start(data) == server
    assert postmaster(data) == pid
    server.stop()
    server.stop()
    assert not is_alive(data)
    assert embedded.start(data) == server
    assert ask(server, "SELECT 1") == 1
    server.stop()


def test_two_processes_at_once_share_one_new_server(
    place: Path, user: Callable[..., subprocess.Popen[str]]
) -> None:
    shutil.rmtree(place / "data")
    one, two = user(), user()
    assert has_started(one) == has_started(two)
    assert sorted(path.name for path in place.iterdir()) == ["data", "data.lock", "data.users"]


def test_the_last_one_out_stops_the_server(
    data: Path, user: Callable[..., subprocess.Popen[str]]
) -> None:
    server = embedded.start(data)
    other = user()
    has_started(other)
    server.stop()
    assert ask(server, "SELECT 1") == 1
    other.communicate()
    assert not is_alive(data)


def test_a_killed_user_does_not_keep_the_server(
    data: Path, user: Callable[..., subprocess.Popen[str]]
) -> None:
    server = embedded.start(data)
    other = user()
    has_started(other)
    other.kill()
    other.wait()
    server.stop()
    assert not is_alive(data)


def test_a_forked_child_does_not_stop_the_server(data: Path) -> None:
    server = embedded.start(data)
    child = multiprocessing.get_context("fork").Process(target=server.stop)
    child.start()
    child.join()
    assert ask(server, "SELECT 1") == 1
    server.stop()


def test_a_directory_may_be_removed(data: Path, user: Callable[..., subprocess.Popen[str]]) -> None:
    server = embedded.start(data)
    remove_all(data.parent)
    embedded.start(data)
    user().communicate()
    assert ask(server, "SELECT 1") == 1  # the other one was not the last one out
    remove_all(data.parent)
    server.stop()
    assert list(data.parent.iterdir()) == []


def remove_all(place: Path) -> None:
    (pid_file,) = place.glob("*/postmaster.pid")
    os.kill(postmaster(pid_file.parent), signal.SIGINT)
    wait_for(lambda: not is_alive(pid_file.parent))
    shutil.rmtree(place)
    place.mkdir()


@pytest.mark.parametrize("name", ['it\'s $HOME, "quoted" `x`', "long" * 50])
def test_any_directory_will_do(place: Path, cluster: Path, name: str) -> None:
    shutil.copytree(cluster.parent, place / name)
    subprocess.run(["cp", "-a", cluster, place / name / "copy"], check=True)
    server = embedded.start(place / name / "copy")
    assert ask(server, "SELECT 1") == 1
    server.stop()
    assert server.socket == server.data or not server.socket.exists()


def test_the_environment_leads_nowhere_else(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "7",
        "PGDATABASE": "x",
        "PGUSER": "x",
    }.items():
        monkeypatch.setenv(name, value)
    server = embedded.start(data)
    assert ask(server, "SHOW data_directory") == str(data)
    server.stop()


# Crashes


def test_it_comes_back_after_its_postmaster_was_killed(data: Path) -> None:
    server = embedded.start(data)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute("CREATE TABLE kept ()")
        os.kill(postmaster(data), signal.SIGKILL)
        server = embedded.start(data)
    assert ask(server, "SELECT to_regclass('kept')") == "kept"
    server.stop()
    assert not is_alive(data)


def test_one_that_waits_for_no_disk_is_made_anew_after_a_crash(place: Path) -> None:
    """Unless somebody uses it: a server in another container looks as if it were dead."""
    data = place / "data"
    server = embedded.start(data, durable=False)
    assert ask(server, "SHOW fsync") == "off"
    with psycopg.connect(server.conninfo()) as conn:
        conn.execute("CREATE TABLE kept ()")
    server.stop()
    server = embedded.start(data, durable=False)
    assert ask(server, "SELECT to_regclass('kept')") == "kept"
    for is_used, found in (True, "kept"), (False, None):
        os.kill(postmaster(data), signal.SIGKILL)
        wait_for(lambda: not is_alive(data))
        if not is_used:
            embedded._forget()
        server = embedded.start(data, durable=False)
        assert ask(server, "SELECT to_regclass('kept')") == found
    server.stop()
    assert {path.name for path in place.iterdir()} == {"data", "data.lock", "data.users"}


def test_it_waits_for_the_backends_of_a_killed_postmaster(data: Path) -> None:
    """Two generations on one data directory would destroy it."""
    server = embedded.start(data)
    with psycopg.connect(server.conninfo()) as conn:
        os.kill(conn.info.backend_pid, signal.SIGSTOP)
        os.kill(postmaster(data), signal.SIGKILL)
        waiting = subprocess.Popen([sys.executable, "-c", USER, data], stdin=subprocess.DEVNULL)
        wait_for(lambda: b"pre-existing shared memory block" in (data / "log").read_bytes())
        os.kill(conn.info.backend_pid, signal.SIGCONT)
        assert waiting.wait() == 0
    server.stop()


def test_a_pid_file_may_name_somebody_elses_process(data: Path) -> None:
    owner = data.stat()
    bystander = subprocess.Popen(["sleep", "600"], user=owner.st_uid, group=owner.st_gid)
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data / name).write_text(f"{bystander.pid}\n{data}\n1\n5432\n.\n\n1 1\nready\n")
    server = embedded.start(data)
    assert ask(server, "SELECT 1") == 1
    server.stop()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("content", ["", "what?\n", "1\n"])
def test_a_pid_file_may_be_cut_short(data: Path, content: str) -> None:
    (data / "postmaster.pid").write_text(content)
    server = embedded.start(data)
    assert ask(server, "SELECT 1") == 1
    server.stop()


def test_a_killed_initdb_leaves_no_half_of_a_cluster(
    place: Path, user: Callable[..., subprocess.Popen[str]]
) -> None:
    shutil.rmtree(place / "data")
    maker = user()
    wait_for(lambda: any(place.glob("*/data/PG_VERSION")))
    (initdb,) = psutil.Process(maker.pid).children()
    initdb.kill()
    maker.kill()
    server = embedded.start(place / "data")
    assert ask(server, "SELECT 1") == 1
    server.stop()


# Whose directory it is


def use_for_a_while(data: Path) -> None:
    server = embedded.start(data)
    assert ask(server, "SELECT 1") == 1
    assert data.stat().st_uid == os.geteuid()
    server.stop()


def as_ordinary_user(data: Path) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    use_for_a_while(data)


def test_an_ordinary_user_beside_root(data: Path, place: Path) -> None:
    if os.geteuid() != 0:
        use_for_a_while(data)
        return
    roots = embedded.start(data)
    (place / "theirs").mkdir()
    os.chown(place / "theirs", NOBODY, NOBODY)
    # Forked, since another user may not be allowed to execute this Python.
    other = multiprocessing.get_context("fork").Process(
        target=as_ordinary_user, args=[place / "theirs" / "data"]
    )
    other.start()
    other.join()
    assert other.exitcode == 0
    assert ask(roots, "SELECT 1") == 1
    roots.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_data_is_refused(data: Path) -> None:
    os.chown(data, NOBODY, NOBODY)
    with pytest.raises(Refused, match=rf"belongs to the user with id {NOBODY}"):
        embedded.start(data)


def test_a_directory_that_cannot_be_made_is_refused(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(
        Refused, match=r"(?s)file/deeper: Not a directory.*remedy: .*choose another"
    ):
        embedded.start(place / "file" / "deeper" / "data")


def test_a_directory_of_other_things_is_refused_and_kept(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "thesis").touch()
    with pytest.raises(Refused, match="cannot keep its data here"):
        embedded.start(place / "data")
    assert [path.name for path in (place / "data").iterdir()] == ["thesis"]


def test_data_of_another_version_are_refused(data: Path) -> None:
    with pytest.raises(
        Refused, match=r"(?s)expected: PostgreSQL 16.*found: +PostgreSQL 18.*remedy:"
    ):
        embedded.start(data, 16)


def test_a_version_that_there_is_not_is_refused(place: Path) -> None:
    with pytest.raises(Refused, match=r"(?s)expected: 16 or 18.*found: +14"):
        embedded.start(place / "data", 14)


def test_a_server_that_does_not_start_says_why(data: Path) -> None:
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("shared_bufers = 1GB\n")
    with pytest.raises(Refused, match='unrecognized configuration parameter "shared_bufers"'):
        embedded.start(data)


# The sample


@pytest.fixture
def sample(place: Path) -> Callable[[str], Path]:
    """`sample(sql)` is a file with it."""

    def write(sql: str) -> Path:
        (place / "sample.sql").write_text(sql)
        return place / "sample.sql"

    return write


def test_the_sample_is_loaded_once(data: Path, sample: Callable[[str], Path]) -> None:
    server = embedded.start(data)
    conninfo = embedded.database(server, "loaded", sample("CREATE TABLE t AS SELECT 1 AS n;"))
    assert conninfo == server.conninfo("loaded")
    ask(server, "UPDATE t SET n = 2 RETURNING n", "loaded")
    assert embedded.database(server, "loaded", sample("CREATE TABLE u ();")) == conninfo
    assert ask(server, "SELECT n FROM t", "loaded") == 2
    server.stop()


def test_two_at_once_load_the_sample_once(
    place: Path, sample: Callable[[str], Path], user: Callable[..., subprocess.Popen[str]]
) -> None:
    file = sample(f"CREATE TABLE t ();\n\\! echo loaded >> '{place}/loads'\nSELECT pg_sleep(0.5);")
    for process in [user(file), user(file)]:
        has_started(process)
    assert (place / "loads").read_text() == "loaded\n"


def test_a_sample_with_an_error_leaves_no_database(
    data: Path, sample: Callable[[str], Path]
) -> None:
    server = embedded.start(data)
    with pytest.raises(Refused, match=r'sample\.sql:2: ERROR:  relation "nothing" does not exist'):
        embedded.database(server, "loaded", sample("CREATE TABLE t ();\nSELECT * FROM nothing;"))
    assert ask(server, "SELECT count(*) FROM pg_database WHERE datname = 'loaded'") == 0
    embedded.database(server, "loaded", sample("CREATE TABLE t ();"))
    assert ask(server, "SELECT to_regclass('t')", "loaded") == "t"
    server.stop()


def test_a_half_loaded_sample_is_not_taken_for_a_whole_one(
    data: Path,
    place: Path,
    sample: Callable[[str], Path],
    user: Callable[..., subprocess.Popen[str]],
) -> None:
    loader = user(sample(f"CREATE TABLE t ();\n\\! touch '{place}/begun'\nSELECT pg_sleep(600);"))
    wait_for((place / "begun").exists)
    loader.kill()
    server = embedded.start(data)
    embedded.database(server, "loaded", sample("CREATE TABLE t (); CREATE TABLE the_rest ();"))
    assert ask(server, "SELECT to_regclass('the_rest')", "loaded") == "the_rest"
    server.stop()
