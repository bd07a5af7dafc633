"""The passwords that a run could use are those that libpq would take for its target, and no
others.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.conninfo import make_conninfo

from pgrunbook.postgres.target import Target
from pgrunbook.runbooks import credentials


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "PGPASSWORD",
        "PGPASSFILE",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGUSER",
        "PGDATABASE",
        "PGHOST",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path / "system"))
    return tmp_path


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _of(conninfo: str, name: str = "t") -> tuple[str, ...]:
    return credentials.passwords_of(Target(name, conninfo))


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://app:p%40ss%2Fw@db/crm?sslpassword=k%20y", ("p@ss/w", "k y")),
        ("host=db user=app password='it\\'s' oauth_client_secret=client", ("it's", "client")),
        ("postgresql://app@db/crm", ()),
        ("no conninfo", ()),
    ],
)
def test_of_a_connection_string(conninfo: str, expected: tuple[str, ...]) -> None:
    assert _of(conninfo) == expected


def test_of_the_environment_and_of_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(
        home / ".pgpass",
        "# h:1:d:u:comment\n*:*:*:app:a\\:b\\\\c\nshort:line\ndb:5432:*:*:second\n",
    )
    _write(
        home / ".pg_service.conf",
        "[other]\npassword=another\n[staging]\nhost=db\nuser=app\npassword=from=service\n",
    )
    monkeypatch.setenv("PGPASSWORD", "from-environment")
    assert _of("service=staging") == ("from=service", "from-environment", "a:b\\c")
    assert _of("service=nowhere user=other") == ("from-environment",)


def test_files_that_are_named_come_before_those_at_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(home / ".pgpass", "*:*:*:*:at-home\n")
    _write(home / "named", "*:*:*:*:by-variable\n")
    _write(home / "given", "*:*:*:*:by-conninfo\n")
    _write(home / "system" / "pg_service.conf", "[everywhere]\nsslpassword=of-the-system\n")
    assert _of("host=db") == ("at-home",)
    monkeypatch.setenv("PGPASSFILE", str(home / "named"))
    assert _of("host=db") == ("by-variable",)
    assert _of(f"service=everywhere passfile={home / 'given'}") == ("of-the-system", "by-conninfo")


def test_the_environments_service_is_as_it_was(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    _write(
        home / ".pg_service.conf", "[one]\npassword=one-password\n[two]\npassword=two-password\n"
    )
    monkeypatch.setenv("PGSERVICE", "one")
    assert _of("service=two") == ("two-password",)
    assert _of("host=db") == ("one-password",)


@pytest.mark.parametrize("name", [".pgpass", ".pg_service.conf"])
def test_files_that_cannot_be_read_are_left_out(home: Path, name: str) -> None:
    (home / name).mkdir()
    assert _of("service=x password=hunter2") == ("hunter2",)


def test_a_password_file_that_others_may_read_is_ignored(home: Path) -> None:
    _write(home / ".pgpass", "*:*:*:*:at-home\n", mode=0o640)
    assert _of("host=db") == ()


def test_what_every_record_shows_is_no_secret() -> None:
    for password in ("app", "crm", "db.example", "5432", "postgres", "staging"):
        conninfo = make_conninfo(
            user="app", dbname="crm_live", host="db.example.org", port="5432", password=password
        )
        assert _of(conninfo, "staging") == ()


# -- libpq is the judge
# ----------------------------------------------------------------------------------------------

FIELDS = st.sampled_from(
    [
        "*",
        "127.0.0.1",
        "127.0.0.2",
        "localhost",
        "1",
        "2",
        "a",
        "b",
        "a\\:b",
        "\\*",
        "a\\\\",
        "**",
        "",
    ]
)
PASSWORDS = st.sampled_from(["one", "two\\:x", "three\\\\", "four:more", "five\\", "", "#six"])
LINES = st.lists(
    st.builds(
        lambda fields, word: ":".join([*fields, word]),
        st.lists(FIELDS, min_size=3, max_size=4),
        PASSWORDS,
    )
)
WORDS = st.sampled_from(["", "a", "b", "a:b", "*", "a\\"])


@given(
    LINES,
    st.sampled_from(["127.0.0.1", "127.0.0.2"]),
    st.sampled_from(["", "1", "2"]),
    WORDS,
    WORDS,
    st.booleans(),
)
def test_the_line_that_libpq_takes(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    host: str,
    port: str,
    database: str,
    user: str,
    named: bool,
) -> None:
    """A connection that libpq has begun, to nobody, says which password it found for it."""
    file = tmp_path_factory.mktemp("libpq") / "passwords"
    _write(file, "\r\n".join(["# comment", *lines]))
    about = {
        "host" if named else "hostaddr": host,
        "port": port,
        "dbname": database,
        "user": user,
        "passfile": str(file),
    }
    conninfo = make_conninfo("", **{key: value for key, value in about.items() if value})
    begun = pq.PGconn.connect_start(conninfo.encode())
    expected = (begun.password or b"").decode()
    begun.finish()
    assert [*credentials.password_file(credentials.settings_of(conninfo))] == (
        [expected] if expected else []
    )


def test_each_of_several_hosts(home: Path) -> None:
    _write(
        home / ".pgpass",
        "one:1:*:*:first-host\ntwo:1:*:*:wrong-port\ntwo:2:*:*:second-host\nthree:3:*:*:other-host\n",
    )
    assert _of("host=one,two port=1,2") == ("first-host", "second-host")
    assert _of("host=one,two port=1") == ("first-host", "wrong-port")
    assert _of("postgresql://a@one:1,two:2/crm") == ("first-host", "second-host")
    assert _of("host=two hostaddr=127.0.0.1 port=2") == ("second-host",)


def test_the_socket_goes_by_the_name_of_localhost(home: Path) -> None:
    _write(home / ".pgpass", "localhost:*:crm:*:by-name\n/srv/socket:*:crm:*:by-path\n")
    assert _of("dbname=crm") == ("by-name",)
    assert _of("dbname=crm host=/var/run/postgresql") == ("by-name",)
    assert _of("dbname=crm host=/srv/socket") == ("by-path",)
    assert _of("dbname=other") == ()
