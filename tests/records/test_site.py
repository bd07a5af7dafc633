"""The reviewer's pages of notebooks that are odd, or not ours: one of them costs no other its page,
and none loads anything.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pgrunbook.records.archive import Archive
from pgrunbook.records.format.mime_types import FRAME_MIME, PROBLEMS_MIME, VERDICT_MIME
from pgrunbook.records.naming import SEAL
from pgrunbook.records.site import Site


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "text", "metadata": {}, "source": source}


def output(**data: Any) -> dict[str, Any]:
    outputs = [
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {k.replace("_", "/"): v for k, v in data.items()},
        }
    ]
    return {"cell_type": "code", "id": "code", "metadata": {}, "source": "1", "outputs": outputs}


def code(name: str, state: str) -> dict[str, Any]:
    metadata = {"papermill": {"status": state}}
    return {"cell_type": "code", "id": name, "metadata": metadata, "source": "1", "outputs": []}


def notebook(*cells: dict[str, Any]) -> str:
    noted = {"verdict": "passed", "reason": "done"}
    return json.dumps(
        {"cells": cells, "metadata": {"pgrunbook": noted}, "nbformat": 4, "nbformat_minor": 5}
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "outputs" / "crm" / "001_x").mkdir(parents=True)
    return Site(Archive(tmp_path / "outputs"))


def page(site: Site, text: str, name: str = "run") -> str:
    """The page of an executed notebook with this text."""
    (site.archive.root / "crm" / "001_x" / f"{name}.ipynb").write_text(text)
    site.build()
    return (site.root / "crm" / "001_x" / f"{name}.html").read_text()


def refused(*problems: dict[str, str], **noted: str) -> str:
    """An executed notebook that ended with these problems."""
    failed = output(**{PROBLEMS_MIME: problems})
    raised = {"output_type": "error", "ename": "Refused", "evalue": "Not ready.\n  of somebody"}
    failed["outputs"].append(raised | {"traceback": []})
    metadata = {"pgrunbook": {"verdict": "refused", "reason": "Not ready.", **noted}}
    return json.dumps({"cells": [failed], "metadata": metadata})


def test_a_run_that_did_not_pass_says_at_its_top_what_is_wrong(site: Site) -> None:
    problem = {
        "what": "the column is missing",
        "where": "deals.<source_id>",
        "expected": "a column",
        "found": "none\x1b[2J",
        "remedy": "add it",
    }
    made = page(site, refused(problem, problem | {"where": "contacts"}))
    top = made.partition("Thirteen answers")[0]
    assert "2 problems" in top
    assert "<strong>deals.&lt;source_id&gt;</strong>: the column is missing" in top
    for each in ("<dt>expected</dt><dd>a column", "<dd>none\\x1b[2J", "<dd>add it"):
        assert each in top, each
    assert 'href="#cell-code"' in top
    index = (site.root / "index.html").read_text()
    said = "Not ready. deals.&lt;source_id&gt;: the column is missing. And 1 more problem."
    assert f'<td class="reason">{said}</td>' in index


def test_of_many_problems_the_index_has_one_and_the_page_all(site: Site) -> None:
    many = [{"what": f"{n}: {'long ' * 99}"} for n in range(12)]
    made = page(site, refused(*many))
    assert "<details><summary>All 12</summary>" in made
    assert made.partition("Thirteen answers")[0].count('class="problem"') == 12
    index = (site.root / "index.html").read_text()
    assert " … And 11 more problems.</td>" in index
    assert "1: long" not in index


def test_an_error_without_problems_is_shown_as_it_is(site: Site) -> None:
    assert "<pre>Not ready.\n  of somebody</pre>" in page(site, refused())


def test_of_a_run_that_passed_nothing_is_wrong(site: Site) -> None:
    """Somebody has run a cell again, and what it had shown the first time is still there."""
    made = page(site, refused({"what": "was wrong"}, verdict="passed"))
    assert "was wrong" not in made.partition("Thirteen answers")[0]


OLD = {FRAME_MIME: {"kind": "identity", "columns": ["other"], "rows": [["words"]]}}


@pytest.mark.parametrize(
    "text",
    [
        notebook()[:40],
        "[]",
        '{"cells": [{}]}',
        '{"cells": [1]}',
        notebook(
            {
                "cell_type": "code",
                "source": "1",
                "outputs": [{"output_type": "display_data", "data": OLD}],
            }
        ),
    ],
)
def test_a_notebook_that_cannot_be_read_costs_no_other_its_page(site: Site, text: str) -> None:
    page(site, notebook(markdown("all is well")), name="good")
    assert "This record cannot be read" in page(site, text, name="bad")
    assert "all is well" in (site.root / "crm" / "001_x" / "good.html").read_text()
    index = (site.root / "index.html").read_text()
    assert index.count('<tr data-target="crm"') == 2
    assert '<span class="verdict unknown">' in index


@pytest.mark.parametrize(
    "cell",
    [
        markdown("![chart](https://example.com/a.png) <img src=https://example.com/b.png>"),
        markdown("[all](javascript:alert(1)) <script>alert(1)</script>"),
        output(
            text_html="<img src=https://example.com/a.png><iframe "
            "src=https://example.com/></iframe>"
        ),
        output(
            text_html="<table onclick=alert(1)><tr><td>1</td></tr></table><script>alert(1)</script>"
        ),
    ],
)
def test_nothing_in_a_notebook_runs_or_loads_anything(site: Site, cell: dict[str, Any]) -> None:
    made = page(site, notebook(cell))
    for each in ("<img", "<iframe", "<script", "<svg", "<table onclick", 'href="javascript'):
        assert each not in made, each


def test_an_svg_is_shown_as_an_image_in_which_nothing_runs(site: Site) -> None:
    svg = "<svg onload=alert(1)><title>a chart</title><script>alert(1)</script></svg>"
    made = page(site, notebook(output(**{"image_svg+xml": svg})))
    assert '<img alt="a chart" src="data:image/svg+xml;base64,' in made
    for each in ("<script", "<svg", "onload"):
        assert each not in made, each


def test_a_record_whose_runner_was_killed_is_called_what_its_seal_says(site: Site) -> None:
    cells = [code("one", "completed"), code("two", "running"), code("three", "pending")]
    text = json.dumps({"cells": cells, "metadata": {"papermill": {"end_time": None}}})
    at_work = page(site, text)
    assert (
        '<span class="verdict unknown">unknown</span> its run has not ended, or its runner was '
        "killed" in at_work
    )
    site.archive.seal(site.archive.root / "crm" / "001_x" / "run.ipynb", {}, {}, None)
    killed = page(site, text)
    assert (
        '<span class="verdict interrupted">interrupted</span> whoever ran it was killed' in killed
    )
    assert '<span class="verdict interrupted">' in (site.root / "index.html").read_text()


@pytest.mark.parametrize(
    ("ending", "answer"),
    [
        (
            ".ipynb",
            "It was changed since it was sealed as number 1 of the archive: crm/001_x/run.ipynb.",
        ),
        (SEAL, "Its seal cannot be read: crm/001_x/run.dsse.json."),
    ],
)
def test_a_record_that_was_changed_is_nowhere_called_as_it_was_sealed(
    site: Site, ending: str, answer: str
) -> None:
    page(site, notebook())
    path = site.archive.root / "crm" / "001_x" / "run.ipynb"
    site.archive.seal(path, {}, {}, None)
    assert "Sealed as number 1 of the archive, not signed." in page(site, notebook())
    path.with_name(f"run{ending}").write_text(notebook(markdown("changed")))
    site.build(anew=True)
    read = (site.root / "crm" / "001_x" / "run.html").read_text()
    assert answer in read
    assert "Sealed as number" not in read
    assert "cannot be told" not in read
    assert "is not sealed" not in read


def test_the_seal_of_another_record_vouches_for_no_page(site: Site) -> None:
    folder = site.archive.root / "crm" / "001_x"
    for name in ("one", "two"):
        page(site, notebook(), name=name)
        site.archive.seal(folder / f"{name}.ipynb", {}, {}, None)
    shutil.copy(folder / "two.dsse.json", folder / "one.dsse.json")
    (folder / "one.ipynb").write_text(notebook(markdown("changed")))
    site.build(anew=True)
    read = (site.root / "crm" / "001_x" / "one.html").read_text()
    assert "crm/001_x/one.ipynb. Do not rely on this page." in read
    assert "Do not rely" not in (site.root / "crm" / "001_x" / "two.html").read_text()


@pytest.mark.parametrize(
    ("given", "runbook"), [({"input_path": "002_y.ipynb"}, "002_y"), ({}, "001_x")]
)
def test_the_runbook_is_the_one_that_the_record_names_or_the_folder(
    site: Site, given: dict[str, str], runbook: str
) -> None:
    text = json.dumps({"cells": [], "metadata": {"papermill": given}})
    assert f"<h1>{runbook}</h1>" in page(site, text)
    assert f'data-runbook="{runbook}"' in (site.root / "index.html").read_text()


def test_the_target_is_the_one_that_the_record_names_or_the_folder(site: Site) -> None:
    """papermill may have written it anywhere below outputs/, and been given none: then it is the
    runbook's own.
    """
    card = output(
        **{VERDICT_MIME: {"verdict": "passed", "reason": "", "target": "env:X: crm, schema public"}}
    )
    for cells, target in (((card,), "env:X"), ((), "not known")):
        (site.archive.root / "run.ipynb").write_text(notebook(*cells))
        site.build(anew=True)
        assert f'data-target="{target}"' in (site.root / "index.html").read_text()
    page(site, notebook(), name="below")
    assert 'data-target="crm"' in (site.root / "index.html").read_text()


def test_styles_of_a_cell_do_not_leak(site: Site) -> None:
    assert "display:none" not in page(
        site, notebook(output(text_html="<STYLE>body{display:none}</style ><p>1</p>"))
    )


def test_a_link_leads_to_its_page_whatever_the_file_is_called(site: Site) -> None:
    page(site, notebook(), name="50%_a#1?")
    assert 'href="crm/001_x/50%25_a%231%3F.html"' in (site.root / "index.html").read_text()


@pytest.mark.parametrize("anew", [False, True])
def test_the_page_of_a_record_that_is_gone_goes_too(site: Site, anew: bool) -> None:
    page(site, notebook(), name="gone")
    page(site, notebook(), name="kept")
    folder = site.archive.root / "crm" / "001_x"
    (folder / "gone.ipynb").unlink()
    site.build(anew=anew)
    assert [path.name for path in (site.root / "crm" / "001_x").iterdir()] == ["kept.html"]
