"""An archive into which somebody has put names and files that lead elsewhere: nothing outside is
read, written or removed, whatever it says; and each record keeps its page. No database is needed.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.projects import Project

from pgrunbook.cli import main
from pgrunbook.errors import Failed, Refused, RunbookError
from pgrunbook.records.archive import HEAD, Archive
from pgrunbook.records.naming import SEAL
from pgrunbook.records.site import Site
from pgrunbook.records.verification import verify, verify_alone

SECRET = "nobody's business"


def notebook(text: str = "all is well") -> str:
    cells = [{"cell_type": "markdown", "id": "text", "metadata": {}, "source": text}]
    noted = {"verdict": "passed", "reason": "done"}
    return json.dumps(
        {"cells": cells, "metadata": {"pgrunbook": noted}, "nbformat": 4, "nbformat_minor": 5}
    )


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Of one sealed record, in a folder that has other things in it."""
    archive = Archive(tmp_path / "project" / "outputs")
    (tmp_path / "empty").mkdir()
    made(archive, "crm/001_x/run.ipynb")
    archive.seal(archive.root / "crm/001_x/run.ipynb", {"verdict": "passed"}, {}, None)
    for name in ("x.html", "x.ipynb", f"x{SEAL}", "HEAD", "run.html", "index.html", "style.css"):
        (tmp_path / name).write_text(notebook(SECRET))
        (archive.root.parent / name).write_text(notebook(SECRET))
    return archive


def made(archive: Archive, name: str, text: str = "all is well") -> Path:
    path = archive.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook(text))
    return path


@pytest.fixture(autouse=True)
def unharmed(archive: Archive, tmp_path: Path) -> Any:
    """What lies outside is there afterwards as it was, and nothing besides; and no page has any of
    it.
    """

    def outside() -> dict[str, bytes]:
        found = [
            path
            for path in tmp_path.rglob("*")
            if not path.is_relative_to(archive.root) and path.is_file()
        ]
        return {str(path): path.read_bytes() for path in found}

    before = outside()
    yield
    assert outside() == before
    for folder, _, files in os.walk(archive.root / "site"):
        for page in [Path(folder) / name for name in files]:
            assert page.is_symlink() or SECRET not in page.read_text()


def index(archive: Archive, **changed: str) -> None:
    """Have the site's index name another page for the record, and forget the record itself."""
    Site(archive).build()
    path = archive.root / "site" / "index.jsonl"
    first, line = path.read_text().splitlines()
    path.write_text(f"{first}\n{json.dumps(json.loads(line) | changed)}\n")


@pytest.mark.parametrize("name", ["crm/001_x/run.ipynb", "gone.ipynb"])
@pytest.mark.parametrize(
    "page",
    ["../../x.html", "../../../x.html", "{tmp}/x.html", "crm/../../../x.html", "x\0.html", ""],
)
def test_a_page_that_lies_elsewhere_is_not_removed(
    archive: Archive, tmp_path: Path, name: str, page: str
) -> None:
    index(archive, name=name, page=page.format(tmp=tmp_path))
    assert Site(archive).build()[1] == 1
    assert (archive.root / "site/crm/001_x/run.html").exists()


@pytest.mark.parametrize(
    "line", ["{}", "[]", "1", '{"name": 1}', "{" * 100_000, '{"seconds": "0", "page": []}']
)
def test_an_index_of_another_form_is_made_anew(archive: Archive, line: str) -> None:
    index(archive)
    path = archive.root / "site" / "index.jsonl"
    path.write_text(f"{path.read_text().splitlines()[0]}\n{line}\n")
    assert Site(archive).build() == (1, 1)


def test_the_index_of_what_is_of_another_type_is_made_anew(archive: Archive) -> None:
    index(archive, seconds="fast")
    assert Site(archive).build() == (1, 1)


@pytest.mark.parametrize(
    "link", ["site", "site/crm", "site/crm/001_x/run.html", "site/index.html", "site/style.css"]
)
def test_pages_are_not_written_through_a_link(archive: Archive, tmp_path: Path, link: str) -> None:
    path = archive.root / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / path.name if path.suffix else tmp_path / "empty")
    with pytest.raises(Failed, match="the pages cannot be written"):
        Site(archive).build()


@pytest.mark.parametrize("target", ["x.ipynb", "nowhere.ipynb"])
def test_a_record_that_is_a_link_is_named_and_not_read(
    archive: Archive, tmp_path: Path, target: str
) -> None:
    link = archive.root / "crm" / "link.ipynb"
    link.symlink_to(tmp_path / target)
    assert ("is not a file of a record, and was not read", "crm/link.ipynb") in [
        (problem.what, problem.where) for problem in verify(archive).problems
    ]
    assert Site(archive).build()[1] == 1
    for act in (lambda: archive.seal(link, {}, {}, None), lambda: archive.check(link)):
        with pytest.raises(Refused):
            act()


