"""An archive on the disk: what was changed, removed, added or reordered is found and named. No
database is needed.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgrunbook.errors import Failed, Refused
from pgrunbook.ledger.heads import Head
from pgrunbook.records import attestation
from pgrunbook.records.archive import HEAD, Archive
from pgrunbook.records.naming import SEAL
from pgrunbook.records.verification import verify, verify_alone

RUNS = 4
ENDINGS = (".ipynb", ".ledger.json", ".snapshots.json", SEAL)


def record(archive: Archive, number: int) -> Path:
    """An executed notebook, and two files beside it."""
    folder = archive.root / "staging" / "001_example"
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / f"run{number}.ipynb"
    notebook.write_text(f'{{"run": {number}}}')
    for kind in ("snapshots", "ledger"):
        notebook.with_suffix(f".{kind}.json").write_text(f'{{"{kind} of": {number}}}')
    return notebook


def seal(archive: Archive, number: int, key: Path | None = None, verdict: str = "passed") -> Head:
    signer = attestation.signer(key) if key else None
    return archive.seal(
        record(archive, number), {"verdict": verdict}, {"deploy/010.sql": "0" * 64}, signer
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of a private key and of its public one."""
    return pair(tmp_path_factory.mktemp("keys"))


def pair(folder: Path) -> tuple[Path, Path]:
    private = Ed25519PrivateKey.generate()
    paths = folder / "private.pem", folder / "public.pem"
    paths[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return paths


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive of four records. Not to be changed."""
    archive = Archive(tmp_path_factory.mktemp("whole") / "outputs")
    for number in range(1, RUNS + 1):
        seal(archive, number)
    return archive


@pytest.fixture
def copy(whole: Archive, tmp_path: Path) -> Archive:
    """The same, to be changed."""
    return Archive(shutil.copytree(whole.root, tmp_path / "outputs"))


def file(archive: Archive, number: int, ending: str) -> Path:
    return archive.root / "staging" / "001_example" / f"run{number}{ending}"


def wrong(archive: Archive, *heads: Head) -> dict[str, str]:
    found = verify(archive, heads={"staging": heads}).problems
    return {problem.where.rsplit("/", 1)[-1]: problem.what for problem in found}


def test_a_whole_archive_is_found_whole(whole: Archive) -> None:
    verified = verify(whole)
    assert (verified.seals, verified.signed, verified.problems) == (RUNS, None, ())
    assert verified.head
    assert verified.head.sequence == RUNS


def test_an_archive_without_records_is_whole(tmp_path: Path) -> None:
    assert verify(Archive(tmp_path)).problems == ()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_change_of_any_byte_is_found(whole: Archive, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([*whole.files(), whole.root / HEAD]))
    before = path.read_bytes()
    position = data.draw(st.integers(0, len(before) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != before[position]))
    try:
        path.write_bytes(before[:position] + bytes([other]) + before[position + 1 :])
        found = verify(whole).problems
    finally:
        path.write_bytes(before)
    assert any(path.name in (p.where.rsplit("/", 1)[-1]) or p.where == HEAD for p in found), found


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("number", [1, 2, RUNS])
def test_each_byte_of_a_file_counts(copy: Archive, number: int, ending: str) -> None:
    path = file(copy, number, ending)
    before = path.read_bytes()
    for position in range(0, len(before), 1 if len(before) < 200 else 97):
        path.write_bytes(before[:position] + bytes([before[position] ^ 1]) + before[position + 1 :])
        assert path.name in wrong(copy) or HEAD in wrong(copy), position


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize("cut", [0, 1, -1])
def test_a_file_that_was_cut_or_made_longer_is_found(
    copy: Archive, number: int, ending: str, cut: int
) -> None:
    path = file(copy, number, ending)
    before = path.read_bytes()
    path.write_bytes(before + b"\n" if cut == 1 else before[:cut])
    assert path.name in wrong(copy) or HEAD in wrong(copy)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("number", [1, 2, RUNS])
def test_a_file_that_was_removed_is_named(copy: Archive, number: int, ending: str) -> None:
    path = file(copy, number, ending)
    path.unlink()
    found = wrong(copy)
    if path.name.endswith(SEAL) and number == RUNS:
        assert HEAD in found
    else:
        assert "removed" in found[path.name]


@pytest.mark.parametrize("number", range(1, RUNS + 1))
def test_a_record_that_was_removed_is_found(copy: Archive, number: int) -> None:
    for ending in ENDINGS:
        file(copy, number, ending).unlink()
    assert wrong(copy).keys() == {HEAD if number == RUNS else f"run{number}{SEAL}"}


def test_a_copy_that_jupyterlab_keeps_is_called_what_it_is(copy: Archive) -> None:
    path = copy.root / "staging" / "001_example" / ".ipynb_checkpoints" / "run1-checkpoint.ipynb"
    path.parent.mkdir()
    path.write_text("{}")
    (problem,) = verify(copy).problems
    assert problem.what.startswith("JupyterLab's own copy")
    assert problem.remedy == f"rm {path}"


@pytest.mark.parametrize(
    "name", ["staging/001_example/run5.ipynb", "staging/run1.html", "new", "staging/.hidden"]
)
def test_a_file_that_was_added_is_named(copy: Archive, name: str) -> None:
    (copy.root / name).write_text("{}")
    assert wrong(copy) == {name.rsplit("/", 1)[-1]: "added, or not sealed yet: no seal is about it"}


def test_what_keeps_the_folder_in_a_repository_is_no_record(copy: Archive) -> None:
    (copy.root / ".gitkeep").touch()
    (copy.root / ".gitignore").write_text("site/\n")
    assert wrong(copy) == {}


@pytest.mark.parametrize(
    ("states", "ended", "what"),
    [
        (
            ("completed", "running", "pending"),
            None,
            "not sealed yet: its run has not ended, or its runner was killed",
        ),
        (
            ("completed", "pending"),
            None,
            "not sealed yet: its run has not ended, or its runner was killed",
        ),
        (
            ("failed", "pending"),
            "2026-01-31T12:00:00+00:00",
            "added, or not sealed yet: no seal is about it",
        ),
        (("completed", "completed"), None, "added, or not sealed yet: no seal is about it"),
    ],
)
def test_a_run_that_has_not_ended_is_told_from_a_file_that_was_added(
    copy: Archive, states: tuple[str, ...], ended: str | None, what: str
) -> None:
    cells = [
        {"cell_type": "code", "metadata": {"papermill": {"status": state}}} for state in states
    ]
    file(copy, 5, ".ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {"papermill": {"end_time": ended}}})
    )
    (problem,) = verify(copy).problems
    assert (problem.what, problem.where) == (what, "staging/001_example/run5.ipynb")
    assert problem.remedy.endswith(f"pgrunbook archive seal {file(copy, 5, '.ipynb')}")
    assert problem.remedy.startswith("wait until it has ended") is ("killed" in what)


def test_a_record_with_a_seal_of_its_own_does_not_pass(copy: Archive, tmp_path: Path) -> None:
    """Made elsewhere as the fifth of its chain."""
    other = Archive(tmp_path / "other")
    for number in range(1, RUNS + 2):
        seal(other, number, verdict="failed")
    for ending in ENDINGS:
        shutil.copy(file(other, RUNS + 1, ending), file(copy, RUNS + 1, ending))
    assert {f"run{RUNS}{SEAL}", HEAD} <= wrong(copy).keys()
    shutil.copy(other.root / HEAD, copy.root / HEAD)
    assert f"run{RUNS}{SEAL}" in wrong(copy)


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(range(1, RUNS + 1), 2)])
@pytest.mark.parametrize("endings", [(ending,) for ending in ENDINGS] + [ENDINGS])
def test_records_that_were_swapped_are_found(
    copy: Archive, one: int, other: int, endings: tuple[str, ...]
) -> None:
    for ending in endings:
        first, second = file(copy, one, ending), file(copy, other, ending)
        first_bytes = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(first_bytes)
    assert {name.partition(".")[0] for name in wrong(copy)} >= {f"run{one}", f"run{other}"}


def test_a_tail_that_was_cut_off_with_its_head_shows_where_the_head_was_noted(
    copy: Archive,
) -> None:
    noted = verify(copy).head
    assert noted
    for number in (RUNS - 1, RUNS):
        for ending in ENDINGS:
            file(copy, number, ending).unlink()
    last = copy.read(file(copy, RUNS - 2, SEAL))
    (copy.root / HEAD).write_text(f"{last.sha256}  {last.name}\n")
    assert wrong(copy) == {}
    assert "removed" in wrong(copy, noted)[f"run{RUNS}{SEAL}"]


def test_an_archive_that_was_emptied_or_begun_anew_shows_where_the_head_was_noted(
    copy: Archive,
) -> None:
    noted = verify(copy).head
    assert noted
    shutil.rmtree(copy.root)
    assert verify(copy).text() == "no record is sealed here: nothing was checked"
    assert wrong(copy) == {"": "nothing is sealed here that could be checked with target 'staging'"}
    assert "was emptied, or begun anew" in wrong(copy, noted)[HEAD]
    seal(copy, RUNS + 1)
    assert wrong(copy) == {}
    assert "was emptied, or begun anew" in wrong(copy, noted)[HEAD]


@pytest.mark.parametrize(
    ("content", "what"), [(None, "the seal is missing"), (b"{", "changed: the seal cannot be read")]
)
def test_a_record_outside_of_its_archive_whose_seal_cannot_be_read(
    copy: Archive, content: bytes | None, what: str
) -> None:
    path = file(copy, 1, SEAL)
    path.unlink()
    if content:
        path.write_bytes(content)
    assert [(p.what, p.where) for p in verify_alone(file(copy, 1, ".ipynb")).problems] == [
        (what, path.name)
    ]


# -- beside runs at work
# -------------------------------------------------------------------------------------


Meanwhile = Callable[[Iterable[Callable[[], object]]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Have each of these happen when the files have just been listed, one a time."""
    listed = Archive.files

    def install(events: Iterable[Callable[[], object]]) -> None:
        left = iter(events)

        def files(archive: Archive) -> Iterator[Path]:
            found = [*listed(archive)]
            next(left, lambda: None)()
            return iter(found)

        monkeypatch.setattr(Archive, "files", files)

    return install


def test_a_run_that_seals_its_record_meanwhile_is_no_tampering(
    copy: Archive, meanwhile: Meanwhile
) -> None:
    meanwhile([partial(seal, copy, RUNS + 1), partial(seal, copy, RUNS + 2)])
    verified = verify(copy)
    assert (verified.seals, verified.problems) == (RUNS + 2, ())


def test_a_seal_that_gets_into_its_place_meanwhile_was_not_interrupted(
    copy: Archive, meanwhile: Meanwhile
) -> None:
    new, place = copy.root / ".seal", file(copy, RUNS, SEAL)
    place.rename(new)
    meanwhile([partial(new.rename, place)])
    assert wrong(copy) == {}


def test_an_archive_that_never_rests_is_said_to(copy: Archive, meanwhile: Meanwhile) -> None:
    meanwhile(partial(seal, copy, number) for number in itertools.count(RUNS + 1))
    assert "runs seal their records faster than the archive is read" in [
        p.what for p in verify(copy).problems
    ]


# -- keys
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_a_key_that_cannot_be_used_comes_with_the_command_that_makes_one(
    tmp_path: Path, there: bool
) -> None:
    """Which writes over no file."""
    key, public = tmp_path / "a key.pem", tmp_path / "public.pem"
    if there:
        key.write_text("the only copy of something else")
    with pytest.raises(Refused) as refused:
        attestation.signer(key)
    command = refused.value.problems[0].remedy
    subprocess.run(command, shell=True, check=True, capture_output=True)
    made = tmp_path / "a key-ed25519.pem" if there else key
    attestation.signer(made)
    assert not there or key.read_text() == "the only copy of something else"
    with pytest.raises(Refused) as refused:
        attestation.public_key(public, made)
    command = refused.value.problems[0].remedy
    subprocess.run(command, shell=True, check=True, capture_output=True)
    attestation.public_key(public)


def test_seals_are_signed_and_the_public_key_tells(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    archive = Archive(tmp_path)
    seal(archive, 1, keys[0])
    seal(archive, 2, keys[0])
    assert verify(archive, [attestation.public_key(keys[1])]).signed == 2
    (tmp_path / "other").mkdir()
    stranger = attestation.public_key(pair(tmp_path / "other")[1])
    shutil.rmtree(tmp_path / "other")
    assert [p.what for p in verify(archive, [stranger]).problems] == [
        "not signed with any of the keys"
    ] * 2


def test_a_seal_without_a_signature_does_not_pass_where_a_key_is_asked_for(
    whole: Archive, keys: tuple[Path, Path]
) -> None:
    verified = verify(whole, [attestation.public_key(keys[1])])
    assert [p.found for p in verified.problems] == ["no signature"] * RUNS


@pytest.mark.parametrize("content", [b"", b"no key", None])
def test_a_key_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    for read in (attestation.signer, attestation.public_key):
        with pytest.raises(Refused, match="the key cannot be used"):
            read(path)


# -- sealing
# -------------------------------------------------------------------------------------------------


def test_a_record_is_sealed_once(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    seal(archive, 1)
    with pytest.raises(Refused, match="sealed already"):
        seal(archive, 1)
    assert verify(archive).problems == ()


def test_a_record_is_not_taken_for_one_whose_name_begins_like_its_own(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    longer = record(archive, 1).rename(file(archive, 1, ".2.ipynb"))
    for kind in ("ledger", "snapshots"):
        file(archive, 1, f".{kind}.json").rename(longer.with_suffix(f".{kind}.json"))
    seal(archive, 1)
    assert "run1.2.ipynb" in wrong(archive)
    archive.seal(longer, {}, {}, None)
    subjects = [
        [Path(r.name).name for r in archive.read(file(archive, 1, end)).statement.subject]
        for end in (SEAL, f".2{SEAL}")
    ]
    assert subjects == [
        ["run1.ipynb", "run1.ledger.json", "run1.snapshots.json"],
        ["run1.2.ipynb", "run1.2.ledger.json", "run1.2.snapshots.json"],
    ]
    assert wrong(archive) == {}


def test_a_seal_that_cannot_be_read_hides_no_other_record(copy: Archive) -> None:
    file(copy, 1, SEAL).write_bytes(b"{")
    for name in ("run1.2.ipynb", "run1.2.html"):
        (file(copy, 1, ".ipynb").parent / name).write_text("{}")
    assert wrong(copy).keys() == {f"run1{SEAL}", "run1.2.ipynb", "run1.2.html"}


def test_a_record_must_be_in_the_archive(tmp_path: Path) -> None:
    elsewhere = record(Archive(tmp_path / "elsewhere"), 1)
    with pytest.raises(Refused, match="is not in the archive"):
        Archive(tmp_path / "outputs").seal(elsewhere, {}, {}, None)


NO_NOTEBOOK = "is not called as the notebook of a record is"
AMONG_PAGES = "is where the pages are made, and no record is looked for"


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("j.json", [NO_NOTEBOOK]),
        ("noext", [NO_NOTEBOOK]),
        (".ipynb", [NO_NOTEBOOK]),
        ("site/s.ipynb", [AMONG_PAGES]),
        ("site/j.json", [NO_NOTEBOOK, AMONG_PAGES]),
    ],
)
def test_what_verify_could_not_check_is_not_sealed(
    copy: Archive, name: str, problems: list[str]
) -> None:
    notebook = copy.root / name
    notebook.parent.mkdir(exist_ok=True)
    notebook.write_text("{}")
    with pytest.raises(Refused) as refused:
        copy.seal(notebook, {}, {}, None)
    assert [(p.what, p.where, bool(p.expected and p.remedy)) for p in refused.value.problems] == [
        (what, name, True) for what in problems
    ]
    notebook.unlink()
    seal(copy, RUNS + 1)
    assert wrong(copy) == {}


SEAL_SEVERAL = """
import pathlib, sys
from pgrunbook.records.archive import Archive
root, *notebooks = map(pathlib.Path, sys.argv[1:])
for notebook in notebooks:
    Archive(root).seal(notebook, {}, {}, None)
"""


def test_seals_made_at_the_same_moment_are_all_in_the_chain(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    notebooks = [record(archive, number) for number in range(12)]
    command = [sys.executable, "-c", SEAL_SEVERAL, str(tmp_path)]
    processes = [subprocess.Popen([*command, *map(str, notebooks[n::4])]) for n in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    verified = verify(archive)
    assert (verified.seals, verified.problems) == (12, ())


class _Killed(BaseException):
    """What no code of ours catches."""


@pytest.mark.parametrize("step", range(1, 8))
def test_a_seal_that_was_interrupted_is_finished_by_the_next(
    copy: Archive, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Killed before each rename or removal of a file."""
    notebook = record(copy, RUNS + 1)
    left = itertools.count(1)

    def dying(act: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **named: object) -> object:
            if next(left) >= step:
                raise _Killed
            return act(*arguments, **named)

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        try:
            copy.seal(notebook, {}, {}, None)
        except _Killed:
            assert wrong(copy), "that it is not sealed must show"
    seal(copy, RUNS + 2)
    if not copy.is_sealed(notebook):
        copy.seal(notebook, {}, {}, None)
    left_over = [path for path in copy.root.rglob(".*") if path.name != ".lock"]
    # temporary files of a process that was killed, which the verification names
    for path in left_over:
        assert path.name in wrong(copy)
        path.unlink()
    verified = verify(copy)
    assert (verified.seals, verified.problems) == (RUNS + 2, ())


@pytest.mark.parametrize("how", ["changed", "removed", "no head"])
def test_nothing_is_added_to_a_chain_whose_end_is_broken(copy: Archive, how: str) -> None:
    if how == "changed":
        file(copy, RUNS, SEAL).write_bytes(b"{}")
    elif how == "removed":
        file(copy, RUNS, SEAL).unlink()
    else:
        (copy.root / HEAD).unlink()
    with pytest.raises(Failed, match=HEAD):
        seal(copy, RUNS + 1)
    assert not file(copy, RUNS + 1, SEAL).exists()


# -- one record
# ----------------------------------------------------------------------------------------------


def wrong_with(archive: Archive, number: int, *heads: Head) -> list[str]:
    """What is said about one record of an archive."""
    found = verify(archive, heads={"staging": heads}, only=file(archive, number, ".ipynb")).problems
    return [problem.where.rsplit("/", 1)[-1] for problem in found]


def test_of_one_record_what_concerns_others_is_not_told(
    copy: Archive, keys: tuple[Path, Path]
) -> None:
    public = [attestation.public_key(keys[1])]
    seal(copy, RUNS + 1, keys[0])
    for number, signed in ((1, 0), (RUNS + 1, 1)):
        found = verify(copy, public, only=file(copy, number, ".ipynb"))
        assert (found.seals, found.signed, found.head, len(found.problems)) == (
            1,
            signed,
            None,
            1 - signed,
        )
    assert (
        verify(copy, only=file(copy, 1, ".ipynb"))
        .text()
        .startswith("unchanged: 1 sealed, signatures not checked")
    )
    file(copy, 2, ".ipynb").write_text("{}")
    file(copy, 1, ".2.ipynb").write_text("{}")
    assert [wrong_with(copy, number) for number in range(1, RUNS + 2)] == [
        [],
        ["run2.ipynb"],
        [],
        [],
        [],
    ]
    assert wrong_with(copy, 1, copy.seal(record(copy, 9), {}, {}, None)) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_of_one_record_each_file_counts(copy: Archive, ending: str) -> None:
    file(copy, 2, ending).write_bytes(b"{}")
    assert file(copy, 2, ending).name in wrong_with(copy, 2)
    file(copy, 2, ending).unlink()
    if ending != ".ipynb":
        assert file(copy, 2, ending).name in wrong_with(copy, 2)


def test_of_one_record_its_place_in_the_chain_counts(copy: Archive, tmp_path: Path) -> None:
    other = Archive(shutil.copytree(copy.root, tmp_path / "other"))
    seal(other, RUNS + 1, verdict="failed")
    for ending in ENDINGS:
        shutil.copy(file(other, RUNS + 1, ending), file(copy, RUNS + 1, ending))
    assert wrong_with(copy, RUNS + 1) == [HEAD]  # nothing else tells that it was added
    assert wrong_with(copy, RUNS) == [HEAD]
    assert wrong_with(copy, 2) == []
    seal(copy, RUNS + 2)
    assert [p.what for p in verify(copy, only=file(copy, RUNS + 1, ".ipynb")).problems] == [
        f"two seals are number {RUNS + 1}"
    ]
    file(copy, 2, SEAL).rename(file(copy, 7, SEAL))
    file(copy, 7, ".ipynb").write_text("{}")
    assert wrong_with(copy, 7) == [f"run7{SEAL}", "run7.ipynb"]
    assert wrong_with(copy, 3) == [f"run2{SEAL}"]


def test_of_one_record_what_a_ledger_has_noted_counts(copy: Archive) -> None:
    noted = copy.read(file(copy, 2, SEAL))
    head = Head(noted.sequence, noted.name, "0" * 64, noted.archive)
    assert [wrong_with(copy, number, head) for number in (1, 2)] == [[], [f"run2{SEAL}"]]
    assert wrong_with(copy, 1, head._replace(archive="0" * 64)) == [HEAD]


@pytest.mark.parametrize("name", ["run1", "run1.ledger.json", f"run1{SEAL}"])
def test_what_is_no_notebook_is_not_called_unchanged(copy: Archive, name: str) -> None:
    with pytest.raises(Refused, match=NO_NOTEBOOK):
        verify(copy, only=file(copy, 1, ".ipynb").with_name(name))


def test_a_record_can_be_checked_away_from_its_archive(
    tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    archive = Archive(tmp_path / "outputs")
    seal(archive, 1, keys[0])
    away = tmp_path / "away"
    away.mkdir()
    for ending in ENDINGS:
        shutil.copy(file(archive, 1, ending), away)
    public = [attestation.public_key(keys[1])]
    assert verify_alone(away / "run1.ipynb", public).problems == ()
    (away / "run1.ledger.json").write_text("{}")
    assert [
        p.where.rsplit("/", 1)[-1] for p in verify_alone(away / "run1.ipynb", public).problems
    ] == ["run1.ledger.json"]


def test_the_seal_of_another_record_does_not_vouch_for_one_away_from_its_archive(
    copy: Archive,
) -> None:
    file(copy, 1, ".ipynb").write_text("{}")
    shutil.copy(file(copy, 2, SEAL), file(copy, 1, SEAL))
    (problem,) = verify_alone(file(copy, 1, ".ipynb")).problems
    assert (problem.what, problem.where) == ("the seal is another record's", f"run1{SEAL}")
