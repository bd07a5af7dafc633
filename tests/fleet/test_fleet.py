"""A fleet from its plan to its record, with real servers and real workers."""

from __future__ import annotations

import pytest
from fleet.conftest import RUNBOOK, Tenants


def test_run(tenants: Tenants) -> None:
    done = tenants.fleet("run", "001")
    print(done.text)
    assert done.code == 0, done.text
    again = tenants.fleet("status")
    print(again.text)
    print(tenants.project.command("archive", "verify").text)
    assert 0