def test_a_folder_that_is_a_link_is_not_entered(archive: Archive, tmp_path: Path) -> None:
    link = archive.root / "elsewhere"
    link.symlink_to(tmp_path)
    assert [problem.where for problem in verify(archive).problems] == ["elsewhere"]
    assert Site(archive).build()[1] == 1
    with pytest.raises(Refused, match="is not in the archive"):
        archive.seal(link / "x.ipynb", {}, {}, None)


@pytest.mark.parametrize("part", [".html", ".ledger.json", ".snapshots.json", SEAL])
def test_what_is_beside_a_notebook_is_no_link(archive: Archive, tmp_path: Path, part: str) -> None:
    notebook = made(archive, "crm/new.ipynb")
    notebook.with_name(f"new{part}").symlink_to(tmp_path / "x.html")
    with pytest.raises(Refused, match="is not a regular file"):
        archive.seal(notebook, {}, {}, None)


@pytest.mark.parametrize("name", [".lock", ".seal", HEAD])
def test_what_an_archive_is_written_with_is_no_link(
    archive: Archive, tmp_path: Path, name: str
) -> None:
    (archive.root / name).unlink(missing_ok=True)
    (archive.root / name).symlink_to(tmp_path / "x.html")
    notebook = made(archive, "crm/new.ipynb")
    with pytest.raises(RunbookError):
        archive.seal(notebook, {}, {}, None)
    with pytest.raises(RunbookError):
        archive.check(archive.root / "crm" / "newer.ipynb")


def test_a_pipe_is_not_waited_for(archive: Archive) -> None:
    for name in ("crm/pipe.ipynb", f"crm/pipe{SEAL}"):
        os.mkfifo(archive.root / name)
    assert {problem.where for problem in verify(archive).problems} == {
        "crm/pipe.ipynb",
        f"crm/pipe{SEAL}",
    }
    assert Site(archive).build()[1] == 1


@pytest.mark.parametrize(
    "name", ["../../x", "{tmp}/x", "crm/../../../x", "crm/001_x/../../../x", "./x", "crm//x"]
)
def test_a_head_that_names_what_lies_elsewhere_moves_nothing(
    archive: Archive, tmp_path: Path, name: str
) -> None:
    """As a seal that was interrupted would be put into its place."""
    new = archive.root / ".seal"
    shutil.copy(archive.root / f"crm/001_x/run{SEAL}", new)
    (tmp_path / f"x{SEAL}").unlink()
    (archive.root.parent / f"x{SEAL}").unlink()
    sha256 = (archive.root / HEAD).read_text().split()[0]
    (archive.root / HEAD).write_text(f"{sha256}  {name.format(tmp=tmp_path)}{SEAL}\n")
    assert any(problem.where == HEAD for problem in verify(archive).problems)
    with pytest.raises(Failed):
        archive.seal(made(archive, "crm/new.ipynb"), {}, {}, None)
    assert new.exists()
    assert not [*tmp_path.glob(f"*{SEAL}"), *archive.root.parent.glob(f"*{SEAL}")]
    (tmp_path / f"x{SEAL}").write_text(notebook(SECRET))  # as it was
    (archive.root.parent / f"x{SEAL}").write_text(notebook(SECRET))


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\0" * 100, b"0" * 64 + b"  a\nb\n", b"\xff" * 70 + b"\n"]
)
def test_a_head_of_another_form_is_named(archive: Archive, content: bytes) -> None:
    (archive.root / HEAD).write_bytes(content)
    assert HEAD in [problem.where for problem in verify(archive).problems]


def test_a_head_that_is_huge_is_not_read_as_a_whole(archive: Archive) -> None:
    os.truncate(archive.root / HEAD, 2**40)
    assert HEAD in [problem.where for problem in verify(archive).problems]


def names_of(archive: Archive, *names: str) -> Path:
    """The seal of the record, about files of these names."""
    path = archive.root / f"crm/001_x/run{SEAL}"
    envelope = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    digest = statement["subject"][0]["digest"]
    statement["subject"] = [{"name": name, "digest": digest} for name in names]
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path.write_text(json.dumps(envelope))
    return path


