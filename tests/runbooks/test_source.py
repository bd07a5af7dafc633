"""Which files of a folder are a runbook's SQL; those that nothing would run are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgrunbook.errors import Refused
from pgrunbook.runbooks.source import Source

BLOCK = "-- title: T\n-- why: W\nCREATE TABLE t (id int);\n"


@pytest.mark.parametrize(
    "stray",
    [
        "deploy/020_b.SQL",
        "deploy/020_b.pgsql",
        "deploy/010_a/x.sql",
        "deploy/020_b/enum/more.sql",
        "Verify/010_a.sql",
    ],
)
def test_a_file_that_nothing_would_run_is_named(tmp_path: Path, stray: str) -> None:
    for name in ("deploy/010_a.sql", stray):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(BLOCK)
    with pytest.raises(Refused) as caught:
        Source.read(tmp_path)
    assert "nothing would run it" in str(caught.value)


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/010_a.sql").write_text(BLOCK)
    (tmp_path / "deploy/020_b.sql").symlink_to(tmp_path / "gone.sql")
    with pytest.raises(Refused, match="leads nowhere"):
        Source.read(tmp_path)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in (
        "deploy/010_a.sql",
        "deploy/README.md",
        "deploy/.010_a.sql",
        "notes/x.sql",
        "x.sql",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(BLOCK)
    assert [*Source.read(tmp_path).deploy] == ["010_a"]
