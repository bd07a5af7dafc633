"""Runs are sealed when they end, however they end; and a stranger can check a record with standard
tools.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from support.databases import Database
from support.projects import ROOT, RUNBOOK, Project, kernel_of, wait_for

from pgrunbook.records import sealing
from pgrunbook.records.archive import HEAD, Archive
from pgrunbook.records.naming import SEAL
from pgrunbook.runbooks.project import Project as Settings

pytestmark = pytest.mark.parametrize("server", [18], indirect=True)


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of a private key and of its public one, made as the documentation says."""
    folder = tmp_path_factory.mktemp("keys")
    commands = re.findall(
        r"^    (openssl .*)$", (ROOT / "docs" / "archive.md").read_text(), re.MULTILINE
    )
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=folder, check=True, capture_output=True)
    return folder / "private.pem", folder / "public.pem"


def seals(project: Project) -> list[Path]:
    found = [
        Archive(project.root / "outputs").read(path)
        for path in (project.root / "outputs").rglob(f"*{SEAL}")
    ]
    return [
        project.root / "outputs" / seal.name
        for seal in sorted(found, key=lambda seal: seal.sequence)
    ]


def test_runs_are_sealed_one_after_the_other_whatever_their_verdict(
    crm: Database, project: Project, keys: tuple[Path, Path]
) -> None:
    project.env["PGRUNBOOK_KEY"] = str(keys[0])
    passed = project.run(crm)
    assert passed.code == 0, passed.text
    refused = project.run(crm, "-p", "schema", "nowhere")
    assert refused.code == 2, refused.text
    runbook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    runbook.write_text(runbook.read_text().replace("run.verdict()", "1 / 0"))
    failed = project.run(crm, "--mode", "verify")
    assert failed.code == 1, failed.text
    assert [done.text.splitlines()[-1].split(",")[0] for done in (passed, refused, failed)] == [
        "seal:     number 1",
        "seal:     number 2",
        "seal:     number 3",
    ]
    said = [
        Archive(project.root / "outputs").read(seal).statement.predicate.run
        for seal in seals(project)
    ]
    assert [run["verdict"] for run in said] == ["passed", "refused", "failed"]
    assert said[0]["runbook"] == RUNBOOK

    verify = ["archive", "verify", "--key", keys[1], "--target", "env:CRM_URL"]
    whole = project.command(*verify)
    assert whole.code == 0, whole.text
    assert "unchanged: 3 sealed, 3 of them signed by a key given" in whole.text

    # What the ledger says is in the record, and the record in the ledger.
    assert passed.notebook
    rows = json.loads(passed.notebook.with_suffix(".ledger.json").read_text())
    assert len(rows["blocks"]) == 16
    assert [row["verdict"] for row in rows["verdicts"]] == ["passed"]
    assert crm.execute("SELECT sequence, seal FROM pgrunbook.heads") == [
        (1, Archive(project.root / "outputs").name(seals(project)[0]))
    ]

    for path in seals(project)[1:]:
        for file in path.parent.glob(f"{path.name.removesuffix(SEAL)}.*"):
            file.unlink()
    passed.notebook.write_text(passed.notebook.read_text().replace("PASSED", "passed", 1))
    broken = project.command(*verify, "--json")
    assert broken.code == 1
    assert {
        problem["where"].rsplit("/", 1)[-1] for problem in json.loads(broken.text)["problems"]
    } == {
        passed.notebook.name,
        HEAD,
    }
    one = project.command("archive", "verify", passed.notebook)
    assert one.code == 1
    assert "changed" in one.text


@pytest.mark.long
def test_the_end_that_was_cut_off_shows_in_the_ledger(crm: Database, project: Project) -> None:
    first = project.run(crm, "--mode", "plan")
    second = project.run(crm)
    assert (first.code, second.code) == (0, 0), first.text + second.text
    assert second.notebook
    kept, gone = seals(project)
    for file in gone.parent.glob(f"{second.notebook.stem}.*"):
        file.unlink()
    last = Archive(project.root / "outputs").read(kept)
    (project.root / "outputs" / HEAD).write_text(f"{last.sha256}  {last.name}\n")
    assert project.command("archive", "verify").code == 0
    done = project.command("archive", "verify", "--target", "env:CRM_URL")
    assert done.code == 1
    assert f"{gone.name}: removed or changed: the ledger of env:CRM_URL names it" in done.text


