"""The waves of a fleet: its targets in order, each in one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgrunbook.errors import Problem, Refused, did_you_mean
from pgrunbook.fleet.settings import Fleet, Share
from pgrunbook.fleet.targets import FleetTarget


def divide(fleet: Fleet, found: Sequence[FleetTarget]) -> list[list[FleetTarget]]:
    """The targets of each wave, in the order of the list. A share counts from the beginning of the
    list; who is in an earlier wave is left out. A wave may be empty, where there are few.

    Raises Refused for names that no target has, all at once.
    """
    if problems := [*_unknown(fleet, found)]:
        raise Refused("The waves name targets that are not there.", problems=problems)
    left = {target.name: target for target in found}
    waves = []
    for wave in fleet.waves:
        if isinstance(wave, Share):
            names = [target.name for target in found[: wave.at_least(len(found))]]
        else:
            names = [*dict.fromkeys(wave)]
        waves.append([left.pop(name) for name in names if name in left])
    return waves


def _unknown(fleet: Fleet, found: Sequence[FleetTarget]) -> Iterator[Problem]:
    known = {target.name for target in found}
    for number, wave in enumerate(fleet.waves, 1):
        for name in () if isinstance(wave, Share) else wave:
            if name not in known:
                yield Problem(
                    "no target is called so",
                    where=f"fleets.{fleet.name}.waves, wave {number}",
                    found=name,
                    remedy=f"{did_you_mean(name, known)}correct the name in pgrunbook.toml",
                )
