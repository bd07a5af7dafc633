"""No password survives redaction, in whatever form it is written."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgrunbook.secrets.patterns import looks_secret, redact, shapes

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
AWKWARD = st.text(st.sampled_from("aZ0 @:/?&=#%'\"\\$[]{}\n\té"), min_size=1)
PASSWORDS = TEXT | AWKWARD
WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Z", "C"], exclude_characters="/"), min_size=1
)


@given(PASSWORDS)
def test_in_a_connection_string(password: str) -> None:
    text = make_conninfo(host="db", password=password, user="app")
    assert redact(text) == "host=db password=*** user=app"
    assert looks_secret(text)


@given(PASSWORDS)
def test_in_a_url(password: str) -> None:
    text = f"to postgresql://app:{quote(password, safe='')}@db:5432/crm, as told"
    assert redact(text) == "to postgresql://app:***@db:5432/crm, as told"
    assert looks_secret(text)


@given(WORDS)
def test_in_a_url_that_should_have_been_percent_encoded(password: str) -> None:
    text = f"postgresql+psycopg://app:{password}@db/crm"
    assert redact(text) == "postgresql+psycopg://app:***@db/crm"
    assert looks_secret(text)


@given(PASSWORDS)
def test_in_the_query_of_a_url(password: str) -> None:
    text = f"postgresql://db/crm?sslpassword={quote(password, safe='')}"
    assert redact(text) == "postgresql://db/crm?sslpassword=***"
    assert looks_secret(text)


@given(PASSWORDS)
def test_in_sql(password: str) -> None:
    text = (
        f"ALTER ROLE app PASSWORD {sql.Literal(password).as_string().lstrip()} VALID UNTIL "
        "'infinity'"
    )
    assert redact(text) == "ALTER ROLE app PASSWORD *** VALID UNTIL 'infinity'"
    assert looks_secret(text)


@given(PASSWORDS)
def test_in_a_mapping(password: str) -> None:
    value = {"user": "app", "password": password}
    assert redact(str(value)) == "{'user': 'app', 'password': ***}"
    assert looks_secret(value)
    assert looks_secret([{"connections": (value,)}])


@given(PASSWORDS)
def test_in_a_text_of_a_mapping(password: str) -> None:
    """Whose quotes and line ends are escaped in the text of the whole."""
    text = f'-- it\'s for\nALTER ROLE "app" PASSWORD {sql.Literal(password).as_string().lstrip()}'
    assert looks_secret({"note": [text]})
    assert looks_secret(
        {"note": f"host = db\npassword\n=\n{make_conninfo(password=password).partition('=')[2]}"}
    )


@given(TEXT, PASSWORDS, TEXT)
def test_a_known_secret_is_masked_wherever_it_stands(
    before: str, password: str, after: str
) -> None:
    assert password not in redact(before + password + after, password).replace("***", "")


@given(PASSWORDS, PASSWORDS)
def test_redacting_twice_changes_nothing_more(user: str, password: str) -> None:
    once = redact(
        f"{make_conninfo(user=user, password=password)} postgresql://{quote(user, safe='')}@db"
    )
    assert redact(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PGPASSWORD=hunter2 psql crm", "PGPASSWORD=*** psql crm"),
        ("password = 'hunter2", "password = ***"),
        ("password=a\\ hunter2 user=app", "password=*** user=app"),
        ("oauth_client_secret=hunter2", "oauth_client_secret=***"),
        ("postgres://:hunter2@db", "postgres://:***@db"),
        ("postgresql://app:my hunter2@db/crm", "postgresql://app:***@db/crm"),
        ('"password": "hunter2", "port": 1', '"password": ***, "port": 1'),
        (
            "postgresql://a:hunter2@x/y postgresql://b:hunter2@z",
            "postgresql://a:***@x/y postgresql://b:***@z",
        ),
    ],
)
def test_other_forms(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert looks_secret(text)


@pytest.mark.parametrize(
    "value",
    [
        "",
        7,
        None,
        ["CRM-7", {"port": 5432}],
        "postgresql://app@db:5432/crm",
        "https://wiki:8443/runbooks/001, ask bob@example.com",
        "host=db user=app passfile=/home/app/.pgpass",
        'password authentication failed for user "app"',
        "fe_sendauth: no password supplied",
    ],
)
def test_what_holds_no_password_is_left_alone(value: Any) -> None:
    assert not looks_secret(value)
    assert redact(str(value)) == str(value)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("postgresql://app:hunter2@db", "a password in a URL"),
        ("PGPASSWORD=hunter2", "a password in a connection string"),
        ("{'password': 'hunter2'}", "a password in a mapping"),
        ("ALTER ROLE app PASSWORD 'hunter2'", "a password in SQL"),
        ("# mine\ndb:5432:*:app:hunter\\:2\n", "a line of a password file"),
        ("*:*:*:*:hunter2", "a line of a password file"),
        ("Authorization: Basic YXBwOmh1bnRlcjI=", "an Authorization header"),
        ('"authorization": "Bearer abc.def"', "an Authorization header"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "a private key"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "a private key"),
        ("token ghp_" + "a1B2" * 9, "an access token"),
        ("AKIA" + "ABCD" * 4, "an access token"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl", "an access token"),
        (f"SCRAM-SHA-256$4096:{'a' * 24}${'b' * 44}:{'c' * 44}", "an access token"),
    ],
)
def test_shapes_of_secrets(text: str, shape: str) -> None:
    assert shapes(text) == [shape]
    assert shapes(redact(text)) == []
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:***@db",
        "postgresql://user:password@host/database",
        "password=*** user=app",
        "password = $1 AND password = %(password)s OR password = :'password' OR password = NULL",
        "connect(password=os.environ['CRM_PASSWORD'], password=password)",
        "{'password': None, \"password\": \"\", 'password': '***'}",
        "COMMENT ON COLUMN users.password IS 'hashed'; password text NOT NULL",
        "PGPASSWORD=$CRM_PASSWORD psql",
        "Authorization: Bearer <token>",
        "2026-01-31 12:00:00 UTC",
        "fe80:1234:0:0:1:2:3:4",
        "checks.py:5432: error",
    ],
)
def test_placeholders_are_no_secrets(text: str) -> None:
    assert shapes(text) == []
