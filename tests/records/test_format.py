"""The format of records: what each version has written is read for years, and what a later one
writes is told apart.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support.databases import Database
from support.projects import ROOT, Project

from pgrunbook.errors import Verdict
from pgrunbook.records.audit_questions import UNREADABLE, answers
from pgrunbook.records.format import bundles, parts
from pgrunbook.records.format.bundles import NewerFormat
from pgrunbook.records.format.mime_types import MIME_TYPES, PROBLEMS_MIME, VERDICT_MIME
from pgrunbook.records.format.parts import Card, Decided, Kind, Part
from pgrunbook.records.how_it_ended import final_ending, find_ending
from pgrunbook.records.record import Record

HERE = Path(__file__).parent
# Archives that version 0 of the format has: of the tool 0.1, and the last before version 1.
ARCHIVES = [HERE / "of_0_1" / "archive", HERE / "of_version_0" / "archive"]
NOTEBOOKS = [path for root in ARCHIVES for path in sorted(root.rglob("*.ipynb"))]
REHEARSED, PASSED, REFUSED, FAILED = NOTEBOOKS[-4:]


@pytest.fixture(params=ARCHIVES, ids=lambda root: root.parent.name)
def archive(request: pytest.FixtureRequest, project: Project) -> Path:
    """An archive of version 0, in a project of the test's own."""
    shutil.copytree(request.param, project.root / "outputs")
    return project.root / "outputs"


def test_an_archive_of_version_0_is_unchanged(project: Project, archive: Path) -> None:
    count = len(list(archive.rglob("*.ipynb")))
    done = project.command("archive", "verify")
    assert (done.code, f"unchanged: {count} sealed" in done.text) == (0, True), done.text
    record = next(archive.rglob("*.ipynb"))
    record.write_bytes(record.read_bytes() + b" ")
    assert project.command("archive", "verify").code == 1


def test_its_pages_and_their_difference(project: Project, archive: Path) -> None:
    records = sorted(archive.rglob("*.ipynb"))
    made = project.command("archive", "site")
    assert f"{len(records)} records, {len(records)} pages made" in made.text
    for page in archive.glob("site/*/*/*.html"):
        assert UNREADABLE not in page.read_text()
    reached = [path for path in records if Record.read(path).identity]
    assert project.command("archive", "diff", *reached[:2]).code in (0, 1)


@pytest.mark.parametrize("server", [18], indirect=True)
def test_the_ledger_of_0_1_is_read_as_it_is(project: Project, crm: Database) -> None:
    crm.psql("--file", HERE / "of_0_1" / "ledger.sql")
    project.env["CRM_URL"] = crm.url
    done = project.command("status", "001", "--target", "env:CRM_URL")
    assert done.code == 0, done.text
    assert "pending" not in done.text
    assert "applied" in done.text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_answer_is_read_in_a_record_of_version_0(notebook: Path) -> None:
    told = {answer.question: answer.text for answer in answers(Record.read(notebook), None)}
    assert UNREADABLE not in told.values()


def test_facts_of_version_0_are_read_under_their_keys_of_today() -> None:
    record = Record.read(PASSED)
    known = record.identity
    assert (known["database"], known["server_version"], known["recovery"]) == (
        "crm",
        "18.4",
        "primary",
    )
    assert (known["role"], known["superuser"], known["read_only"]) == ("postgres", True, False)
    assert known["system_identifier"].isdigit()
    assert re.fullmatch(r"2026-11-28T\d\d:\d\d:\d\d\+00:00", known["started_at"])
    assert known["versions"].keys() == {"pgrunbook", "psycopg", "pglast", "papermill", "Python"}
    card = record.card
    assert (card["target"], card["database"], card["schema"]) == ("env:CRM_URL", "crm", "public")
    assert card["ended_at"] >= known["started_at"]
    assert card["run"] == known["run"] == record.noted["run_id"]
    assert [block.in_transaction for block in record.blocks] == [True, False]
    assert Record.read(REHEARSED).identity["rehearsed_on"].startswith("a copy of the schema")
    assert Record.read(REHEARSED).identity["ticket"] == ""
    assert Record.read(REHEARSED).last(Kind.HAZARDS) is None
    (squawked,) = [rows for path in NOTEBOOKS if (rows := Record.read(path).rows(Kind.SQUAWK))]
    assert squawked[0].keys() == {*Kind.SQUAWK.columns}
    assert [block.name for block in Record.read(FAILED).blocks] == ["010_places", "020_places_note"]


@pytest.mark.parametrize(
    ("notebook", "verdict", "where"),
    [
        (REFUSED, Verdict.REFUSED, "schema nowhere"),
        (FAILED, Verdict.FAILED, "verify/020_places_note.sql:7"),
    ],
)
def test_what_was_wrong_is_read_once(notebook: Path, verdict: Verdict, where: str) -> None:
    """IPython asks an error twice for its text, so a notebook has its problems twice."""
    ending = final_ending(nbformat.read(notebook, as_version=4).cells)
    assert (ending.verdict, [problem.where for problem in ending.problems]) == (verdict, [where])


def test_a_long_lock_and_a_remark_of_the_ledger_in_version_0() -> None:
    said = {
        "verdict": "failed",
        "reason": "it failed",
        "ACCESS EXCLUSIVE longer than 150ms": "deals for 200 ms in 030_deals",
        "the verdict in the ledger": "is not there: no space",
    }
    (card,) = bundles.parts({VERDICT_MIME: said}, Card)
    assert (card.lock_timeout, card.long_locks) == ("150ms", "deals for 200 ms in 030_deals")
    assert card.ledger_remark == "is not there: no space"


