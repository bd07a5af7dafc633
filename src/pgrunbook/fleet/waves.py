"""Divides a fleet's targets into waves. Each target is in one wave."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.fleet.settings import Fleet, Share
from pgrunbook.fleet.targets import FleetTarget


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a list of targets that one of several machines takes: every `of`-th target,
    beginning with the one of this number, counted from 0.
    """

    number: int = 0
    of: int = 1

    @classmethod
    def read(cls, text: str) -> Slice:
        """Read `3/10`; an empty text is the whole list. Raises Refused for anything else."""
        if not text:
            return WHOLE
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if found is None or int(found[1]) >= int(found[2]):
            raise Refused.of(
                "is not a slice",
                where="--slice",
                expected="its number, counted from 0, and how many there are",
                found=text,
                remedy="of ten slices the first: --slice 0/10; the last: --slice 9/10",
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}" if self.of > 1 else ""

    def names(self, found: Sequence[FleetTarget]) -> set[str]:
        """Return the names of its targets."""
        return {target.name for target in found[self.number :: self.of]}


WHOLE = Slice()


def require_wave(wave: int | None, waves: int) -> None:
    """Raise Refused if a wave is asked for by a number, and there is none of that number."""
    if wave is not None and not 1 <= wave <= waves:
        raise Refused.of(
            "the fleet has no such wave",
            where="--wave",
            expected=f"a number from 1 to {waves}",
            found=str(wave),
            remedy=f"the last one: --wave {waves}",
        )


def divide(fleet: Fleet, found: Sequence[FleetTarget]) -> list[list[FleetTarget]]:
    """Return the targets of each wave, in the order of the list. With few targets a wave may be
    empty. Raises Refused with all names in `fleet.waves` that no target has.
    """
    problems = list(_unknown_names(fleet, found))
    if problems:
        raise Refused("The waves name targets that are not there.", problems=problems)
    left = {target.name: target for target in found}
    waves = []
    for wave in fleet.waves:
        if isinstance(wave, Share):
            # Counted from the beginning of the list: `5%, 50%, 100%` are shares of all, and a wave
            # has what the waves before it have left.
            names = [target.name for target in found[: wave.at_least(len(found))]]
        else:
            names = list(dict.fromkeys(wave))
        waves.append([left.pop(name) for name in names if name in left])
    return waves


def _unknown_names(fleet: Fleet, found: Sequence[FleetTarget]) -> Iterator[Problem]:
    known = {target.name for target in found}
    for number, wave in enumerate(fleet.waves, 1):
        if isinstance(wave, Share):
            continue
        for name in wave:
            if name not in known:
                yield Problem(
                    "no target is called so",
                    where=f"fleets.{fleet.name}.waves, wave {number}",
                    found=name,
                    remedy=f"{did_you_mean(name, known)}correct the name in pgrunbook.toml",
                )
