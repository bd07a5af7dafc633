"""What the pages list is what there is: cells, headers, variants, settings, environment variables,
pages.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from pgrunbook.planning.decisions import Action
from pgrunbook.postgres.target import TargetSettings
from pgrunbook.run.lifetime import Lifetime
from pgrunbook.run.run import Run
from pgrunbook.run.views import Views
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import (
    ArchiveSettings,
    EmbeddedSettings,
    FleetSettings,
    TwinSettings,
)
from pgrunbook.runbooks.scripts import HEADER_KEYS, Script
from pgrunbook.sqltext.hazards import Hazard

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "runbooks.md").read_text()
SQL = ROOT / "sql" / "001_import_connector"


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the page's table whose heading begins so: what its first cell has in backticks,
    and the last's.
    """
    (found,) = re.findall(
        rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE
    )
    rows = [line.strip("| ").split(" | ") for line in found.splitlines()]
    return {
        name: re.findall(r"`([^`]+)`", row[-1])
        for row in rows
        for name in re.findall(r"`([^`]+)`", row[0])
    }


def test_every_cell() -> None:
    methods = {
        name for name in vars(Run) | vars(Views) | vars(Lifetime) if not name.startswith("_")
    }
    told = {call for cell in table("cell") for call in re.findall(r"^run\.(\w+)", cell)}
    assert told | {"close"} == methods
    assert "run.close()" in PAGE


def test_every_header() -> None:
    assert set(table("header")) == set(HEADER_KEYS)


def test_every_hazard() -> None:
    assert set(table("hazard")) == set(Hazard)


def test_every_variant_and_its_placeholders() -> None:
    told = table("`deploy/<by>/`")
    told["domain.sql"] += [name for name in told["check.sql"] if name != "table"]
    told["check_no_inherit.sql"] = told["check.sql"]
    used = {
        path.name: set().union(
            *(
                Script.read(SQL / kind / path.parent.name / path.name, SQL).variables
                for kind in ("deploy", "revert")
            )
        )
        for path in (SQL / "deploy" / "070_admit_csv_import").iterdir()
    }
    assert told.keys() == used.keys()
    assert [f"{file}: {name}" for file in used for name in used[file] - set(told[file])] == []


def test_the_guide_has_every_parameter_and_every_decision() -> None:
    guide = (ROOT / "src" / "pgrunbook" / "templates" / "guide.md").read_text()
    listed = re.findall(r"^\| (`.*?`) \|", guide, re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    fields = {field.alias or name for name, field in Parameters.model_fields.items()}
    assert names == fields | {str(action) for action in Action if action is not Action.REFUSE}


CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def settings_table(section: str) -> dict[str, str]:
    """The keys of a section of pgrunbook.toml, each with its default, as the page has them."""
    (found,) = re.findall(
        rf"^### \[{re.escape(section)}\]\n(.*?)(?=^##|\Z)", CONFIGURATION, re.MULTILINE | re.DOTALL
    )
    return dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", found, re.MULTILINE))


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("embedded", EmbeddedSettings),
        ("targets.NAME", TargetSettings),
        ("archive", ArchiveSettings),
        ("twin", TwinSettings),
        ("fleets.NAME", FleetSettings),
    ],
)
def test_every_key_of_the_project_file_with_its_default(
    section: str, settings: type[BaseModel]
) -> None:
    defaults = {name: field.default for name, field in settings.model_fields.items()}
    assert tomllib.loads("\n".join(f"{k} = {v}" for k, v in settings_table(section).items())) == {
        name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()
    }


def test_every_environment_variable() -> None:
    modules = (ROOT / "src").rglob("*.py")
    used = {name for path in modules for name in re.findall(r'"(PGRUNBOOK_\w+)"', path.read_text())}
    assert set(re.findall(r"^\| `(PGRUNBOOK_\w+)`", CONFIGURATION, re.MULTILINE)) == used


def test_every_page_is_listed_and_every_link_leads_somewhere() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    index = (ROOT / "docs" / "README.md").read_text()
    assert set(re.findall(r"^\| \[(\w[\w-]*\.md)\]", index, re.MULTILINE)) == pages
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readme_fits_a_glance() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 700


def test_the_architecture_names_what_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for line in page.splitlines():
        modules = re.findall(r"`(\w+/\w+\.py)`((?: `\w+`)*)", line)
        for module, names in modules:
            text = (ROOT / "src" / "pgrunbook" / module).read_text()
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^(def |class )?{name}\b", text, re.MULTILINE), (
                    f"{module}: {name}"
                )
        for test in re.findall(r"`(tests/[\w/]+\.py)`", line):
            assert (ROOT / test).exists(), test
    rooms = {path.parent.name for path in (ROOT / "src" / "pgrunbook").glob("*/__init__.py")}
    assert {room for room in rooms if f"{room}/" in page} == rooms
