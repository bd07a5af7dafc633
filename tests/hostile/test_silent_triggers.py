"""A role or database whose sessions fire no triggers, or no event triggers, or count no rows:
nothing is applied, as nothing would be checked, or seen.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.databases import Database
from support.projects import Outcome, Project

SILENT = [
    ("session_replication_role", "origin", "replica"),
    ("event_triggers", "on", "off"),
    ("track_counts", "on", "off"),
]


def require_known(crm: Database, setting: str) -> None:
    if not crm.execute("SELECT FROM pg_settings WHERE name = %s", [setting]):
        pytest.skip(f"{setting} is of PostgreSQL 17")


@pytest.mark.parametrize("who", ["ROLE postgres IN DATABASE {}", "DATABASE {}"])
@pytest.mark.parametrize(("setting", "expected", "silent"), SILENT)
def test_a_run_is_refused_before_it_applies_and_the_remedy_mends_it(
    crm: Database, run: Callable[..., Outcome], who: str, setting: str, expected: str, silent: str
) -> None:
    require_known(crm, setting)
    place = who.format(crm.name)
    crm.execute(f"ALTER {place} SET {setting} = {silent}")
    done = run(crm)
    assert done.code == 2, done.text
    for word in (f"{setting} = {expected}", f"{silent}, set for the ", crm.name):
        assert word in done.text, done.text
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]
    (remedy,) = {text for text in done.text.splitlines() if f"RESET {setting}" in text}
    crm.execute(remedy.partition("remedy:")[2])
    assert crm.execute(f"SHOW {setting}") == [(expected,)]


@pytest.mark.parametrize(("setting", "expected", "silent"), SILENT)
def test_one_that_comes_from_elsewhere_is_refused(
    crm: Database,
    run: Callable[..., Outcome],
    project: Project,
    setting: str,
    expected: str,
    silent: str,
) -> None:
    require_known(crm, setting)
    project.env["PGOPTIONS"] = f"-c {setting}={silent}"
    done = run(crm, "--mode", "plan")
    assert done.code == 2, done.text
    assert f"{setting} = {expected}" in done.text
    assert "options of PGOPTIONS" in done.text
