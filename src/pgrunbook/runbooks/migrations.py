"""A folder of SQL files that another tool has applied: which there are, in which order, and what
undoes each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pgrunbook.errors import Problem, Refused
from pgrunbook.runbooks import migration_marks
from pgrunbook.runbooks.encoding import decode

# The words at the end of a file's name, or as the name of its folder, that say whether it applies a
# migration or undoes it.
_FORWARD = ("up", "do", "deploy", "migration")
_BACK = ("down", "undo", "revert", "rollback")

# Flyway's: V1_2__name; U1_2__name undoes it; B2__name comes in the place of all up to its version;
# R__name comes after all others, whenever it changes; callbacks come around each of its runs.
_FLYWAY = re.compile(r"(?P<kind>[VUB])(?P<version>\d+(?:[._]\d+)*)__(?P<rest>.*)", re.DOTALL)
# Diesel's: a moment, without dashes in older ones.
_MOMENT = re.compile(r"(?P<version>\d{4}-\d\d-\d\d(?:-\d+)*)(?P<rest>.*)", re.DOTALL)
_NUMBERED = re.compile(r"(?P<version>\d+(?:\.\d+)*)(?P<rest>.*)", re.DOTALL)
_CALLBACK = re.compile(r"(before|after)[A-Z]\w*|createSchema(__.*)?", re.DOTALL)
_DATED = re.compile(r"(19|20)\d{6,}")
_VERSIONED = (_FLYWAY, _MOMENT, _NUMBERED)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is not taken over as it stands, and where that is."""

    what: str
    where: str


@dataclass(frozen=True, slots=True)
class MigrationPart:
    """The SQL of a file, or of one half of it. The rest of the file is blank, so that each line has
    the number that it has there. `file` is the path that people are told.
    """

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: what applies it, and what undoes it. `name` is that of its file, without `up` or
    `down` and the like.
    """

    name: str
    deploy: MigrationPart
    revert: MigrationPart | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the tool applies it anew when it changes."""
        return self.name.startswith("R__")


@dataclass(frozen=True, slots=True)
class Folder:
    """The migrations in their order, the files that are no SQL, and what is wrong."""

    migrations: tuple[Migration, ...]
    others: tuple[str, ...]
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]


def read(folder: Path) -> Folder:
    """Read every SQL file below the folder. Hidden ones are left alone."""
    visible = _visible_files(folder)
    files = [path for path in visible if path.suffix.lower() == ".sql"]
    problems = [*_foreign_order(visible, folder)]
    steps: dict[str, MigrationPart] = {}
    undoing: dict[str, MigrationPart] = {}
    # in lower case: `Down` is the partner of `up`
    stems = {path.relative_to(folder).with_suffix("").as_posix().lower() for path in files}
    of_flyway = any(re.match(r"V\d[\d._]*__", path.name) for path in files)
    left: list[Note] = []
    for path in files:
        relative = PurePosixPath(path.relative_to(folder).with_suffix(""))
        shown = _shown_path(path, folder)
        name, forward = _name_and_direction(relative, stems)
        if of_flyway and _CALLBACK.fullmatch(relative.name):
            left.append(Note("is left out: Flyway has it run around each of its runs", shown))
            continue
        try:
            text = _text(path, folder, shown)
        except Refused as exc:
            problems += exc.problems
            continue
        problems += migration_marks.problems(text, shown)
        up, down = migration_marks.split_up_down(text)
        if forward:
            problems += _add(steps, name, MigrationPart(shown, up))
            if down is not None:
                problems += _add(undoing, name, MigrationPart(shown, down))
        else:
            problems += _add(undoing, name, MigrationPart(shown, up))
    problems += _baselines(steps)
    if not steps and not problems:
        problems.append(
            Problem("holds no SQL file", str(folder), remedy="name the folder of the migrations")
        )
    # U1__x undoes V1__y, whatever they are called
    by_identity = {_identity(name): part for name, part in undoing.items()}
    ordered = []
    as_text = _compares_texts(steps, files)
    for name in sorted(steps, key=partial(_sort_key, as_text=as_text)):
        ordered.append(Migration(name, steps[name], by_identity.get(_identity(name))))
    others = []
    for path in visible:
        if path not in files:
            others.append(_escape(path.relative_to(folder).as_posix()))
    left += _orphaned_reverts(steps, undoing)
    if not as_text:
        left += _mixed_dates(steps, folder)
    return Folder(tuple(ordered), tuple(others), tuple(left), tuple(problems))


