"""A secret in a record is found in whatever form it stands there, and masked; nothing else is taken
for one.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from psycopg import sql
from psycopg.conninfo import make_conninfo
from support.projects import ROOT

from pgrunbook.records import leaks
from pgrunbook.run import frames
from pgrunbook.secrets import literals, search
from pgrunbook.secrets.encodings import is_distinctive
from pgrunbook.secrets.search import Leak

KNOWN = "a password that the run knew"


# -- every form
# --------------------------------------------------------------------------------------------------


def _lower(text: str) -> str:
    encoded = quote(text, safe="")
    return "".join(
        f"%{part[:2].lower()}{part[2:]}" if n else part for n, part in enumerate(encoded.split("%"))
    )


def _split(text: str, between: str) -> str:
    return between.join([text[:3], text[3:5], text[5:]])


def _frame(text: str) -> str:
    with pd.option_context("display.max_colwidth", None):
        return pd.DataFrame({"value": [text]}).to_html()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quote": lambda text: quote(text, safe=""),
    "quote in lower case": _lower,
    "repr": repr,
    "repr in a text with the other quote": lambda text: repr(f"'{text}\""),
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "JSON in Unicode": lambda text: json.dumps([text], ensure_ascii=False, indent=1),
    "SQL": lambda text: sql.Literal(text.replace("\0", "")).as_string(),
    "conninfo": lambda text: make_conninfo(application_name=text.replace("\0", "")),
    "HTML": html.escape,
    "a frame's HTML": _frame,
    "lines": lambda text: _split(text, "\n    "),
    "colours": lambda text: _split(text, "\x1b[0;31m"),
    "a frame of ours": lambda text: frames.html(["value"], [[text]]),
    "HTML, broken anywhere": lambda text: "\n  ".join(html.escape(text)),
    "URL, broken anywhere": lambda text: "<wbr>".join(quote(text, safe="")),
    "repr, coloured anywhere": lambda text: "\x1b[0;31m".join(repr(text)),
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
    "select 1 from x",
    "x9'" * 30,
    "hunter22hunter22",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_awkward_passwords(encoding: str) -> None:
    for password in AWKWARD:
        text = ENCODINGS[encoding](password)
        assert search.search_text(f"before {text} after", [password], "here"), password


def _notebook() -> NotebookNode:
    outputs = [
        new_output("stream", text="0 rows\n"),
        new_output(
            "display_data",
            {"text/html": "<p>", "application/json": {"rows": [["a", "b"], ["c", 7]]}},
        ),
        new_output("error", ename="Error", evalue="no", traceback=["line 1", "line 2"]),
    ]
    cells = [
        new_markdown_cell("# Title", id="title", attachments={"a.txt": {"text/plain": "text"}}),
        new_code_cell(
            "print()", id="verify", outputs=outputs, metadata={"tags": ["a"], "papermill": {"n": 1}}
        ),
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
PASSWORDS = st.text(CHARACTERS, min_size=8) | st.text(
    st.sampled_from("aZ0 %'\"\\&;/+:@$\n\té€"), min_size=8
)
CONTEXTS = st.text(CHARACTERS, max_size=9) | st.text(
    st.sampled_from("aZ0 %'\"\\&;/+*\n\x1b["), max_size=9
)


# Each makes regular expressions of its own. The same ones each time: of a form that is cut in the
# middle of an entity it is known that it is not found.
@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    PASSWORDS.filter(is_distinctive),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from([*PLACES]),
    st.data(),
)
def test_found_anywhere_and_gone_when_masked(
    password: str,
    encoding: str,
    place: Callable[[NotebookNode, str], None],
    data: st.DataObject,
) -> None:
    if encoding in ("SQL", "conninfo"):
        password = password.replace("\0", "0")  # which PostgreSQL cannot hold
    text = ENCODINGS[encoding](password)
    notebook = _notebook()
    place(notebook, f"{data.draw(CONTEXTS)}{text}{data.draw(CONTEXTS)}")
    found = leaks.search(notebook, [password])
    assert Leak(PLACES[place], KNOWN) in found
    assert {leak.where for leak in found} == {PLACES[place]}
    leaks.mask(notebook, [password])
    assert leaks.search(notebook, [password]) == []
    nbformat.validate(notebook)
    written = json.dumps(notebook, ensure_ascii=False)
    assert password not in written
    assert text not in written


# -- what it looks like masked
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user hunter22 said", "user *** said"),
        ("hunter22hunter22", "******"),
        ("hun\n  ter22!", "***!"),
        ("url: postgresql://app:other@db", "url: postgresql://app:***@db"),
    ],
)
def test_masked(text: str, expected: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(text)])
    leaks.mask(notebook, ["hunter22"])
    assert notebook.cells[0].source == expected


def test_what_holds_no_secret_stays_as_it_is() -> None:
    notebook = _notebook()
    leaks.mask(notebook, ["hunter2"])
    assert notebook == _notebook()


def test_numbers_keys_and_ids() -> None:
    notebook = new_notebook(cells=[new_code_cell("", id="hunter22")])
    notebook.cells[0].metadata = {
        "hunter22": 1,
        "12345678": 2,
        "number": 12345678,
        "password": "other",
    }
    secrets = ["hunter22", "12345678"]
    assert leaks.search(notebook, secrets) == [
        Leak("cell 1, id", KNOWN),
        Leak("cell 1, metadata", KNOWN),
        Leak("cell 1, metadata", "a password in a mapping"),
    ]
    leaks.mask(notebook, secrets)
    assert notebook.cells[0].metadata == {"***": 1, "*** #2": 2, "number": "***", "password": "***"}
    assert leaks.search(notebook, secrets) == []
    nbformat.validate(notebook)


@pytest.mark.parametrize("password", ["a secret ***", "withheld:", "*** with", "********"])
def test_the_note_does_not_repeat_the_password(password: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(f"{quote(password)} *** {password}")])
    leaks.mask(notebook, [password])
    assert leaks.search(notebook, [password]) == []


def test_a_short_password_is_found_only_where_it_looks_like_one() -> None:
    shape = Leak("log", "a password in a connection string")
    assert search.search_text("abc, password=abc", ["abc"], "log") == [Leak("log", KNOWN), shape]
    assert search.search_text("abc, password=xyz", ["abc"], "log") == [shape]
    assert search.search_text("abc", ["abc"], "log") == []
    assert search.search_text("abcdef-7", ["abcdef-7"], "log") == [Leak("log", KNOWN)]


@pytest.mark.parametrize(
    "word", ["root", "public", "wrong", "migration", "Administrator", "POSTGRESQL", "x9y8z7w"]
)
def test_an_ordinary_word_is_found_only_where_it_stands_as_a_password(word: str) -> None:
    assert search.search_text(f"the role {word} is wrong; {word}", [word], "log") == []
    for text in (
        f"postgresql://app:{word}@db",
        f"PGPASSWORD={word}",
        f"PASSWORD '{word}'",
        f"db:5432:a:b:{word}",
    ):
        assert Leak("log", KNOWN) in search.search_text(text, [word], "log")


# -- no false alarm, and no long wait
# ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "sql").rglob("*.sql"), *(ROOT / "src").rglob("*.sql")]),
    ids=lambda path: path.name,
)
def test_sql_holds_no_secret(path: Path) -> None:
    assert search.search_text(path.read_text(), ["hunter2", "correct horse"], path.name) == []


def test_a_leak_does_not_show_the_secret() -> None:
    notebook: Any = _notebook()
    for place in PLACES:
        place(notebook, "hunter2")
    assert "hunter2" not in repr(leaks.search(notebook, ["hunter2"]))


def test_of_a_password_that_is_a_name_in_the_database_it_is_said_what_helps() -> None:
    (shown,) = search.problems([Leak("cell `plan`, output 1", KNOWN)])
    (written,) = literals.problems("ALTER TABLE t OWNER TO app_owner", "a.sql", ["app_owner"])
    for problem in (shown, written):
        assert problem.remedy.endswith("change the password, with \\password in psql")
