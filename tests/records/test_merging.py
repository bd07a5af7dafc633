"""Archives of several machines that become one: nothing is lost, nothing is made anew, and whatever
does not verify is refused. No database is needed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from records.test_archive import pair, seal

from pgrunbook import files
from pgrunbook.cli.main import main
from pgrunbook.errors import Refused
from pgrunbook.ledger.heads import Head
from pgrunbook.records import attestation
from pgrunbook.records.archive import HEAD, MERGED, Archive
from pgrunbook.records.merging import Merged, merge
from pgrunbook.records.verification import verify


@pytest.fixture
def archives(tmp_path: Path) -> tuple[Archive, Archive, Archive]:
    """Three archives, of two records each."""
    made = Archive(tmp_path / "outputs"), Archive(tmp_path / "one"), Archive(tmp_path / "two")
    for number, archive in enumerate(made):
        seal(archive, 10 * number)
        seal(archive, 10 * number + 1)
    return made


def state(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_every_file_of_each_is_there_as_it_was(
    archives: tuple[Archive, Archive, Archive],
) -> None:
    own, one, two = archives
    before = [state(each.root) for each in archives]
    assert merge(own, one.root) == merge(own, two.root) == Merged(2, 0)
    found = verify(own)
    assert (found.problems, found.seals) == ((), 6)
    after = state(own.root)
    for each in before:
        assert {name: after[name] for name in each if name != HEAD} == {
            name: data for name, data in each.items() if name != HEAD
        }
    assert after[HEAD] == before[0][HEAD]
    assert after[MERGED] == before[1][HEAD] + before[2][HEAD]
    assert [state(one.root), state(two.root)] == before[1:]


def test_the_same_record_twice_is_one(archives: tuple[Archive, Archive, Archive]) -> None:
    own, one, two = archives
    merge(two, one.root)
    assert merge(own, one.root) == Merged(2, 0)
    assert merge(own, two.root) == Merged(2, 2)
    there = state(own.root)
    assert merge(own, one.root) == Merged(0, 2)
    assert merge(own, two.root) == Merged(0, 4)
    assert state(own.root) == there
    assert verify(own).problems == ()


def test_an_archive_that_has_grown_is_merged_again(
    archives: tuple[Archive, Archive, Archive],
) -> None:
    own, one, _ = archives
    merge(own, one.root)
    seal(one, 12)
    seal(own, 2)
    assert merge(own, one.root) == Merged(1, 2)
    assert (verify(own).problems, verify(own).seals) == ((), 6)


def test_an_empty_archive_takes_the_chain_of_the_other(
    archives: tuple[Archive, Archive, Archive], tmp_path: Path
) -> None:
    new = Archive(tmp_path / "new")
    assert merge(new, archives[0].root) == Merged(2, 0)
    assert state(new.root) == state(archives[0].root)
    seal(archives[0], 2)
    assert merge(new, archives[0].root) == Merged(1, 2)
    assert state(new.root) == state(archives[0].root)


def test_what_was_removed_of_a_merged_chain_shows(
    archives: tuple[Archive, Archive, Archive],
) -> None:
    own, one, _ = archives
    merge(own, one.root)
    seal(own, 2)
    whole = state(own.root)
    for name in state(one.root):
        if name == HEAD:
            continue
        (own.root / name).unlink()
        assert verify(own).problems, name
        (own.root / name).write_bytes(whole[name])
    (own.root / MERGED).unlink()
    assert verify(own).problems
    for name in state(one.root).keys() - {HEAD}:
        (own.root / name).unlink()
    (problem,) = verify(own).problems
    assert problem.what.startswith("removed or changed: a later seal names it")


def test_heads_that_ledgers_have_noted_hold(archives: tuple[Archive, Archive, Archive]) -> None:
    own, one, _ = archives
    noted = verify(one).head
    assert isinstance(noted, Head)
    merge(own, one.root)
    assert verify(own, heads={"crm": [noted]}).problems == ()


def test_a_chain_of_which_nothing_is_here_is_told(
    archives: tuple[Archive, Archive, Archive],
) -> None:
    """It may be another machine's; but it may have been merged, and removed as a whole."""
    own, one, _ = archives
    heads = [verify(archive).head for archive in (own, one)]
    noted = [head for head in heads if head]
    assert len(noted) == 2
    found = verify(own, heads={"crm": noted})
    assert found.problems == ()
    assert [noted[1].name in note for note in found.notes] == [True]
    merge(own, one.root)
    assert verify(own, heads={"crm": noted}).notes == ()