# What a name may hold, and no line that it is written into: ends of lines, and bytes that are no
# text.
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _escape(name: str) -> str:
    return _NO_TEXT.sub(lambda found: ascii(found[0])[1:-1], name)


def _shown_path(path: Path, folder: Path) -> str:
    """Return the path of a file as people are told it."""
    return _escape(f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}")


def words(name: str) -> str:
    """Return the words of a migration's name, without its number."""
    match = _match_version(name)
    rest = match["rest"] if match else name.removeprefix("R__")
    return re.sub(r"[\W_]+", " ", rest).strip() or name


def pad_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the names, with zeros before the numbers of their versions, so that they sort as the
    numbers do.
    """
    listed = list(names)
    versions = {name: _version(name) for name in listed}
    widths: dict[int, int] = {}
    for version in versions.values():
        for place, number in enumerate(re.findall(r"\d+", version)):
            widths[place] = max(widths.get(place, 0), len(number))
    return {name: _pad(name, versions[name], widths) for name in listed}


def _pad(name: str, version: str, widths: dict[int, int]) -> str:
    if not version:
        return name
    places = iter(widths.values())
    wide = re.sub(r"\d+", lambda number: number[0].zfill(next(places)), version)
    return name.replace(version, wide, 1)


def _match_version(name: str) -> re.Match[str] | None:
    for pattern in _VERSIONED:
        if match := pattern.fullmatch(name):
            return match
    return None


def _version(name: str) -> str:
    match = _match_version(name)
    if not match:
        return ""
    return match["version"]


def _compares_texts(names: Iterable[str], files: Iterable[Path]) -> bool:
    """Return whether the tool compares versions as texts, so that 20190101 comes behind
    20181231235959: Diesel does, without their dashes, and so does Prisma.
    """
    of_diesel = any(_MOMENT.fullmatch(name) for name in names)
    of_prisma = any(path.name == "migration.sql" for path in files)
    return of_diesel or of_prisma


def _sort_key(name: str, *, as_text: bool) -> tuple[object, ...]:
    """Return what a name sorts by: its version, then what follows that, with numbers as such. A
    name without a version comes last.
    """
    version = _version(name)
    digits = version.replace("-", "")
    numbers: list[object] = [digits]
    if not as_text:
        numbers = list(map(int, re.findall(r"\d+", digits)))
    rest = name
    if version:
        _, _, rest = name.partition(version)
    # texts and numbers take turns in each list: none is compared with one of the other kind
    natural: list[object] = []
    for part in re.split(r"(\d+)", rest):
        natural.append(int(part) if part.isdecimal() else part)
    return (not version, numbers, natural)


def _visible_files(folder: Path) -> list[Path]:
    """Return the files below the folder, in order, but for those that are hidden, or lie in a
    folder that is.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            found.append(path)
    return found


def _name_and_direction(path: PurePosixPath, stems: set[str]) -> tuple[str, bool]:
    """Return the name of a file's migration, and whether it applies it or undoes it."""
    *folders, stem = path.parts
    forward = not any(part.lower() in _BACK for part in folders)
    flyway = _FLYWAY.fullmatch(stem)
    if flyway and flyway["kind"] == "U":
        forward = False
    named = [part for part in folders if part.lower() not in _FORWARD + _BACK]
    match = re.fullmatch(rf"(.*?)([._-]?)({'|'.join(_FORWARD + _BACK)})", stem, re.IGNORECASE)
    if match and _is_way(path.as_posix().lower(), *match.groups(), stems=stems):
        forward = match[3].lower() in _FORWARD
        stem = match[1]
    name = "_".join(part for part in (*named, stem) if part)
    return re.sub(r"[^\w.-]+", "_", name).lstrip("-"), forward


