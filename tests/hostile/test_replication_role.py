"""A role or database whose sessions fire no triggers: nothing is applied, as nothing would be
checked.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.databases import Database
from support.projects import Outcome, Project


@pytest.mark.parametrize("who", ["ROLE postgres IN DATABASE {}", "DATABASE {}"])
def test_a_run_is_refused_before_it_applies_and_the_remedy_mends_it(
    crm: Database, run: Callable[..., Outcome], who: str
) -> None:
    place = who.format(crm.name)
    crm.execute(f"ALTER {place} SET session_replication_role = replica")
    done = run(crm)
    assert done.code == 2, done.text
    for word in ("session_replication_role = origin", "replica, set for the ", crm.name):
        assert word in done.text, done.text
    assert crm.execute("SELECT to_regnamespace('pgrunbook')") == [(None,)]
    (remedy,) = {text for text in done.text.splitlines() if "RESET session_replication" in text}
    crm.execute(remedy.partition("remedy:")[2])
    assert crm.execute("SHOW session_replication_role") == [("origin",)]


def test_one_that_comes_from_elsewhere_is_refused(
    crm: Database, run: Callable[..., Outcome], project: Project
) -> None:
    project.env["PGOPTIONS"] = "-c session_replication_role=replica"
    done = run(crm, "--mode", "plan")
    assert done.code == 2, done.text
    assert "options of PGOPTIONS" in done.text
