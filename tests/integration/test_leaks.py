"""The record of a run holds no secret: neither its own, as a search says, nor by a false alarm."""

from __future__ import annotations

from collections.abc import Callable

import nbformat
import pytest
from databases import Database, Role
from projects import Project

from pgrunbook import leaks
from pgrunbook.targets import Target

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


def test_the_record_of_a_run_with_a_password(crm: Database, project: Project, login_role: Callable[..., Role]) -> None:
    """I4, and no false alarm: a record that was refused for nothing would be no record."""
    role = login_role(crm, 'it\'s "p@ss" %41\\wörd')
    crm.execute(f"GRANT {crm.execute('SELECT current_user')[0][0]} TO {role.name}")
    project.env["CRM_URL"] = role.url
    done = project.run("env:CRM_URL")
    assert done.code == 0, done.text
    assert done.notebook
    secrets = leaks.credentials(Target("env:CRM_URL", role.url))
    assert role.password in secrets
    record = nbformat.read(done.notebook, as_version=4)
    assert leaks.search(record, secrets) == []
    assert leaks.search_text(done.notebook.read_text(), secrets, "file") == []