# -- what is written is read as it was
# ---------------------------------------------------------------------------------------------------

DECIDED = [
    Decided(block=name, title="T", action="skip", reason="r", sql="", source_sha256="5a")
    for name in ("010_a", "020_b")
]


def test_each_part_is_read_as_it_was_written() -> None:
    assert bundles.parts(bundles.bundle(DECIDED[0]), Decided) == DECIDED[:1]
    assert bundles.parts(bundles.bundle_many(DECIDED), Decided) == DECIDED
    assert bundles.bundle_many([]) == {}
    assert bundles.parts({"text/plain": "x"}, Decided) == []


def test_a_key_that_was_added_later_is_left_out() -> None:
    data = bundles.bundle(DECIDED[0])
    data[MIME_TYPES[Decided]]["added"] = 1
    assert bundles.parts(data, Decided) == DECIDED[:1]


# -- a later version
# ---------------------------------------------------------------------------------------------------


def later(notebook: Path) -> Iterator[dict[str, Any]]:
    """The notebook as a later version has written it, each time in one place alone."""
    read = json.loads(notebook.read_text())
    read["metadata"]["pgrunbook"]["version"] = bundles.VERSION + 1
    yield read
    read = json.loads(notebook.read_text())
    for cell in read["cells"]:
        for output in cell.get("outputs", ()):
            if VERDICT_MIME in output.get("data", {}):
                output["data"][VERDICT_MIME]["version"] = bundles.VERSION + 1
    yield read


@pytest.mark.parametrize("number", [0, 1])
def test_a_record_of_a_later_version_is_told_apart(project: Project, number: int) -> None:
    """Whoever names it is told why and what to do; whoever reads many leaves it out."""
    outputs = project.root / "outputs"
    shutil.copytree(ARCHIVES[1], outputs)
    known = outputs / PASSED.relative_to(ARCHIVES[1])
    newer = known.with_name("newer.ipynb")
    newer.write_text(json.dumps(list(later(PASSED))[number]))
    for command in (["archive", "diff", str(known), str(newer)], ["archive", "seal", str(newer)]):
        done = project.command(*command)
        assert done.code == 2, done.text
        assert "newer.ipynb: is of a newer format" in done.text
        assert "remedy:   upgrade pgrunbook" in done.text
        assert "Traceback" not in done.text
    assert "5 records, 5 pages made" in project.command("archive", "site").text
    page = (outputs / "site" / newer.relative_to(outputs)).with_suffix(".html").read_text()
    assert "This record cannot be read" in page
    assert "is of a newer format" in page


def test_a_verdict_that_cannot_be_read_has_not_passed() -> None:
    for odd in ({"version": bundles.VERSION + 1}, {"verdict": "splendid"}, [], "x"):
        output = nbformat.v4.new_output("display_data", {VERDICT_MIME: odd})
        ending = find_ending([nbformat.v4.new_code_cell(outputs=[output])])
        assert ending
        assert ending.verdict is Verdict.FAILED
        assert "cannot be read" in ending.reason


@pytest.mark.parametrize("odd", [[1], {"problems": "x"}, {"version": bundles.VERSION + 1}])
def test_problems_that_cannot_be_read_cost_nothing_else(odd: Any) -> None:
    shown = nbformat.v4.new_output("display_data", {PROBLEMS_MIME: odd})
    error = nbformat.v4.new_output("error", ename="Failed", evalue="It failed.", traceback=[])
    ending = find_ending([nbformat.v4.new_code_cell(outputs=[shown, error])])
    assert ending
    assert (ending.reason, ending.problems) == ("It failed.", ())


def test_a_version_that_is_no_number_is_no_version() -> None:
    with pytest.raises(ValueError, match="not a number"):
        bundles.parts({VERDICT_MIME: {"version": "2", "verdict": "passed"}}, Card)
    with pytest.raises(NewerFormat):
        bundles.snapshots({"version": 99}, "x.snapshots.json")


# -- what the page says of it
# ---------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "record-format.md").read_text()


def listed(heading: str) -> Mapping[str, list[str]]:
    """The rows of the page's table below a heading: what is in backticks, by the first of it."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [re.findall(r"`([^`]+)`", line) for line in section.splitlines() if line[:3] == "| `"]
    return {row[0]: row[1:] for row in rows}


def test_the_page_has_every_key() -> None:
    kinds: dict[str, type[Part]] = {mime: kind for kind, mime in MIME_TYPES.items()}
    told = listed("What an output says")
    assert told.keys() == kinds.keys()
    for mime, keys in told.items():
        assert keys == keys_of(kinds[mime]), mime
    assert listed("The card of the target").keys() == set(keys_of(parts.IdentityCard))
    assert listed("The notebook's metadata").keys() == {"version", *keys_of(parts.Noted)}


def keys_of(kind: type[Part]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def test_the_page_has_every_kind_of_frame() -> None:
    assert listed("Frames") == {kind.value: list(kind.columns) for kind in Kind}


def test_nothing_that_is_read_is_changed_by_reading_it() -> None:
    read = json.loads(PASSED.read_text())
    before = copy.deepcopy(read)
    assert Record(read).blocks
    assert Record(read).snapshots()
    assert read == before
