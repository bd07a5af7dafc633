"""A project: the folder with `pgrunbook.toml`, and what is found from there."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.postgres.target import ClosedModel, Policy, Target, TargetSettings
from pgrunbook.runbooks import give_way, pairs
from pgrunbook.sqltext.hazards import Hazard

MARKER = "pgrunbook.toml"


class EmbeddedSettings(ClosedModel):
    """`[embedded]`: the PostgreSQL that comes with the package. `sample` is a path from the project
    root.
    """

    version: int = 18
    database: str = "sample"
    sample: str = ""


class TwinSettings(ClosedModel):
    """`[twin]`: the server that twins are made on, `env:NAME`, `service:NAME` or a target's name,
    in place of an embedded one.
    """

    server: str = ""


class ArchiveSettings(ClosedModel):
    """`[archive]`: the private key that signs records, and the public ones that they are checked
    with; paths of PEM files, from the project root. The environment variable `PGRUNBOOK_KEY` goes
    before `key`.
    """

    key: str = ""
    public_keys: tuple[str, ...] = ()


class FleetSettings(ClosedModel):
    """`[fleets.NAME]`: many targets that one runbook is run against, and how. What its values say,
    `fleet.settings` reads.
    """

    targets_query: dict[str, str] = Field(default={})
    targets_command: tuple[str, ...] = ()
    targets_file: str = ""
    waves: tuple[str, ...] = ("100%",)
    failure_budget: tuple[str, ...] = ("0",)
    soak: str = ""
    per_server: int = 4
    workers: int = 4
    cell_timeout: str = "1h"
    executor: str = "local"


class Settings(ClosedModel):
    """The whole of `pgrunbook.toml`."""

    embedded: EmbeddedSettings = Field(default_factory=EmbeddedSettings)
    archive: ArchiveSettings = Field(default_factory=ArchiveSettings)
    twin: TwinSettings = Field(default_factory=TwinSettings)
    targets: dict[str, TargetSettings] = Field(default_factory=dict)
    fleets: dict[str, FleetSettings] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """The project's root and settings. Everything else is found from the root, never from the
    package.
    """

    root: Path
    settings: Settings

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project of `PGRUNBOOK_ROOT`, or the nearest one above `start` (the working
        directory).

        Raises Refused if there is none, or if its `pgrunbook.toml` cannot be read.
        """
        try:
            here = (start or Path.cwd()).resolve()
        except FileNotFoundError as exc:
            raise Refused.of(
                "is not there any more",
                where="the working directory",
                remedy="change to the project's folder",
            ) from exc
        candidates, where = [here, *here.parents], "the working directory and those above it"
        if given := os.environ.get("PGRUNBOOK_ROOT"):
            # not those above it: whoever names a folder does not mean another project
            candidates, where = [Path(given).resolve()], "PGRUNBOOK_ROOT"
        for root in candidates:
            if (root / MARKER).is_file():
                return cls(root, _read(root / MARKER))
        raise Refused.of(
            f"no {MARKER} found",
            where=where,
            remedy="work inside a project, or set PGRUNBOOK_ROOT to the folder that holds the "
            f"file. A project begins with: touch {MARKER}",
        )

    def scratch(self) -> Path:
        """Return the folder of the embedded server and of copies, `.pgrunbook/`, which git is to
        leave alone.
        """
        folder = self.root / ".pgrunbook"
        with suppress(OSError):  # what is wrong with the folder, the server says
            folder.mkdir(exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        return folder

    def runbook(self, name: str) -> Path:
        """Return the notebook of a runbook, by its number (`001`), its name with or without
        the number, or its path.

        Raises Refused if there is none, or more than one.
        """
        stem = Path(name).name.removesuffix(".ipynb")
        runbooks = self.runbooks()
        found = [path for path in runbooks if stem in (path.stem, path.stem.split("_")[0])]
        if not found:
            found = [path for path in runbooks if stem == path.stem.partition("_")[2]]
        if len(found) == 1:
            return found[0]
        if not runbooks:
            raise Refused.of(
                "holds no runbook",
                where="runbooks/",
                remedy="pgrunbook new NAME, or pgrunbook import FOLDER NAME",
            )
        which = "several runbooks are" if found else "no runbook is"
        raise Refused.of(
            f"{which} called {name!r}",
            where="runbooks/",
            expected="one of " + ", ".join(path.stem for path in runbooks),
            remedy="give the number or the name of one runbook",
        )

    def runbooks(self) -> list[Path]:
        """Return every `runbooks/NNN_name.ipynb`, in order. Raises Refused if `runbooks` or `sql`
        is not a folder.
        """
        for name in ("runbooks", "sql"):
            if (self.root / name).exists() and not (self.root / name).is_dir():
                raise Refused.of("is not a folder", where=name, remedy="move the file elsewhere")
        notebooks = sorted((self.root / "runbooks").glob("*.ipynb"))
        return [path for path in notebooks if re.fullmatch(pairs.NAME, path.stem)]

    @property
    def outputs(self) -> Path:
        """The archive's folder, wherever a symbolic link leads. Raises Refused if it leads nowhere:
        what it leads to may not be mounted.
        """
        outputs = self.root / "outputs"
        if outputs.is_symlink() and not outputs.exists():
            raise Refused.of(
                "leads nowhere",
                where="outputs",
                expected="a folder, or a link to one",
                found=f"a symbolic link to {outputs.readlink()}",
                remedy="mount what it leads to, or make the folder",
            )
        return outputs.resolve()

    @property
    def signing_key(self) -> Path | None:
        """The file of the private key that signs records, if one is given."""
        path = os.environ.get("PGRUNBOOK_KEY") or self.settings.archive.key
        if not path:
            return None
        return self.root / path

    def sql(self, runbook: str) -> Path:
        """Return the folder of a runbook's SQL."""
        return self.root / "sql" / runbook


def _read(path: Path) -> Settings:
    try:
        settings = Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except ValidationError as exc:
        # without the input, which may hold a password
        errors = exc.errors(include_url=False, include_input=False)
        problems = [_setting_problem(error) for error in errors]
        raise Refused(f"{MARKER} is not valid.", problems=problems) from exc
    except (ValueError, RecursionError) as exc:  # ValueError: a number of thousands of digits, too
        raise Refused.of(str(exc), where=MARKER, expected="TOML, in UTF-8") from exc
    problems = []
    for name, target in settings.targets.items():
        problems += give_way.check(target.give_way, f"targets.{name}.give_way")
    for table, names in (("targets", settings.targets), ("fleets", settings.fleets)):
        for name in names:
            if Target(name, "").folder in _OF_THE_ARCHIVE:
                what = "cannot be its name: the archive has something else that is called so"
                problems.append(Problem(what, f"{table}.{name}", remedy="call it something else"))
    if problems:
        raise Refused(f"{MARKER} is not valid.", problems=problems)
    return settings


# What lies in `outputs/` beside the folders of targets and fleets.
_OF_THE_ARCHIVE = ("HEAD", "MERGED", "README.md", "site")

_TABLES: dict[str, type[BaseModel]] = {
    "embedded": EmbeddedSettings,
    "archive": ArchiveSettings,
    "twin": TwinSettings,
    "targets": TargetSettings,
    "fleets": FleetSettings,
}


def _setting_problem(error: Any) -> Problem:
    """Return what pydantic says of one setting. Its value is not repeated: it may be a password
    that somebody put there.
    """
    table, *path = error["loc"]  # ("targets", "billing", "hazards", "drops_table")
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        known = _TABLES[table] if path else Settings
        return Problem("unknown setting", where, expected="one of " + ", ".join(known.model_fields))
    if path[1:2] == ["hazards"]:
        return _policy_problem(path[2:], where)
    if error["type"].startswith("bool"):
        return Problem("takes true or false", where, expected="true or false, without quotes")
    return Problem(error["msg"], where)


def _policy_problem(path: Sequence[str], where: str) -> Problem:
    """Return what is wrong with `hazards`: the name of one, or what is to be done about it."""
    if path[-1:] == ["[key]"]:  # as pydantic tells that it is the key that is wrong
        known = ", ".join(Hazard)
        remedy = f"{did_you_mean(path[0], Hazard)}correct the name"
        return Problem("no hazard is called so", where.removesuffix(".[key]"), known, "", remedy)
    expected = " or ".join(f'"{policy}"' for policy in Policy)
    if not path:
        expected = f"{{ drops_table = {expected} }}"
    return Problem("is no policy for hazards", where, expected)