def test_a_file_is_no_archive_to_merge_into(
    archives: tuple[Archive, Archive, Archive], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(Refused, match="there is no archive"):
        merge(Archive(file), archives[1].root)


@pytest.mark.parametrize("broken", ["outputs", "one"])
def test_what_does_not_verify_is_refused(
    archives: tuple[Archive, Archive, Archive], broken: str
) -> None:
    own, one, _ = archives
    chosen = {"outputs": own, "one": one}[broken]
    next(chosen.root.rglob("*.ipynb")).write_text("{}")
    (chosen.root / "more.ipynb").write_text("{}")
    before = state(own.root)
    with pytest.raises(Refused) as caught:
        merge(own, one.root)
    assert sorted(problem.what.split(":")[0] for problem in caught.value.problems) == [
        "added, or not sealed yet",
        "changed",
    ]
    assert state(own.root) == before


def test_without_a_signature_it_is_refused_where_a_key_is_asked_for(
    archives: tuple[Archive, Archive, Archive], tmp_path: Path
) -> None:
    private, public = pair(tmp_path)
    signed = Archive(tmp_path / "signed")
    seal(signed, 50, private)
    keys = [attestation.public_key(public)]
    new = Archive(tmp_path / "new")
    assert merge(new, signed.root, keys) == Merged(1, 0)
    with pytest.raises(Refused, match="not signed with any of the keys"):
        merge(new, archives[1].root, keys)


def test_another_record_of_the_same_name_is_refused(
    archives: tuple[Archive, Archive, Archive],
) -> None:
    own, one, _ = archives
    seal(own, 5)
    seal(one, 5, verdict="failed")
    with pytest.raises(Refused, match="is another file in the other archive"):
        merge(own, one.root)
    assert verify(own).problems == ()


@pytest.mark.parametrize("further", [1, 2])
def test_copies_that_went_on_apart_are_refused(
    archives: tuple[Archive, Archive, Archive], tmp_path: Path, further: int
) -> None:
    own = archives[0]
    copy = Archive(shutil.copytree(own.root, tmp_path / "copy"))
    seal(own, 30)
    for number in range(further):
        seal(copy, 40 + number)
    with pytest.raises(Refused, match="copies of one archive went on apart"):
        merge(own, copy.root)


def test_what_broke_off_is_finished_by_the_same_call(
    archives: tuple[Archive, Archive, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, one, _ = archives
    left, written = 0, files.write

    def write(path: Path, data: bytes) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        written(path, data)

    # a call finds what the one before has left, and comes as far, at most
    for number in range(30):
        left = number % 3
        with monkeypatch.context() as patched:
            patched.setattr(files, "write", write)
            try:
                merge(own, one.root)
            except KeyboardInterrupt:
                continue
            break
    assert number > 2
    assert (verify(own).problems, verify(own).seals) == ((), 4)


def test_the_command(
    archives: tuple[Archive, Archive, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, one, two = archives
    root = own.root.parent
    (root / "pgrunbook.toml").write_text("")
    monkeypatch.setenv("PGRUNBOOK_ROOT", str(root))
    done = CliRunner().invoke(main, ["archive", "merge", str(one.root), str(two.root)])
    assert done.output == "merged: 4 records added, 0 were there already\n", done.output
    done = CliRunner().invoke(main, ["archive", "merge", str(own.root)])
    assert (done.exit_code, "is in the archive" in done.output) == (2, True)
    (one.root / "more.ipynb").write_text("{}")
    done = CliRunner().invoke(main, ["archive", "merge", str(one.root)])
    assert (done.exit_code, "one/more.ipynb" in done.output) == (2, True), done.output