@pytest.mark.long
def test_a_clock_that_was_set_meanwhile_is_told_and_costs_no_record(
    crm: Database, project: Project
) -> None:
    """Of who seals a run at its end; by hand it is a contradiction."""
    done = project.papermill(crm)
    assert done.notebook, done.text
    noted = json.loads(done.notebook.read_text())
    noted["metadata"]["papermill"]["start_time"] = "2020-01-31T12:00:00+00:00"
    done.notebook.write_text(json.dumps(noted))
    by_hand = project.command("archive", "seal", done.notebook)
    assert (by_hand.code, "times: the ledger tells otherwise" in by_hand.text) == (2, True)
    with patch.dict(os.environ, project.env | {"PGRUNBOOK_ROOT": str(project.root)}):
        sealing.seal(Settings.find(), done.notebook)
    verified = project.command("archive", "verify", "--target", "env:CRM_URL")
    assert (verified.code, "a clock was set meanwhile: blocks begun" in verified.text) == (0, True)


@pytest.mark.long
def test_what_papermill_itself_wrote_can_be_sealed(crm: Database, project: Project) -> None:
    done = project.papermill(crm)
    assert done.code == 0, done.text
    assert done.notebook
    before = project.command("archive", "verify")
    assert before.code == 1
    assert "x.ipynb: added, or not sealed yet" in before.text
    forged = done.notebook.with_name("forged.ipynb")
    text = done.notebook.read_text()
    run = crm.execute("SELECT run_id FROM pgrunbook.runs")[0][0]
    forged.write_text(text.replace(str(run), "00000000-0000-4000-8000-000000000000"))
    refused = project.command("archive", "seal", forged)
    assert (refused.code, "the ledger does not know of it" in refused.text) == (2, True)
    forged.unlink()
    del project.env["CRM_URL"]  # years later
    sealed = project.command("archive", "seal", done.notebook)
    assert sealed.code == 0, sealed.text
    assert "number 1" in sealed.text
    assert (
        "warning: the ledger's rows are not in the record: the run's target cannot be had"
        in sealed.text
    )
    assert project.command("archive", "verify").code == 0
    again = project.command("archive", "seal", done.notebook)
    assert again.code == 2
    assert "the record is sealed already" in again.text


def test_papermill_seals_with_our_engine_what_it_wrote(
    crm: Database, project: Project, tmp_path: Path
) -> None:
    (project.root / "outputs").symlink_to(tmp_path)  # on a volume of its own
    by_engine = ("--engine", "pgrunbook", "-p", "mode", "plan")
    done = project.papermill(crm, *by_engine)
    assert done.code == 0, done.text
    assert re.search(
        r"^seal: number 1, x\.dsse\.json \(no key: not signed\)$", done.text, re.MULTILINE
    )
    papermill = partial(project.papermill, crm, *by_engine, kernel=False)
    refused = papermill("-p", "tabel", "x", name="refused.ipynb")
    assert (refused.code, "seal: number 2, refused.dsse.json" in refused.text) == (2, True), (
        refused.text
    )
    assert project.command("archive", "verify").code == 0

    before = files(project)
    again = papermill()
    assert (again.code, files(project)) == (2, before), again.text
    assert "x.ipynb: is there already, and a record is not written over\n" in again.text
    another = papermill(name="{pm[run_uuid]}.ipynb")
    assert another.code == 0, another.text
    elsewhere = papermill(name="../x.ipynb")
    assert elsewhere.code == 0
    assert "PASSED: planned" in elsewhere.text
    assert "not sealed: x.ipynb does not lie below outputs/ of this project\n" in elsewhere.text

    lose_the_head(project)
    passed = papermill(name="passed.ipynb")
    assert passed.code == 1
    assert "FAILED: The run has ended as its record says. That is not sealed.\n" in passed.text
    assert "PASSED: planned" in passed.cells["verdict"]
    before = files(project)
    for name, text in {
        "PGRUNBOOK_KEY": "nowhere.pem: the key cannot be used",
        "": "no HEAD",
    }.items():
        project.env.update({name: "nowhere.pem"} if name else {})
        refused = papermill(name="x2.ipynb")
        assert (refused.code, files(project)) == (2, before)
        assert text in refused.text
        project.env.pop(name, None)


