"""What `[fleets.NAME]` says, and the waves and the targets that come of it. No server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pgrunbook.errors import Refused
from pgrunbook.fleet import targets, waves
from pgrunbook.fleet.settings import Fleet, Share
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.runbooks.project import Project

FILE = 'targets_file = "t.jsonl"\n'


def project(root: Path, text: str, rows: list[Any] | None = None) -> Project:
    (root / "pgrunbook.toml").write_text(f"[fleets.tenants]\n{text}")
    if rows is not None:
        (root / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Project.find(root)


def fleet(root: Path, text: str, rows: list[Any] | None = None) -> Fleet:
    return Fleet.of(project(root, text, rows), "tenants")


def refused(root: Path, text: str) -> list[str]:
    with pytest.raises(Refused) as caught:
        fleet(root, text)
    return [f"{each.where} {each.what}" for each in caught.value.problems]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = (
        'targets_file = "a"\ntargets_command = ["b"]\nwaves = ["1%", "0.5", "10%"]\n'
        'failure_budget = ["x", "1%"]\nsoak = "soon"\nper_server = 0\nworkers = 0\n'
        'executor = "celery"'
    )
    found = refused(tmp_path, text)
    keys = [line.split()[0].removeprefix("fleets.tenants.") for line in found]
    assert keys == [
        *("targets_query", "waves", "waves", "failure_budget", "failure_budget", "soak"),
        *("per_server", "workers", "executor"),
    ]


@pytest.mark.parametrize(("soak", "pause_s"), [("", 0), ("0s", 0), ("0", 0), ("2min", 120)])
def test_no_soak_is_none_or_zero(tmp_path: Path, soak: str, pause_s: float) -> None:
    assert fleet(tmp_path, f'{FILE}soak = "{soak}"').soak_s == pause_s


@pytest.mark.parametrize(
    "text",
    ['targets_query = { target = "x" }', 'targets_query = { target = "x", sql = "", how = "" }'],
)
def test_a_query_needs_a_target_and_sql(tmp_path: Path, text: str) -> None:
    (found,) = refused(tmp_path, text)
    assert "takes a target and the SQL" in found


def test_a_key_that_is_unknown_and_a_fleet_that_is(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        project(tmp_path, "workerz = 3")
    assert "unknown setting" in str(caught.value)
    assert "workers" in str(caught.value)
    with pytest.raises(Refused, match=r"did you mean tenants\?"):
        Fleet.of(project(tmp_path, FILE), "tenant")


@pytest.mark.parametrize(
    ("text", "size", "least", "most"),
    [("1%", 1000, 10, 10), ("1%", 50, 1, 0), ("0.5%", 1000, 5, 5), ("3", 2, 2, 3), ("0", 9, 0, 0)],
)
def test_shares(text: str, size: int, least: int, most: int) -> None:
    share = Share.read(text)
    assert share
    assert (share.at_least(size), share.at_most(size)) == (least, most)


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "1.5", "1 %x"])
def test_no_shares(text: str) -> None:
    assert Share.read(text) is None


def tenants(number: int) -> list[FleetTarget]:
    return [FleetTarget(f"t{n}", "crm", schema=f"s{n}") for n in range(number)]


def test_each_target_is_in_one_wave(tmp_path: Path) -> None:
    text = FILE + 'waves = ["t150, t7", "1%", "10%", "100%"]'
    found = waves.divide(fleet(tmp_path, text), tenants(200))
    assert [[each.name for each in wave] for wave in found[:2]] == [["t150", "t7"], ["t0", "t1"]]
    assert [len(wave) for wave in found] == [2, 2, 17, 179]
    assert {each for wave in found for each in wave} == {*tenants(200)}


def test_few_targets_leave_waves_empty(tmp_path: Path) -> None:
    text = FILE + 'waves = ["t0", "1%", "10%", "100%"]'
    assert [len(w) for w in waves.divide(fleet(tmp_path, text), tenants(2))] == [1, 0, 0, 1]


def test_a_wave_that_names_nobody(tmp_path: Path) -> None:
    text = FILE + 'waves = ["t1, t11", "x9", "100%"]'
    with pytest.raises(Refused) as caught:
        waves.divide(fleet(tmp_path, text), tenants(3))
    assert [each.found for each in caught.value.problems] == ["t11", "x9"]
    assert "did you mean t1?" in caught.value.problems[0].remedy


GOOD = {"name": "acme", "service": "crm", "schema": "acme"}


def found(root: Path, rows: list[Any]) -> list[FleetTarget]:
    there = project(root, FILE, rows)
    return targets.find(Fleet.of(there, "tenants"), there)


def test_a_list_of_targets(tmp_path: Path) -> None:
    other = {"name": "Bølt-2", "env": "BOLT_URL", "schema": None}
    assert found(tmp_path, [GOOD, other]) == [
        FleetTarget("acme", "crm", "", "acme"),
        FleetTarget("Bølt-2", "", "BOLT_URL", "public"),
    ]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({**GOOD, "name": "../etc"}, "cannot be the name"),
        ({**GOOD, "name": "a/b"}, "cannot be the name"),
        ({**GOOD, "name": "x" * 101}, "cannot be the name"),
        ({**GOOD, "name": "\u202eevil"}, "cannot be the name"),
        ({**GOOD, "name": ""}, "cannot be the name"),
        ({**GOOD, "env": "CRM_URL"}, "does not say how it is reached"),
        ({"name": "acme"}, "does not say how it is reached"),
        ({**GOOD, "schema": "s" * 64}, "takes the name of a schema"),
        ({**GOOD, "service": 5}, "is not a text"),
        ({**GOOD, "schema": False}, "is not a text"),
        ({**GOOD, "schema": []}, "is not a text"),
        ({**GOOD, "schema": "\ud800"}, "is not a text"),
        ({**GOOD, "service": "crm\0x"}, "is not a text"),
        ({**GOOD, "schema": "a\x1b[2J"}, "is not a text"),
        ({**GOOD, "password": "hunter2"}, "has keys that no target has"),
        ({"name": "b", "env": "postgresql://u:hunter2@h/d"}, "looks like a password"),
        ({**GOOD, "service": "password=hunter2"}, "looks like a password"),
    ],
)
def test_a_target_that_is_none(tmp_path: Path, row: Any, what: str) -> None:
    with pytest.raises(Refused) as caught:
        found(tmp_path, [{**GOOD, "name": "first", "schema": "first"}, row])
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.where.startswith("target 2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"name": "a", "env": "X", "env": "U"}', "acme"])
def test_a_line_that_is_none(tmp_path: Path, line: str) -> None:
    there = project(tmp_path, FILE, [GOOD])
    (tmp_path / "t.jsonl").write_text(f"{json.dumps(GOOD)}\n{line}\n")
    with pytest.raises(Refused) as caught:
        targets.find(Fleet.of(there, "tenants"), there)
    (problem,) = caught.value.problems
    assert (problem.what, problem.where) == (
        "is not a JSON object with each key once",
        "t.jsonl, line 2",
    )


def test_none_and_doubles(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there are none"):
        found(tmp_path, [])
    with pytest.raises(Refused) as caught:
        found(tmp_path, [GOOD, {**GOOD, "name": "ACME", "schema": "b"}, {**GOOD, "name": "other"}])
    one, other = caught.value.problems
    assert "is called 'ACME', as target 1 is" in one.what
    assert "same schema behind the same service" in other.what


def test_many_problems_are_counted(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        found(tmp_path, [{"name": "/"}] * 100)
    assert len(caught.value.problems) == 51
    assert caught.value.problems[-1].what == "150 more"


def test_a_program_lists_them(tmp_path: Path) -> None:
    code = f"print('''{json.dumps(GOOD)}''')"
    there = project(tmp_path, f"targets_command = {json.dumps([sys.executable, '-c', code])}")
    assert [t.name for t in targets.find(Fleet.of(there, "tenants"), there)] == ["acme"]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["/nowhere"], "could not be run"),
        (
            [sys.executable, "-c", "import sys; sys.exit('at postgresql://u:hunter2@h/d')"],
            "did not list",
        ),
        ([sys.executable, "-c", "print('acme')"], "is not a JSON object"),
    ],
)
def test_a_program_that_does_not(tmp_path: Path, command: list[str], what: str) -> None:
    there = project(tmp_path, f"targets_command = {json.dumps(command)}")
    with pytest.raises(Refused) as caught:
        targets.find(Fleet.of(there, "tenants"), there)
    assert what in caught.value.problems[0].what
    assert "hunter2" not in str(caught.value)


def test_the_digest_of_a_list_does_not_depend_on_its_order() -> None:
    some = tenants(3)
    assert targets.digest(some) == targets.digest(some[::-1])
    assert targets.digest(some) != targets.digest(some[:2])
    other = FleetTarget("t0", "crm", schema="elsewhere")
    assert targets.digest([other, *some[1:]]) != targets.digest(some)


def test_a_target_of_the_project_keeps_its_policy(tmp_path: Path) -> None:
    there = project(tmp_path, FILE + '[targets.production]\nservice = "crm"\nprotected = true\n')
    assert FleetTarget("a", "crm").target_name(there) == "production"
    assert FleetTarget("a", "other").target_name(there) == "service:other"
    assert FleetTarget("a", env="CRM").target_name(there) == "env:CRM"
