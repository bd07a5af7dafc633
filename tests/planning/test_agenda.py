"""What a run is to do, as far as the files tell: no target is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgrunbook import Refused
from pgrunbook.planning.agenda import Agenda
from pgrunbook.runbooks.source import Source


def agenda(folder: Path, files: dict[str, str]) -> Agenda:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    nobody: Any = None
    return Agenda(nobody, "001_x", "public", Source.read(folder), {"deals_table": "deals"})


def test_a_block_that_a_cell_applies_too_early_is_told_from_one_that_is_none(
    tmp_path: Path,
) -> None:
    files = {
        "deploy/010_x.sql": "SELECT 1;",
        "deploy/070_admit/enum.sql": "ALTER TYPE :type ADD VALUE :'value';",
    }
    problem = agenda(tmp_path, files).undecided_problem
    x, admit, other = map(problem, ("010_x", "070_admit", "010_y"))
    assert x.what == "nothing is decided about '010_x'"
    assert x.remedy == "run the cell of the preconditions first"
    assert admit.what == "nothing is decided about '070_admit'"
    assert admit.remedy == "run the cell of run.allow, then that of the preconditions, first"
    assert (other.what, other.expected) == ("no block is called '010_y'", "010_x, 070_admit")
    assert other.remedy == "did you mean 010_x? correct the name in the cell"


def test_the_placeholders_without_a_value_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    files = {
        "deploy/010_x.sql": "ALTER TABLE :deals_table ADD a int;\nALTER TABLE :deal_table ADD b "
        "int;",
        "deploy/020_y.sql": "ALTER TABLE t ADD c int DEFAULT :one;",
        "deploy/070_admit/enum.sql": "ALTER TYPE :type ADD VALUE :'value';",
        "verify/010_x.sql": "SELECT :two;",
        "verify/whole.sql": "SELECT :three;",
        "revert/020_y.sql": "ALTER TABLE :four DROP c;",
    }
    with pytest.raises(Refused) as caught:
        agenda(tmp_path, files).blocks()
    assert [f"{problem.where}: {problem.what}" for problem in caught.value.problems] == [
        "deploy/010_x.sql:2: no value for deal_table",
        "deploy/020_y.sql:1: no value for one",
        "verify/010_x.sql:1: no value for two",
        "verify/whole.sql:1: no value for three",
        "revert/020_y.sql:1: no value for four",
    ]