def lose_the_head(project: Project) -> None:
    """Have the archive broken while the run is at work, by its own last cell."""
    runbook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    lost = json.dumps(f"__import__('os').unlink('outputs/{HEAD}')\nrun.verdict()")
    runbook.write_text(runbook.read_text().replace('"run.verdict()"', lost))


def test_the_record_of_a_run_whose_runner_was_killed_can_be_sealed(
    crm: Database, project: Project
) -> None:
    project.env["CRM_URL"] = crm.url
    with crm.connect() as reader, reader.transaction():
        reader.execute("LOCK TABLE workspaces IN SHARE ROW EXCLUSIVE MODE")  # the run waits
        runner = project.start("run", RUNBOOK, "--target", "env:CRM_URL")
        wait_for(lambda: bool(crm.execute("SELECT FROM pg_tables WHERE schemaname = 'pgrunbook'")))
        kernel = kernel_of(runner.pid)
        runner.kill()
        runner.wait()
        os.kill(kernel, 9)
    (notebook,) = project.root.glob("outputs/**/*.ipynb")
    before = project.command("archive", "verify", notebook)
    assert before.code == 1
    assert (
        f"{notebook.name}: not sealed yet: its run has not ended, or its runner was killed"
        in before.text
    )
    sealed = project.command("archive", "seal", notebook)
    assert sealed.code == 0, sealed.text
    assert project.command("archive", "verify").code == 0
    (said,) = [
        Archive(project.root / "outputs").read(seal).statement.predicate.run
        for seal in seals(project)
    ]
    assert (said["verdict"], said["reason"]) == ("interrupted", "whoever ran it was killed")
    assert project.command("archive", "site").code == 0
    page = (
        project.root / "outputs" / "site" / notebook.relative_to(project.root / "outputs")
    ).with_suffix(".html")
    assert (
        '<span class="verdict interrupted">interrupted</span> whoever ran it was killed'
        in page.read_text()
    )


def test_what_a_notebook_does_not_show_is_not_sealed(applied: Database, project: Project) -> None:
    """Saved by hand: before any cell was run; with parameters that were edited since, which the run
    did not have.
    """
    done = project.papermill(applied, "-p", "mode", "verify", "-p", "ticket", "CRM-1")
    assert done.code == 0, done.text
    assert done.notebook
    saved = done.notebook.with_name("by-hand.ipynb")
    texts = {
        (project.root / "runbooks" / f"{RUNBOOK}.ipynb").read_text(): [
            "by-hand.ipynb: was not executed"
        ],
        by_hand(done.notebook, 'target = "production"\nmode = "verify"\nticket = "CRM-2"'): [
            "parameter target: was changed after the run\n      expected: env:CRM_URL\n",
            "parameter ticket: was changed after the run\n      expected: CRM-1\n      found:    "
            "CRM-2\n",
        ],
        "[]": ["by-hand.ipynb: is not a record of ours"],
    }
    for text, said in texts.items():
        saved.write_text(text)
        refused = project.command("archive", "seal", saved)
        assert refused.code == 2, refused.text
        assert [line for line in said if line not in refused.text] == []
    saved.write_text(
        by_hand(done.notebook, 'target = "env:CRM_URL"\nmode = "verify"\nticket = "CRM-1"')
    )
    sealed = project.command("archive", "seal", saved)
    assert sealed.code == 0, sealed.text
    assert re.search(
        r"^the ledger has no run of that id, as to verify is only to look$",
        sealed.text,
        re.MULTILINE,
    )
    (seal,) = seals(project)
    assert (
        Archive(project.root / "outputs").read(seal).statement.predicate.run["runbook"] == RUNBOOK
    )


def by_hand(executed: Path, parameters: str) -> str:
    """The notebook as JupyterLab saves it, with these parameters in their cell."""
    notebook = json.loads(executed.read_text())
    del notebook["metadata"]["papermill"]
    notebook["cells"] = [
        c for c in notebook["cells"] if "injected-parameters" not in c["metadata"].get("tags", [])
    ]
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            cell["source"] = parameters
    return json.dumps(notebook)


def test_nobody_need_listen_to_the_end_of_a_run(crm: Database, project: Project) -> None:
    """`pgrunbook run … | grep -q PASSED` closes the pipe; a service may have no standard output at
    all.
    """
    project.env["CRM_URL"] = crm.url
    run = f"{sys.executable} -m pgrunbook run {RUNBOOK} --target env:CRM_URL --mode plan"
    for command in (f"{run} | true", f"{run} >&-"):
        subprocess.run(
            ["sh", "-c", command],
            cwd=project.root,
            env=os.environ | project.env,
            check=True,
            timeout=60,
        )
    assert len(seals(project)) == 2
    assert project.command("archive", "verify").code == 0


