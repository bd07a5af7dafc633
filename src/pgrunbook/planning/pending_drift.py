"""What the ledger does not expect and pending blocks make: they are half done, or somebody has
done them by hand. It is no drift. Knows no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning.decisions import Action
from pgrunbook.planning.existing_objects import called_as
from pgrunbook.planning.judgement import Judgement
from pgrunbook.planning.remains import Remains
from pgrunbook.runbooks.blocks import Block


@dataclass(slots=True)
class PendingDrift:
    """Stays between the decisions of a run: one may be about some of its blocks alone.

    - `there` is what blocks make that are to be adopted or completed.
    - `lenient` are those of them that IF NOT EXISTS leaves as they are.
    - `invalid` are the indexes that blocks are to make anew, by schema and name.
    """

    there: dict[Object, Definition] = field(default_factory=dict)
    lenient: set[Object] = field(default_factory=set)
    invalid: set[tuple[str, ...]] = field(default_factory=set)

    def note(
        self,
        blocks: Iterable[Block],
        judged: Mapping[str, Judgement],
        begun: Mapping[str, Remains],
    ) -> None:
        """Take account of how these blocks were judged, and of what is left of those begun."""
        for block in blocks:
            judgement = judged.get(block.name)
            if judgement and judgement.action in (Action.ADOPT, Action.COMPLETE):
                self.there |= judgement.there
                lenient = [made for made in block.made if made.lenient]
                self.lenient |= called_as(lenient, judgement.there)
        for left in begun.values():
            self.invalid.update(left.broken_indexes)

    def has(self, drift: Drift) -> bool:
        """Whether it is of a pending block, and nobody has altered it since that was judged."""
        each, found = drift.object, drift.found
        if found and found.properties.get("invalid") and names(each.identity) in self.invalid:
            return True
        if each not in self.there or self.there[each] != found:
            return False
        # what a run has made, and somebody has altered, is not as IF NOT EXISTS would make it
        return drift.expected is None or each not in self.lenient
