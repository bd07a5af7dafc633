"""All blocks applied by one cell: few frames, and a record that says as much of each block as one
cell a block does.
"""

from __future__ import annotations

import json

import pytest
from support.databases import Database
from support.projects import RUNBOOK, Project

from pgrunbook.planning.agenda import Agenda
from pgrunbook.records.audit_questions import answers
from pgrunbook.records.questions import Question
from pgrunbook.records.record import Record
from pgrunbook.runbooks.blocks import Block

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)

REFUSE = """
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_query() LIKE '%TABLE contacts%' THEN RAISE 'not today'; END IF;
END $$;
CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION refuse();
"""


def with_one_cell(project: Project) -> None:
    """Have one cell apply what the runbook has a cell for each of."""
    path = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    notebook = json.loads(path.read_text())
    first = next(
        cell for cell in notebook["cells"] if "".join(cell["source"]).startswith("run.apply(")
    )
    first["source"] = "run.apply_all()"
    notebook["cells"] = [
        c for c in notebook["cells"] if not "".join(c["source"]).startswith("run.apply(")
    ]
    path.write_text(json.dumps(notebook))


def test_one_cell_applies_all_blocks_and_says_how_far_it_came(
    crm: Database, project: Project
) -> None:
    with_one_cell(project)
    crm.load(REFUSE)
    done = project.run(crm)
    assert done.code == 1
    assert "not today" in done.text
    assert done.notebook
    failed = Record.read(done.notebook)
    ledger = [name for (name,) in crm.execute("SELECT block FROM pgrunbook.blocks ORDER BY id")]
    assert [block.name for block in failed.blocks if block.event] == ledger != []
    assert failed.blocks[-1].name == "040_contacts_source_data"

    crm.execute("DROP EVENT TRIGGER refuse")
    done = project.run(crm)
    assert done.code == 0, done.text
    assert done.notebook
    record = Record.read(done.notebook)
    (cell,) = {block.cell for block in record.blocks}
    outputs = next(c for c in record.notebook["cells"] if c["id"] == cell)["outputs"]
    assert len(outputs) < 16  # one, and one more for every two seconds that it takes
    assert any("<td>skip</td>" in "".join(each["data"]["text/html"]) for each in outputs)
    assert {block.action for block in record.blocks if block.name in ledger} == {"skip"}
    assert all(block.sql for block in record.blocks if block.event == "applied")
    assert crm.execute("SELECT count(DISTINCT block), count(*) FROM pgrunbook.blocks") == [(16, 16)]
    told = {answer.question: answer.text for answer in answers(record, None)}
    locks = told[Question.LOCKS]  # of which block depends on how long each took
    assert "ACCESS EXCLUSIVE on " in locks, locks
    assert any(f", in {block.name}" in locks for block in record.blocks), locks
    assert not told[Question.SQL].endswith("that was sent.")  # but that each step was timed
    html = "".join("".join(each["data"]["text/html"]) for each in outputs)
    assert "<code>040_contacts_source_data</code>" in html
    assert "ALTER TABLE contacts" in html
    changed = told[Question.CHANGED]
    assert changed.startswith("Made: table column public.contacts.source_data, "), changed
    assert "Altered: table constraint connections_source_type_check" in changed


def test_before_anything_is_decided_nothing_can_be_applied(crm: Database, project: Project) -> None:
    with_one_cell(project)
    path = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    path.write_text(path.read_text().replace("run.preconditions()", "pass"))
    before = crm.dump()
    done = project.step(crm)
    assert (done.code, crm.dump()) == (2, before)
    assert (
        "nothing is decided\n      remedy:   run the cell of the preconditions first" in done.text
    )


def test_a_block_is_decided_about_anew_if_another_has_touched_its_table(
    crm: Database, project: Project
) -> None:
    """The first lets the column accept the value, so that nothing is left to be done by the one
    which admits it.
    """
    with_one_cell(project)
    sql = project.root / "sql" / RUNBOOK
    for kind, before, after in (("deploy", "check", "accepted"), ("revert", "accepted", "check")):
        (sql / kind / "031_deals_source.sql").write_text(ACCEPTING.format(before, after))
    done = project.run(crm)
    assert done.code == 0, done.text
    admitted = (
        "SELECT event FROM pgrunbook.blocks WHERE block = '070_admit_csv_import:deals.source'"
    )
    assert crm.execute(admitted) == [("adopted",)]


ACCEPTING = """\
-- title: Let deals come from files
-- why: Another block admits the same value.

ALTER TABLE deals DROP CONSTRAINT deals_source_{}, ADD CONSTRAINT deals_source_{}
  CHECK (source IN ('hubspot', 'salesforce', 'pipedrive', 'manual', 'csv_import'));
"""


def test_a_run_that_finds_no_drift_renders_all_blocks_once(
    crm: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It decides in each cell that applies a block, and to render thousands takes seconds."""
    assert project.step(crm).code == 0
    rendered: list[int] = []

    def blocks(agenda: Agenda) -> list[Block]:
        found = all_blocks(agenda)
        rendered.append(len(found))
        return found

    all_blocks = Agenda.blocks
    monkeypatch.setattr(Agenda, "blocks", blocks)
    assert project.step(crm).code == 0
    assert rendered == [16]
