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
from pgrunbook.runbooks.header import HEADER_KEYS
from pgrunbook.runbooks.parameters import Parameters
from pgrunbook.runbooks.project import (
    ArchiveSettings,
    EmbeddedSettings,
    FleetSettings,
    TwinSettings,
)
from pgrunbook.runbooks.scripts import Script
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


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "src" / "pgrunbook"


def test_the_architecture_names_what_is_there() -> None:
    for line in ARCHITECTURE.splitlines():
        for module, names in re.findall(r"`((?:\w+/)*\w+\.py)`((?: `\w+`)*)", line):
            if module.startswith("tests/"):
                assert (ROOT / module).exists(), module
                continue
            text = (PACKAGE / module).read_text()
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^(def |class )?{name}\b", text, re.MULTILINE), (
                    f"{module}: {name}"
                )
        for path in re.findall(r"`(sql/\w+/[\w*]*(?:\.sql)?)`", line):
            assert [*PACKAGE.glob(path.replace("NNN", "0*"))], path


def test_the_architecture_draws_the_layers_that_imports_have() -> None:
    (drawing,) = re.findall(r"^```text\n(.*?)^```", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    drawn = [re.findall(r"\b(\w+)(?:/(?= )|\.py\b)", line) for line in drawing.splitlines()]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [
        re.findall(r"pgrunbook\.(\w+)", layer) for layer in contracts["contracts"][0]["layers"]
    ]
    *packages, modules, below = layers
    assert drawn == [*packages, modules + below]


def test_a_row_of_the_architecture_is_about_one_thing() -> None:
    """What to look up comes first, in no more than two files: of more, two rows are made."""
    where_to_change = ARCHITECTURE.partition("## Where to change")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", where_to_change, re.MULTILINE)
    for what, where in rows:
        assert not re.match(r"(an?|the|what|which|who|how|when|where|that) ", what), what
        assert len(set(re.findall(r"`([\w/]+\.(?:py|sql))`", where))) <= 2, what


def test_the_glossary_has_each_word_once() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    words = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", glossary, re.MULTILINE)
    words = [word for word in words if word != "word"]
    assert len(words) == len(set(words))
