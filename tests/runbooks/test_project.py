"""The project is found from wherever a kernel or papermill was started, and read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgrunbook import Refused
from pgrunbook.postgres.target import TargetSettings
from pgrunbook.runbooks.project import EmbeddedSettings, Project, Settings


@pytest.fixture(autouse=True)
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGRUNBOOK_ROOT", raising=False)


def make(root: Path, toml: str = "") -> Path:
    (root / "runbooks").mkdir(parents=True)
    (root / "pgrunbook.toml").write_text(toml)
    return root.resolve()


@pytest.mark.parametrize("below", [".", "runbooks", "sql/001_x/deploy"])
def test_it_is_found_by_walking_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    root = make(tmp_path / "project")
    (root / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(root / below)
    assert Project.find().root == root
    assert Project.find(root / below).root == root


def test_the_nearest_one_counts(tmp_path: Path) -> None:
    inner = make(make(tmp_path / "outer") / "inner")
    assert Project.find(inner / "runbooks").root == inner


def test_the_environment_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = make(tmp_path / "here"), make(tmp_path / "there")
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(there))
    assert Project.find(here).root == there


def test_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        Refused, match=r"the working directory and those above it: no pgrunbook\.toml found"
    ):
        Project.find(tmp_path)
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(tmp_path))
    with pytest.raises(Refused, match=r"PGRUNBOOK_ROOT: no pgrunbook\.toml found"):
        Project.find(make(tmp_path / "project"))


def test_the_settings_are_typed_and_have_defaults(tmp_path: Path) -> None:
    assert Project.find(make(tmp_path / "a")).settings == Settings()
    toml = (
        '[embedded]\nversion = 16\n[targets.staging]\nservice = "crm"\nsystem_identifier = "7412"\n'
    )
    assert Project.find(make(tmp_path / "b", toml)).settings == Settings(
        embedded=EmbeddedSettings(version=16),
        targets={"staging": TargetSettings(service="crm", system_identifier="7412")},
    )


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[targets.staging\n", "pgrunbook.toml: .*(at line 1|Expected)"),
        (
            "[targets.staging]\nurl = 'postgresql://me:hunter2@db'\n",
            r"targets\.staging\.url: unknown setting",
        ),
        (
            "[targets.staging]\nsystem_identifier = 7412\n",
            r"targets\.staging\.system_identifier: .*valid string",
        ),
        (
            "[targets.staging]\nservic = 'crm'\n",
            r"servic: unknown setting\n +expected: one of service, env, database",
        ),
        (
            "[targets.staging]\nprotected = 'yes!'\n",
            r"protected: .*\n +expected: true or false, without quotes",
        ),
        (
            "[targets.staging]\nhazards = { drops_tabel = 'accept' }\n",
            r"hazards\.drops_tabel: no hazard is called so\n +expected: drops_table, .*\n"
            r" +remedy: +did you mean drops_table\?",
        ),
        (
            "[targets.staging]\nhazards = { drops_table = 'hunter2' }\n",
            r'hazards\.drops_table: is no policy .*\n +expected: "allow" or "accept" or "approve"',
        ),
        (
            "[targets.staging]\nhazards = 'accept'\n",
            r'hazards: is no policy for hazards\n +expected: \{ drops_table = "allow" or',
        ),
        (
            "[target.staging]\n",
            r"target: unknown setting\n +expected: one of embedded, archive, twin, targets",
        ),
        ("[embedded]\nversion = 'new'\n", r"embedded\.version: .*valid integer"),
    ],
)
def test_bad_settings_are_refused_and_not_repeated(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        Project.find(make(tmp_path / "project", toml))
    assert "hunter2" not in str(caught.value)


def test_settings_are_utf_8(tmp_path: Path) -> None:
    root = make(tmp_path / "project")
    (root / "pgrunbook.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(Refused, match="expected: TOML, in UTF-8"):
        Project.find(root)


def test_settings_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As editors of Windows write it."""
    make(tmp_path)
    (tmp_path / "pgrunbook.toml").write_text("[embedded]\nversion = 17\n", encoding="utf-8-sig")
    assert Project.find(tmp_path).settings.embedded.version == 17


@pytest.mark.parametrize("table", ["targets", "fleets"])
@pytest.mark.parametrize("name", ["HEAD", "MERGED", "site"])
def test_what_the_archive_has_is_the_name_of_no_target_or_fleet(
    tmp_path: Path, table: str, name: str
) -> None:
    with pytest.raises(Refused, match=f"{table}.{name}: cannot be its name"):
        Project.find(make(tmp_path / "project", f"[{table}.{name}]\n"))


@pytest.mark.parametrize("name", ["runbooks", "sql"])
def test_a_file_in_a_folders_place_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pgrunbook.toml").touch()
    (root / name).touch()
    with pytest.raises(Refused, match=f"{name}: is not a folder"):
        Project.find(root).runbooks()


def test_a_working_directory_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Refused, match="the working directory: is not there any more"):
        Project.find()


def test_a_number_that_python_does_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="integer string conversion"):
        Project.find(make(tmp_path / "project", f"a = {'9' * 6_000}\n"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = make(tmp_path / "project")
    for name in ("010_later", "001_import", "1_short", "draft", "001 copy"):
        (root / "runbooks" / f"{name}.ipynb").touch()
    return Project.find(root)


def test_runbooks_are_in_order_and_nothing_else_is_one(project: Project) -> None:
    assert [path.stem for path in project.runbooks()] == ["001_import", "010_later", "1_short"]
    assert project.sql("001_import") == project.root / "sql" / "001_import"


@pytest.mark.parametrize(
    "name", ["001", "001_import", "import", "001_import.ipynb", "runbooks/001_import.ipynb"]
)
def test_a_runbook_by_its_number_name_or_path(project: Project, name: str) -> None:
    assert project.runbook(name).stem == "001_import"


def test_an_unknown_runbook_is_refused_with_those_that_are_known(project: Project) -> None:
    with pytest.raises(
        Refused, match=r"no runbook is called '002'\n *expected: one of 001_import, 010_later"
    ):
        project.runbook("002")


def test_a_project_without_runbooks_says_how_to_make_one(tmp_path: Path) -> None:
    empty = Project.find(make(tmp_path / "project"))
    with pytest.raises(Refused, match=r"runbooks/: holds no runbook\n *remedy: *pgrunbook new"):
        empty.runbook("001")


def test_a_number_that_two_runbooks_have(project: Project) -> None:
    (project.root / "runbooks" / "001_again.ipynb").touch()
    with pytest.raises(Refused, match="several runbooks are called '001'"):
        project.runbook("001")
    assert project.runbook("001_again").stem == "001_again"


def test_a_name_without_its_number_that_two_runbooks_have(project: Project) -> None:
    (project.root / "runbooks" / "002_import.ipynb").touch()
    with pytest.raises(Refused, match="several runbooks are called 'import'"):
        project.runbook("import")
    assert project.runbook("002_import").stem == "002_import"


def test_a_number_goes_before_a_name(project: Project) -> None:
    (project.root / "runbooks" / "011_001.ipynb").touch()
    assert project.runbook("001").stem == "001_import"


def test_git_leaves_the_folder_of_servers_and_copies_alone(tmp_path: Path) -> None:
    folder = Project(tmp_path, Settings()).scratch()
    assert folder == tmp_path / ".pgrunbook"
    assert (folder / ".gitignore").read_text() == "*\n"
