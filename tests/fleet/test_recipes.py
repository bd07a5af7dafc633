"""The files of docs/recipes, each as far as it can be tried here: what they call is there, and what
they are to do is done.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from fleet.conftest import Tenants

from pgrunbook.cli.main import main

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
PAGE = RECIPES.parent / "schedulers.md"
OURS = ".venv/bin/pgrunbook"


def workflow() -> dict[str, Any]:
    return yaml.safe_load((RECIPES / "github-fleet.yml").read_text())


def job() -> dict[str, Any]:
    return yaml.safe_load((RECIPES / "kubernetes-fleet.yaml").read_text())


def steps(name: str) -> list[str]:
    """The commands of ours in a job of the workflow."""
    listed = (step.get("run", "") for step in workflow()["jobs"][name]["steps"])
    return [text for text in listed if text.startswith(OURS)]


def commands() -> list[str]:
    """Every command line of ours in the recipes and on their page."""
    service = (RECIPES / "pgrunbook-drift.service").read_text()
    told = re.findall(r"^(?:ExecStart=/srv/crm/)?((?:\.venv/bin/)?pgrunbook .*)", service, re.M)
    told += re.findall(r"^ {4}(pgrunbook .*)", PAGE.read_text(), re.M)
    told += [*steps("slice"), *steps("records")]
    told.append(shlex.join(job()["spec"]["template"]["spec"]["containers"][0]["command"]))
    return told


def test_there_are_commands_of_each() -> None:
    assert len(commands()) >= 6


@pytest.mark.parametrize("line", commands())
def test_what_is_called_is_there(line: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slices").mkdir()
    (tmp_path / "slices" / "one").mkdir()
    called: click.Command = main
    words = [word.replace("slices/*", "slices/one") for word in shlex.split(line)[1:]]
    with click.Context(main, info_name="pgrunbook") as ctx:
        while isinstance(called, click.Group):
            _, found, words = called.resolve_command(ctx, words)
            assert found is not None
            called = found
        called.make_context(called.name, words, parent=ctx)


@pytest.mark.many
def test_the_slices_of_the_workflow_and_the_archive_of_all(tenants: Tenants) -> None:
    tenants.only("red_000", "red_001", "green_000", "blue_000")
    tenants.settings("workers = 2")
    root = tenants.project.root
    (root / "slices").mkdir()
    for number in range(2):
        _do(root, steps("slice"), tenants.project.env | {"SLICE": f"{number}/2"})
        (root / "outputs").rename(root / "slices" / f"outputs-{number}")
    assert tenants.applied() == {"red_000", "red_001", "green_000", "blue_000"}
    _do(root, steps("records"), {})
    assert len([*(root / "outputs").glob("tenants/*_000/001_notes/*.ipynb")]) == 3
    assert len([*(root / "outputs").glob("tenants/001_notes/*.ipynb")]) == 2
    assert (root / "outputs" / "site" / "index.html").exists()


def _do(root: Path, lines: list[str], env: dict[str, str]) -> None:
    """Do the steps of a job, in a shell as the runner does."""
    _ours(root)
    given = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    given |= {"RUNBOOK": "001", "GITHUB_ACTOR": "ada", **env}
    for line in lines:
        done = subprocess.run(
            ["bash", "-e", "-c", line], cwd=root, env=given, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def _ours(root: Path) -> None:
    """The command of this environment, where a project has its own."""
    path = root / OURS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pgrunbook "$@"\n')
    path.chmod(0o755)


def _takes(workflow: Path) -> bool:
    """Whether GitHub's own schema of workflows takes it, in the copy that is installed."""
    pytest.importorskip("check_jsonschema", reason="NOT TESTED: pip install check-jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command += ["vendor.github-workflows", str(workflow)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_the_workflow_is_valid(tmp_path: Path) -> None:
    recipe = RECIPES / "github-fleet.yml"
    assert _takes(recipe)
    for key in ("runs-on:", "fail-fast:", "workflow_dispatch:", "with:"):
        broken = tmp_path / "broken.yml"
        broken.write_text(recipe.read_text().replace(key, f"x{key}"))
        assert not _takes(broken), key


def test_the_manifest_is_valid() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="NOT TESTED: pip install it")
    validator.validate(job(), "1.33", strict=True)
    broken = job()
    broken["spec"]["maxFailedIndices"] = broken["spec"].pop("maxFailedIndexes")
    with pytest.raises(validator.ValidationError):
        validator.validate(broken, "1.33", strict=True)


def test_the_manifest_has_a_rule_for_each_exit_code_and_a_slice_for_each_pod() -> None:
    spec = job()["spec"]
    rules = [rule["onExitCodes"] for rule in spec["podFailurePolicy"]["rules"][1:]]
    page = (RECIPES.parent / "fleets.md").read_text()
    table = page[page.index("| exit code of `run`") :]
    codes = {int(code) for code in re.findall(r"^\| ([1-9]) \|", table, re.M)}
    assert {code for rule in rules for code in rule["values"]} == codes
    (container,) = spec["template"]["spec"]["containers"]
    assert f"$(SLICE)/{spec['completions']}" in container["command"]
    matrix = workflow()["jobs"]["slice"]
    assert len(matrix["strategy"]["matrix"]["slice"]) == int(matrix["env"]["SLICE"].split("/")[1])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT TESTED: no systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    _ours(tmp_path)
    for name in ("pgrunbook-drift.service", "pgrunbook-drift.timer"):
        text = (RECIPES / name).read_text().replace("/srv/crm", str(tmp_path))
        (tmp_path / name).write_text(text)
    units = sorted(tmp_path.glob("pgrunbook-drift.*"))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.timeout(900)
@pytest.mark.skipif("AIRFLOW" not in os.environ, reason="only in `make test-airflow`")
def test_airflow_takes_a_fleet_through_its_waves(tenants: Tenants, tmp_path: Path) -> None:
    tenants.only("red_000", "red_001", "green_000", "blue_000")
    tenants.settings('waves = ["blue_000", "1", "2", "100%"]\nworkers = 2')
    root = tenants.project.root
    _ours(root)
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(RECIPES / "airflow_fleet.py", dags)
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | tenants.project.env
    env |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
    env |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "CRM_PROJECT": str(root)}
    for words in (["db", "migrate"], ["dags", "test", "crm_fleet"]):
        done = subprocess.run(
            [os.environ["AIRFLOW"], *words], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert tenants.applied() == {"red_000", "red_001", "green_000", "blue_000"}
    assert len([*(root / "outputs" / "tenants" / "001_notes").glob("*.fleet.jsonl")]) == 4
    assert tenants.report()["message"] == "4 targets: 4 passed"
