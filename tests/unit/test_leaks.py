"""A secret in a record is found in whatever form it stands there, and masked; nothing else is taken for one."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import nbformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from projects import ROOT
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgrunbook import leaks
from pgrunbook.leaks import Leak
from pgrunbook.targets import Target

KNOWN = "a password that the run knew"


# -- every form ------------------------------------------------------------------------------------------------------


def _lower(text: str) -> str:
    encoded = quote(text, safe="")
    return "".join(f"%{part[:2].lower()}{part[2:]}" if n else part for n, part in enumerate(encoded.split("%")))


def _split(text: str, between: str) -> str:
    return between.join([text[:3], text[3:5], text[5:]])


def _frame(text: str) -> str:
    with pd.option_context("display.max_colwidth", None):
        return pd.DataFrame({"value": [text]}).to_html()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quote": lambda text: quote(text, safe=""),
    "quote in lower case": _lower,
    "quote_plus": quote_plus,
    "repr": repr,
    "repr in a text with the other quote": lambda text: repr(f"'{text}\""),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "JSON in Unicode": lambda text: json.dumps([text], ensure_ascii=False, indent=1),
    "SQL": lambda text: sql.Literal(text.replace("\0", "")).as_string(),
    "conninfo": lambda text: make_conninfo(application_name=text.replace("\0", "")),
    "HTML": html.escape,
    "a frame's HTML": _frame,
    "lines": lambda text: _split(text, "\n    "),
    "colours": lambda text: _split(text, "\x1b[0;31m"),
    "a list's elements": lambda text: str([text[:4], text[4:]]),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 in lines": lambda text: base64.encodebytes(f"somebody:{text}".encode()).decode(),
    "Base64 with the user": lambda text: base64.urlsafe_b64encode(f"app:{text}".encode()).decode(),
}

AWKWARD = [
    'it\'s "quoted"',
    "'''''''''\"x",
    "back\\slash\\\\n",
    "\\" * 30 + "x",
    "  in the  midst of space ",
    "100%41%%25",
    "p@ss:w/rd?a=b&c#d",
    "schön-€-😀-пароль",
    "first\nsecond\r\n\tthird",
    "$HOME$1${x}",
    "&amp;<b>'&#39;",
    "1234567890",
    "select",
    "x9'" * 30,
    "hunter2hunter2",
]


# Cut within an escape, a list's elements cannot be told from a secret with quotes and commas of its own.
SECOND = sorted({*ENCODINGS} - {"a list's elements"})


@pytest.mark.parametrize("first", ENCODINGS)
def test_two_encodings_of_awkward_passwords(first: str) -> None:
    """Each second one with some of the passwords, so that each of those meets many pairs."""
    for number, second in enumerate(SECOND):
        for password in AWKWARD[(number + len(first)) % 8 :: 8]:
            text = ENCODINGS[second](ENCODINGS[first](password))
            assert leaks.search_text(f"before {text} after", [password], "here"), (second, password)


def _notebook() -> NotebookNode:
    outputs = [
        new_output("stream", text="0 rows\n"),
        new_output("display_data", {"text/html": "<p>", "application/json": {"rows": [["a", "b"], ["c", 7]]}}),
        new_output("error", ename="Error", evalue="no", traceback=["line 1", "line 2"]),
    ]
    cells = [
        new_markdown_cell("# Title", id="title", attachments={"a.txt": {"text/plain": "text"}}),
        new_code_cell("print()", id="verify", outputs=outputs, metadata={"tags": ["a"], "papermill": {"n": 1}}),
    ]
    return new_notebook(cells=cells, metadata={"papermill": {"parameters": {"ticket": "CRM-7"}}})


def _in_source(nb: NotebookNode, text: str) -> None:
    nb.cells[1].source = text


def _in_a_stream(nb: NotebookNode, text: str) -> None:
    nb.cells[1].outputs[0].text += text


def _in_a_mime_type(nb: NotebookNode, text: str) -> None:
    nb.cells[1].outputs[1].data["text/html"] += text


def _in_json(nb: NotebookNode, text: str) -> None:
    nb.cells[1].outputs[1].data["application/json"]["rows"][0][1] = text


def _in_a_key_of_json(nb: NotebookNode, text: str) -> None:
    nb.cells[1].outputs[1].data["application/json"][text] = None


def _in_an_error(nb: NotebookNode, text: str) -> None:
    nb.cells[1].outputs[2].evalue = text


def _over_a_traceback(nb: NotebookNode, text: str) -> None:
    nb.cells[1].outputs[2].traceback = ["at", text[:3], text[3:], "end"]


def _in_an_attachment(nb: NotebookNode, text: str) -> None:
    nb.cells[0].attachments["a.txt"]["text/plain"] = text


def _in_a_cells_metadata(nb: NotebookNode, text: str) -> None:
    nb.cells[1].metadata.papermill[text] = 1


def _in_a_parameter(nb: NotebookNode, text: str) -> None:
    nb.metadata.papermill.parameters.ticket = text


PLACES = {
    _in_source: "cell `verify`, source",
    _in_a_stream: "cell `verify`, output 1",
    _in_a_mime_type: "cell `verify`, output 2",
    _in_json: "cell `verify`, output 2",
    _in_a_key_of_json: "cell `verify`, output 2",
    _in_an_error: "cell `verify`, output 3",
    _over_a_traceback: "cell `verify`, output 3",
    _in_an_attachment: "cell `title`, attachments",
    _in_a_cells_metadata: "cell `verify`, metadata",
    _in_a_parameter: "metadata",
}

CHARACTERS = st.characters(exclude_categories=["Cs"])
PASSWORDS = st.text(CHARACTERS, min_size=6) | st.text(st.sampled_from("aZ0 %'\"\\&;/+:@$\n\té€"), min_size=6)
CONTEXTS = st.text(CHARACTERS, max_size=9) | st.text(st.sampled_from("aZ0 %'\"\\&;/+*\n\x1b["), max_size=9)
# Cut within an escape, a list's elements cannot be told from a secret with quotes and commas of its own.
CHAINS = st.just(["a list's elements"]) | st.lists(
    st.sampled_from(sorted({*ENCODINGS} - {"a list's elements"})), min_size=1, max_size=2
)


@settings(deadline=None, max_examples=12)  # each makes regular expressions of its own
@given(PASSWORDS.filter(lambda text: len("".join(text.split())) > 5), CHAINS, st.sampled_from([*PLACES]), st.data())
def test_found_anywhere_and_gone_when_masked(
    password: str, chain: tuple[str, ...], place: Callable[[NotebookNode, str], None], data: st.DataObject
) -> None:
    if {"SQL", "conninfo"} & {*chain}:
        password = password.replace("\0", "0")  # which PostgreSQL cannot hold
    text = password
    for name in chain:
        text = ENCODINGS[name](text)
    # What stands directly before Base64 may be read as a part of it.
    apart = " " if any("Base64" in name for name in chain) else ""
    notebook = _notebook()
    place(notebook, f"{data.draw(CONTEXTS)}{apart}{text}{apart}{data.draw(CONTEXTS)}")
    found = leaks.search(notebook, [password])
    assert Leak(PLACES[place], KNOWN) in found
    assert {leak.where for leak in found} == {PLACES[place]}
    leaks.mask(notebook, [password])
    assert leaks.search(notebook, [password]) == []
    nbformat.validate(notebook)
    written = json.dumps(notebook, ensure_ascii=False)
    assert password not in written
    assert text not in written


# -- what it looks like masked ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user hunter2 said", "user *** said"),
        ("hunter2hunter2", "******"),
        ("hun\n  ter2!", "***!"),
        ("url: postgresql://app:other@db", "url: postgresql://app:***@db"),
        (f"x {base64.b64encode(b'hunter2').decode()} y", leaks.WITHHELD),
    ],
)
def test_masked(text: str, expected: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(text)])
    leaks.mask(notebook, ["hunter2"])
    assert notebook.cells[0].source == expected


def test_what_holds_no_secret_stays_as_it_is() -> None:
    notebook = _notebook()
    leaks.mask(notebook, ["hunter2"])
    assert notebook == _notebook()


def test_numbers_keys_and_ids() -> None:
    notebook = new_notebook(cells=[new_code_cell("", id="hunter2")])
    notebook.cells[0].metadata = {"hunter2": 1, "12345678": 2, "number": 12345678, "password": "other"}
    secrets = ["hunter2", "12345678"]
    assert leaks.search(notebook, secrets) == [
        Leak("cell 1, id", KNOWN),
        Leak("cell 1, metadata", KNOWN),
        Leak("cell 1, metadata", "a password in a mapping"),
    ]
    leaks.mask(notebook, secrets)
    assert notebook.cells[0].metadata == {"***": 1, "*** #2": 2, "number": "***", "password": "***"}
    assert leaks.search(notebook, secrets) == []
    nbformat.validate(notebook)


@pytest.mark.parametrize("password", ["secret", "withheld", "******"])
def test_the_note_does_not_repeat_the_password(password: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(f"{base64.b64encode(password.encode()).decode()} *** {password}")])
    leaks.mask(notebook, [password])
    assert leaks.search(notebook, [password]) == []


def test_a_short_password_is_found_only_where_it_looks_like_one() -> None:
    assert leaks.search_text("abc, password=abc", ["abc"], "log") == [Leak("log", "a password in a connection string")]
    assert leaks.search_text("abc", ["abc"], "log") == []
    assert leaks.search_text("abcd", ["abcd"], "log") == [Leak("log", KNOWN)]


# -- no false alarm, and no long wait ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "sql").rglob("*.sql"), *(ROOT / "src").rglob("*.sql")]), ids=lambda path: path.name
)
def test_sql_holds_no_secret(path: Path) -> None:
    assert leaks.search_text(path.read_text(), ["hunter2", "correct horse"], path.name) == []


# -- what a run knows --------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGUSER", "PGDATABASE", "PGHOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path / "system"))
    return tmp_path


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://app:p%40ss%2Fw@db/crm?sslpassword=k%20y", ("p@ss/w", "k y")),
        ("host=db user=app password='it\\'s' oauth_client_secret=client", ("it's", "client")),
        ("postgresql://app@db/crm", ()),
        ("no conninfo", ()),
    ],
)
def test_credentials_of_a_connection_string(conninfo: str, expected: tuple[str, ...]) -> None:
    assert leaks.credentials(Target("env:CRM_URL", conninfo)) == expected


def test_credentials_of_the_environment_and_of_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".pgpass").write_text("# h:1:d:u:comment\n*:*:*:app:a\\:b\\\\c\nshort:line\nh:5432:d:u:plain:rest\n")
    (home / ".pg_service.conf").write_text("[other]\npassword=another\n[staging]\n  host=db\n  password=from=service\n")
    monkeypatch.setenv("PGPASSWORD", "from-environment")
    target = Target("staging", "service=staging")
    assert leaks.credentials(target) == ("from=service", "from-environment", "a:b\\c", "plain")


def test_files_that_are_named_come_before_those_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".pgpass").write_text("*:*:*:*:at-home\n")
    (home / "named").write_text("*:*:*:*:by-variable\n")
    (home / "given").write_text("*:*:*:*:by-conninfo\n")
    (home / "system").mkdir()
    (home / "system" / "pg_service.conf").write_text("[everywhere]\nsslpassword=of-the-system\n")
    assert leaks.credentials(Target("t", "host=db")) == ("at-home",)
    monkeypatch.setenv("PGPASSFILE", str(home / "named"))
    assert leaks.credentials(Target("t", "host=db")) == ("by-variable",)
    given = Target("t", f"service=everywhere passfile={home / 'given'}")
    assert leaks.credentials(given) == ("of-the-system", "by-conninfo")


@pytest.mark.parametrize("name", [".pgpass", ".pg_service.conf"])
def test_files_that_cannot_be_read_are_left_out(home: Path, name: str) -> None:
    (home / name).mkdir()
    assert leaks.credentials(Target("t", "service=x password=hunter2")) == ("hunter2",)


def test_what_every_record_shows_is_no_secret() -> None:
    for password in ("app", "crm", "db.example", "5432", "postgres", "staging"):
        conninfo = make_conninfo(user="app", dbname="crm_live", host="db.example.org", port="5432", password=password)
        assert leaks.credentials(Target("staging", conninfo)) == ()


def test_a_leak_does_not_show_the_secret() -> None:
    notebook: Any = _notebook()
    for place in PLACES:
        place(notebook, "hunter2")
    assert "hunter2" not in repr(leaks.search(notebook, ["hunter2"]))