@pytest.mark.parametrize(
    "name", ["../../x.ipynb", "..", "", "/", ".", "crm/..", "a\nPASSED: b", "x\0", "\ud800"]
)
def test_a_seal_about_what_lies_elsewhere(archive: Archive, name: str) -> None:
    path = names_of(archive, name, name)
    found = verify(archive)
    assert found.problems
    assert "\nPASSED" not in found.text()
    found.text().encode()
    assert verify_alone(path.with_name("run.ipynb")).problems
    Site(archive).build(anew=True)
    assert "Do not rely on this page" in (archive.root / "site/crm/001_x/run.html").read_text()


NAMES = [
    "index.ipynb",
    "INDEX.ipynb",
    "index.jsonl.ipynb",
    "style.css.ipynb",
    "assets.ipynb",
    "site.ipynb",
    "crm/index.ipynb",
    "index.html/a.ipynb",
    "style.css/a.ipynb",
    "b.html/a.ipynb",
    "a.ipynb",
    "A.ipynb",
    "a.html.ipynb",
    "a%20b.ipynb",
    "a b.ipynb",
    "a+b.ipynb",
    "50%.ipynb",
    "a#b?c.ipynb",
    "javascript:alert(1).ipynb",
    "\u00e9.ipynb",
    "e\u0301.ipynb",
    "a\"'<script>alert(1)<script>.ipynb",
    f"{'x' * 220}.ipynb",
]


def test_each_record_keeps_its_page_whatever_it_is_called(archive: Archive) -> None:
    for name in NAMES:
        archive.seal(made(archive, name, f"this is {name.encode().hex()}"), {}, {}, None)
    assert Site(archive).build() == (len(NAMES) + 1, len(NAMES) + 1)
    site = archive.root / "site"
    pages = [
        path for path in site.rglob("*.htm*") if path.is_file() and path != site / "index.html"
    ]
    assert len({str(path).casefold() for path in pages}) == len(pages) == len(NAMES) + 1
    texts = [path.read_text() for path in pages]
    for name in NAMES:
        assert len([text for text in texts if f"this is {name.encode().hex()}<" in text]) == 1, name
    assert "Records of database changes" in (site / "index.html").read_text()
    assert not any("<script>alert" in text for text in texts)
    assert Site(archive).build() == (0, len(NAMES) + 1), "each is made once"
    assert verify(archive).problems == ()


def test_a_record_that_comes_to_be_alike_another_costs_neither_its_page(archive: Archive) -> None:
    for name in ("b.ipynb", "B.ipynb"):
        archive.seal(made(archive, name, f"this is {name}"), {}, {}, None)
        Site(archive).build()
    pages = [
        path.read_text()
        for path in (archive.root / "site").glob("*.htm*")
        if path.name != "index.html"
    ]
    assert sorted(name for text in pages for name in re.findall("this is (..ipynb)", text)) == [
        "B.ipynb",
        "b.ipynb",
    ]


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\x1b[2Jb", "a\u202eb", "a\u2028b", "x" * 246])
def test_what_no_line_could_name_is_not_sealed_and_shows_as_no_line_of_its_own(
    archive: Archive, name: str
) -> None:
    path = made(archive, f"{name}.ipynb")
    with pytest.raises(Refused, match="is not kept in an archive"):
        archive.seal(path, {}, {}, None)
    (problem,) = verify(archive).problems
    assert problem.where.isprintable()
    assert Site(archive).build()[1] == 1
    path.unlink()
    assert verify(archive).problems == ()


def test_a_name_that_is_no_text_costs_no_other_its_page(archive: Archive) -> None:
    (archive.root / os.fsdecode(b"\xff\xfe.ipynb")).write_text(notebook())
    verify(archive).text().encode()
    assert Site(archive).build()[1] == 1


def test_the_commands_on_a_page_run_nothing_else(archive: Archive) -> None:
    """They are to be pasted into a shell."""
    archive.seal(made(archive, "x'; touch harm; echo '.ipynb"), {}, {}, None)
    Site(archive).build()
    (page,) = (archive.root / "site").glob("x*.html")
    (command,) = re.findall(r"<pre>(printf .*?)</pre>", page.read_text())
    done = subprocess.run(
        ["sh", "-ec", html.unescape(command)], cwd=archive.root, capture_output=True, check=True
    )
    assert done.stdout == b"x'; touch harm; echo '.ipynb: OK\n"
    assert not (archive.root / "harm").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"cells": [], "metadata": {"pgrunbook": {"verdict": ["passed"], "reason": {}}}}',
        '{"cells": [], "metadata": {"papermill": {"duration": 1e999, "start_time": 7, '
        '"parameters": {"ticket": []}}}}',
        '{"cells": [], "metadata": {"papermill": {"parameters": []}}}',
        '{"cells": [], "metadata": []}',
    ],
)
def test_a_notebook_of_another_form_costs_no_other_its_page(archive: Archive, text: str) -> None:
    (archive.root / "crm" / "odd.ipynb").write_text(text)
    assert Site(archive).build()[1] == 2
    assert "all is well" in (archive.root / "site/crm/001_x/run.html").read_text()
    assert [problem.where for problem in verify(archive).problems] == ["crm/odd.ipynb"]


