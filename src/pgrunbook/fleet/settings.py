"""Reads `[fleets.NAME]` of pgrunbook.toml: where the targets come from, in which waves they are
run, and how many may fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil, floor

from pgrunbook.durations import milliseconds
from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.runbooks.project import FleetSettings, Project

_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)")
# Where the targets come from: exactly one of these.
_SOURCES = ("targets_query", "targets_command", "targets_file")
_QUERY = {"target", "sql"}
# Given a key, returns what makes a Problem about its value.
_At = Callable[[str], Callable[..., Problem]]


@dataclass(frozen=True, slots=True)
class Share:
    """A number of targets, or a percentage of all.

    A Fraction, as a float would take 0.57% of 10,000 targets for 56.
    """

    number: Fraction
    percent: bool

    @classmethod
    def read(cls, text: str) -> Share | None:
        """Read `5`, `1%` or `0.5%`. Returns None for anything else, and for more than 100%."""
        found = _SHARE.fullmatch(text.strip())
        if found is None or (not found[2] and "." in found[1]):
            return None
        share = cls(Fraction(found[1]), bool(found[2]))
        return None if share.percent and share.number > 100 else share

    def at_least(self, size: int) -> int:
        """Return the share of so many, rounded up: a wave of 1% has at least one target."""
        return min(size, ceil(self._of(size)))

    def at_most(self, size: int) -> int:
        """Return the share of so many, rounded down: a budget of 1% allows none of few."""
        return floor(self._of(size))

    def _of(self, size: int) -> Fraction:
        return self.number * size / 100 if self.percent else self.number


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet, with its settings read.

    - `waves`: each is a share of all targets, those of the waves before included; or names.
    """

    name: str
    settings: FleetSettings
    waves: tuple[Share | tuple[str, ...], ...]
    soak_s: float
    cell_timeout_s: float

    @classmethod
    def of(cls, project: Project, name: str) -> Fleet:
        """Return the fleet of that name. Raises Refused if there is none, or with everything that
        is wrong with its settings.
        """
        known = project.settings.fleets
        if name not in known:
            raise Refused.of(
                "no fleet is called so",
                where=f"fleet {name!r}",
                expected=", ".join(known) or "a section [fleets.NAME] in pgrunbook.toml",
                remedy=f"{did_you_mean(name, known)}correct the name, or write [fleets.{name}] "
                "into pgrunbook.toml",
            )
        settings = known[name]
        if problems := list(_problems(name, settings)):
            raise Refused("The fleet's settings are not valid.", problems=problems)
        return cls(
            name,
            settings,
            tuple(map(_read_wave, settings.waves)),
            milliseconds(settings.soak) / 1000 if _has_soak(settings.soak) else 0,
            milliseconds(settings.cell_timeout) / 1000,
        )


def _has_soak(soak: str) -> bool:
    """Return whether there is a soak: `0s` is none."""
    return bool(soak) and re.fullmatch(r"\s*0\s*[a-z]*\s*", soak) is None


def _read_wave(text: str) -> Share | tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return Share.read(text) or names


def _problems(name: str, settings: FleetSettings) -> Iterator[Problem]:
    def at(key: str) -> partial[Problem]:
        return partial(Problem, where=f"fleets.{name}.{key}")

    if re.fullmatch(r"\w[\w.-]*", name) is None:
        yield Problem(
            "cannot be the name of a folder",
            where=f"fleets.{name}",
            expected="letters, digits, _, - and .",
            remedy="call the fleet otherwise: its records lie in outputs/<fleet>/",
        )
    yield from _source_problems(at, settings)
    yield from _wave_problems(at, settings)
    durations = [("cell_timeout", settings.cell_timeout, "1h")]
    if _has_soak(settings.soak):
        durations.append(("soak", settings.soak, "30min"))
    for key, value, example in durations:
        try:
            milliseconds(value)
        except ValueError as exc:
            yield at(key)(str(exc), found=value, remedy=f'{key} = "{example}"')
    for key in ("per_server", "workers"):
        if (number := getattr(settings, key)) < 1:
            yield at(key)("takes a number from 1", found=str(number), remedy=f"{key} = 4")
    if settings.executor != "local" and not re.fullmatch(r"dask://[^/]+:\d+", settings.executor):
        yield at("executor")(
            "is not an executor",
            expected='"local", or "dask://HOST:PORT"',
            found=settings.executor,
            remedy='executor = "local"',
        )


def _source_problems(at: _At, settings: FleetSettings) -> Iterator[Problem]:
    given = [key for key in _SOURCES if getattr(settings, key)]
    if len(given) != 1:
        yield at("targets_query")(
            f"{len(given)} sources of targets are given",
            expected=f"exactly one of {', '.join(_SOURCES)}",
            found=", ".join(given),
            remedy='targets_file = "tenants.jsonl"',
        )
    if settings.targets_query and settings.targets_query.keys() != _QUERY:
        yield at("targets_query")(
            "takes a target and the SQL to ask it",
            expected="target, sql",
            found=", ".join(settings.targets_query),
            remedy='targets_query = { target = "directory", sql = "SELECT name, service, schema '
            'FROM tenants" }',
        )


def _wave_problems(at: _At, settings: FleetSettings) -> Iterator[Problem]:
    shares = [(text, Share.read(text)) for text in settings.waves]
    if not shares or shares[-1][1] != Share(Fraction(100), percent=True):
        yield at("waves")(
            "leaves targets out",
            expected='a last wave of "100%"',
            found=", ".join(settings.waves),
            remedy=f"waves = {_toml_list([*settings.waves, '100%'])}",
        )
    for text, share in shares:
        if share is None and not _can_be_names(text):
            yield at("waves")(
                "is not a wave",
                expected='a share of the targets, such as "1%" or "50", or names of targets with '
                "commas between",
                found=repr(text),
                remedy='waves = ["1%", "10%", "100%"]',
            )
    given = settings.failure_budget
    for text in given:
        if Share.read(text) is None:
            yield at("failure_budget")(
                "is not a budget",
                expected='a number of targets, such as "0", or a share of the wave, such as "1%"',
                found=repr(text),
                remedy=f"failure_budget = {_toml_list(['0'] * len(settings.waves))}",
            )
    if len(given) not in (1, len(settings.waves)):
        filled = [*given, *["0"] * len(settings.waves)][: len(settings.waves)]
        yield at("failure_budget")(
            "is not one for each wave",
            expected=f"{len(settings.waves)}, or one for all",
            found=str(len(given)),
            remedy=f"failure_budget = {_toml_list(filled)}",
        )


def _can_be_names(text: str) -> bool:
    """Return whether a wave can be names of targets; `101%` and `1.5` are shares gone wrong."""
    return bool(text.strip(", ")) and not re.fullmatch(r"\s*[\d.]*\s*%?\s*", text)


def _toml_list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