def _is_way(path: str, stem: str, separator: str, way: str, *, stems: set[str]) -> bool:
    """Return whether a name ends with its way. `sign_up` does so only beside `sign_down`."""
    if not stem:
        return not separator
    if separator == ".":
        return True
    base = path.removesuffix(separator + way.lower())
    if way.lower() in _FORWARD:
        partners = {f"{base}{separator}{other}" for other in _BACK}
    else:
        partners = {base, *(f"{base}{separator}{other}" for other in _FORWARD)}
    return bool(separator) and not partners.isdisjoint(stems)


def _identity(name: str) -> str:
    """Return what a migration and what undoes it have in common."""
    match = _FLYWAY.fullmatch(name)
    if match:
        return f"V{match['version']}"
    return name


def _text(path: Path, folder: Path, shown: str) -> str:
    """Return the text of a file, its ends of lines as they are. Raises Refused for one that lies
    elsewhere or is not text.
    """
    if _NO_TEXT.search(path.relative_to(folder).as_posix()):
        remedy = "rename it: its name is written into the header of its block"
        raise Refused.of("has a name that is not a text of one line", where=shown, remedy=remedy)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Refused.of(
            "is a link that leads out of the folder: it is not read",
            where=shown,
            found=f"-> {path.resolve()}",
            remedy="put a copy of the file in its place, if it belongs to these migrations",
        )
    return decode(path.read_bytes(), shown)


def _add(parts: dict[str, MigrationPart], name: str, part: MigrationPart) -> Iterator[Problem]:
    """Add a part; yield a problem if another file has its name."""
    if name in parts:
        remedy = "give one of them another name, or take it out of the folder"
        what = f"is called {name!r} as {parts[name].file} is"
        yield Problem(what, part.file, remedy=remedy)
    else:
        parts[name] = part


def _baselines(steps: dict[str, MigrationPart]) -> Iterator[Problem]:
    """Yield the baselines that come in the place of others that are here."""
    found: dict[str, re.Match[str]] = {}
    for name in steps:
        if match := _FLYWAY.fullmatch(name):
            found[name] = match
    for name, baseline in found.items():
        if baseline["kind"] != "B":
            continue
        replaced = []
        for other, match in found.items():
            if match["kind"] == "V" and _numbers(match) <= _numbers(baseline):
                replaced.append(steps[other].file)
        if replaced:
            yield Problem(
                "is a baseline, which Flyway applies in the place of others that are here",
                steps[name].file,
                found=", ".join(replaced),
                remedy="take it out of the folder, or those: they make the same",
            )


def _numbers(match: re.Match[str]) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", match["version"])]


def _orphaned_reverts(
    steps: dict[str, MigrationPart], undoing: dict[str, MigrationPart]
) -> Iterator[Note]:
    there = {_identity(name) for name in steps}
    for name, part in undoing.items():
        if _identity(name) not in there:
            yield Note(f"is left out: it undoes {name!r}, which is not there", part.file)


def _mixed_dates(names: Iterable[str], folder: Path) -> Iterator[Note]:
    """Yield that some dates have a time: tools compare them as numbers, or as texts."""
    widths = {len(_version(name)) for name in names if _DATED.match(_version(name))}
    if len(widths) > 1:
        of_digits = " and ".join(map(str, sorted(widths)))
        what = f"has dates of {of_digits} digits, in the order of the numbers: see that the tool's"
        yield Note(f"{what} is the same", folder.resolve().name)


def _foreign_order(files: list[Path], folder: Path) -> Iterator[Problem]:
    """Yield a tool that keeps the order elsewhere."""
    for path in files:
        if path.name == "sqitch.plan":
            yield Problem(
                "sqitch's changes come in the order of this plan, which is not read yet",
                f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}",
                remedy="copy deploy/ to a folder of its own, as 001_name.sql, 002_name.sql … in "
                "that order, and name that folder",
            )