def test_a_notebook_that_is_huge_is_not_read(archive: Archive) -> None:
    (archive.root / "crm" / "huge.ipynb").touch()
    os.truncate(archive.root / "crm" / "huge.ipynb", 2**40)
    Site(archive).build()
    assert "larger than" in (archive.root / "site/crm/huge.html").read_text()


# -- an archive that was emptied
# -------------------------------------------------------------------------------


@pytest.fixture
def verified(
    archive: Archive, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[int, str]]:
    """`verified(*arguments)`: exit code and text of `pgrunbook archive verify`; `KEY` is a public
    key.
    """
    folder = tmp_path_factory.mktemp("keys")
    for command in ("genpkey -algorithm ed25519 -out k.pem", "pkey -in k.pem -pubout -out p.pem"):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    toml = archive.root.parent / "pgrunbook.toml"

    def call(*arguments: str, settings: str = "") -> tuple[int, str]:
        before = toml.read_bytes() if toml.exists() else None
        toml.write_text(settings.replace("KEY", str(folder / "p.pem")))
        given = [argument.replace("KEY", str(folder / "p.pem")) for argument in arguments]
        env = {"PGRUNBOOK_ROOT": str(toml.parent)}
        done = CliRunner().invoke(main.main, ["archive", "verify", *given], env=env)
        toml.unlink() if before is None else toml.write_bytes(before)
        return done.exit_code, done.output

    return call


PUBLIC_KEYS = '[archive]\npublic_keys = ["KEY"]\n'
NOTHING = "nothing is sealed here that could be checked with a key"


def test_an_archive_that_is_not_there_is_refused(
    archive: Archive, verified: Callable[..., tuple[int, str]]
) -> None:
    shutil.rmtree(archive.root)
    for arguments in ([], ["--key", "KEY"]):
        code, text = verified(*arguments)
        assert (code, "there is no archive\n" in text) == (2, True), text


@pytest.mark.parametrize("how", ["emptied", "only pages", "only a note"])
def test_an_archive_that_was_emptied_does_not_pass_a_key(
    archive: Archive, verified: Callable[..., tuple[int, str]], how: str
) -> None:
    shutil.rmtree(archive.root)
    archive.root.mkdir()
    if how == "only pages":
        Site(archive).build()
    if how == "only a note":
        (archive.root / "README.md").touch()
    code, text = verified("--key", "KEY")
    assert (code, NOTHING in text) == (1, True)
    assert json.loads(verified("--key", "KEY", "--json")[1])["problems"]
    code, text = verified(settings=PUBLIC_KEYS)
    assert (code, NOTHING in text) == (1, True)
    assert verified() == (0, "no record is sealed here: nothing was checked\n")


@pytest.mark.parametrize(
    "left",
    [[HEAD], ["crm/001_x/run.ipynb"], [f"crm/001_x/run{SEAL}"], ["crm/001_x/run.ipynb", HEAD]],
)
def test_whatever_is_left_of_an_archive_does_not_pass(
    archive: Archive, verified: Callable[..., tuple[int, str]], left: list[str]
) -> None:
    for path in [path for path in archive.root.rglob("*") if path.is_file()]:
        if path.relative_to(archive.root).as_posix() not in left:
            path.unlink()
    assert [verified()[0], verified("--key", "KEY")[0], verified(settings=PUBLIC_KEYS)[0]] == [
        1,
        1,
        1,
    ]


def test_an_archive_without_a_signature_does_not_pass_a_key(
    verified: Callable[..., tuple[int, str]],
) -> None:
    code, text = verified("--key", "KEY")
    assert (code, "no signature" in text) == (1, True)
    assert verified()[0] == 0


@pytest.mark.parametrize("command", ["seal", "diff"])
def test_what_is_no_file_is_never_read(project: Project, command: str) -> None:
    """To read a pipe may take for ever, and a link may lead anywhere."""
    outputs = project.root / "outputs"
    outputs.mkdir()
    os.mkfifo(outputs / "pipe.ipynb")
    (outputs / "link.ipynb").symlink_to("/dev/zero")
    for name in ("pipe.ipynb", "link.ipynb"):
        paths = [outputs / name] * (2 if command == "diff" else 1)
        done = project.command("archive", command, *paths)
        assert (done.code, "is not a regular file" in done.text) == (2, True), done.text