def files(project: Project) -> dict[str, bytes]:
    """What is in the archive, by name."""
    found = sorted(path for path in (project.root / "outputs").rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in found}


def test_to_seal_a_record_again_changes_nothing(applied: Database, project: Project) -> None:
    done = project.run(applied)
    assert done.code == 0, done.text
    before = files(project)
    again = project.command("archive", "seal", done.notebook)
    assert (again.code, files(project)) == (2, before), again.text
    assert "the record is sealed already" in again.text


def test_a_record_that_cannot_be_sealed_is_told_and_loses_nothing(
    crm: Database, project: Project
) -> None:
    assert project.run(crm, "--mode", "plan").code == 0
    head = project.root / "outputs" / HEAD
    kept = head.read_bytes()
    lose_the_head(project)
    done = project.run(crm, "--json")
    assert done.code == 1
    ((run,), end) = json.JSONDecoder().raw_decode(done.text, done.text.index("[\n"))
    assert (run["verdict"], "notebook" in run, "seal" in run) == ("passed", True, False)
    assert run["error"] in done.text[end:]
    assert "FAILED: The run has ended as it says above. Its record is not sealed.\n" in done.text
    assert "HEAD: there are seals, but no HEAD" in done.text
    assert done.notebook
    before = crm.dump(), files(project)
    refused = project.run(crm)
    assert (refused.code, (crm.dump(), files(project))) == (2, before)
    assert "REFUSED: The archive cannot take another record: nothing was started.\n" in refused.text
    for _ in range(2):
        assert project.command("archive", "seal", done.notebook).code == 1

    head.write_bytes(kept)
    sealed = project.command("archive", "seal", done.notebook)
    assert sealed.code == 0, sealed.text
    assert set(json.loads(done.notebook.with_suffix(".snapshots.json").read_text())) == {
        "version",
        "before",
        "after",
        "expected",
    }
    assert len(json.loads(done.notebook.with_suffix(".ledger.json").read_text())["blocks"]) == 16
    assert project.command("archive", "verify", "--target", "env:CRM_URL").code == 0


def test_a_key_that_cannot_be_used_refuses_the_run_before_it_begins(
    crm: Database, project: Project
) -> None:
    project.env["PGRUNBOOK_KEY"] = "nowhere.pem"
    done = project.run(crm)
    assert done.code == 2
    assert "nowhere.pem: the key cannot be used" in done.text
    assert not crm.execute("SELECT FROM pg_namespace WHERE nspname = 'pgrunbook'")


def test_a_stranger_checks_a_record_with_standard_tools(
    crm: Database, project: Project, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """By the commands of the documentation, as they stand there."""
    project.env["PGRUNBOOK_KEY"] = str(keys[0])
    done = project.run(crm, "--mode", "plan")
    assert done.notebook
    archive = tmp_path / "copy"
    shutil.copytree(project.root / "outputs", archive)
    (commands,) = re.findall(
        r"```sh\n(.*?)```", (ROOT / "docs" / "archive.md").read_text(), re.DOTALL
    )
    record = done.notebook.relative_to(project.root / "outputs").with_suffix("")
    env = os.environ | {"RECORD": str(record), "PUBLIC_KEY": str(keys[1])}

    as_it_was = sorted(archive.rglob("*"))

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-ec", commands],
            cwd=archive,
            env=env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    good = check()
    assert good.returncode == 0, good.stderr
    assert "Signature Verified Successfully" in good.stdout
    assert f"{record}.ipynb: OK" in good.stdout
    assert sorted(archive.rglob("*")) == as_it_was, "or archive verify would name what was added"
    notebook = archive / f"{record}.ipynb"
    notebook.write_text(notebook.read_text() + " ")
    assert f"{record}.ipynb: FAILED" in check().stdout


@pytest.mark.usefixtures("server")
def test_notebooks_that_reached_no_target_are_not_called_the_same(project: Project) -> None:
    runbook = project.root / "runbooks" / f"{RUNBOOK}.ipynb"
    compared = project.command("archive", "diff", runbook, runbook)
    assert compared.code == 2, compared.text
    assert f"{RUNBOOK}.ipynb: has nothing to compare" in compared.text
