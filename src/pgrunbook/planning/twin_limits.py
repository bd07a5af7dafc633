"""What a twin cannot show: a difference there says nothing about the target. Knows no server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.planning.timeline import Deviation, different_properties

# What is left out of every copy, and made there by blocks alone.
_NOT_COPIED = ("publication", "subscription")


@dataclass(frozen=True, slots=True)
class TwinLimits:
    """What is known of a twin's limits, once blocks were run on it.

    - `unlike` has the objects whose copy differs from the target's, with the properties that
      differ; None if they could not be copied.
    - `stood_in` has, by block, the function that it called of an extension which the twin lacks:
      one of the same name stood in for it, and did nothing.
    """

    unlike: Mapping[Object, frozenset[str] | None] = field(default_factory=dict)
    stood_in: Mapping[str, str] = field(default_factory=dict)

    def of_block(self, block: str) -> str:
        """Return why it cannot be told what a block makes; empty if it can."""
        function = self.stood_in.get(block)
        return f"the twin has {function}() only by name, and it did nothing" if function else ""

    def of(self, deviation: Deviation, block: str) -> str:
        """Return why a difference may be the twin's own; empty if it is the target's."""
        unlike = self.unlike.get(deviation.object, frozenset())
        if unlike is None:
            return "it could not be copied to the twin"
        if deviation.properties & unlike:
            return "its copy on the twin differs, too"
        return self.of_block(block)


LIMITLESS = TwinLimits()


def compare(
    target: Mapping[Object, Definition], copy: Mapping[Object, Definition]
) -> dict[Object, frozenset[str] | None]:
    """Return what is otherwise once it is copied, with the properties that differ."""
    unlike: dict[Object, frozenset[str] | None] = {}
    for each, there in target.items():
        here = copy.get(each)
        if here is None and not each.shared and not each.type.startswith(_NOT_COPIED):
            unlike[each] = None
        elif here is not None and here != there:
            unlike[each] = different_properties(there, here)
    return unlike
