"""A plan: what a run is going to do, to which database and in which state. Its digest is what
somebody approves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple, Self

from pgrunbook.errors import Problem


class Step(NamedTuple):
    """A block that is not done: its action, and exactly the SQL that is to run."""

    block: str
    action: str
    sql: str


@dataclass(frozen=True)
class Plan:
    """What is to be done, in order, and everything that this rests on.

    - `direction`: `apply` or `revert`.
    - `target`: the database's identity, `database`, `system identifier`, `server` and `schema`.
    - `files`: the SHA-256 of each SQL file by its path; and of the notebook's code, by the path of
      the notebook.
    - `facts`: what the catalog says of the tables concerned.
    """

    runbook: str
    direction: str
    target: Mapping[str, str]
    steps: Sequence[Step]
    files: Mapping[str, str]
    facts: Mapping[str, str]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Return the plan from its JSON values, see `data`."""
        steps = [Step(*step) for step in data["steps"]]
        return cls(**{**{key: data[key] for key in cls.__dataclass_fields__}, "steps": steps})

    @property
    def data(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the plan: of its JSON with sorted keys and no white space."""
        # One text for equal plans: whoever reads the record can compute the digest with any tool.
        text = json.dumps(self.data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def summary(self) -> str:
        """`blocks: 10 apply, 2 adopt`."""
        counts = Counter(step.action for step in self.steps)
        return "blocks: " + ", ".join(f"{n} {action}" for action, n in counts.items())


def differences(approved: Plan, now: Plan) -> Iterator[Problem]:
    """Yield everything in which a plan differs from the one that was approved."""
    for what, then, found in [
        ("the target is another one", approved.target, now.target),
        ("was edited since", approved.files, now.files),
        ("has changed in the target since", approved.facts, now.facts),
    ]:
        for name in sorted({*then, *found}):
            if then.get(name) != found.get(name):
                yield Problem(what, name, _shown(then.get(name)), _shown(found.get(name)))
    yield from _step_differences(approved, now)


def _step_differences(approved: Plan, now: Plan) -> Iterator[Problem]:
    then = {step.block: step for step in approved.steps}
    found = {step.block: step for step in now.steps}
    for name in sorted({*then, *found}):
        if name not in found:
            yield Problem(
                "is done already, or is no block any more",
                name,
                then[name].action,
                "nothing is to be done",
            )
        elif name not in then:
            yield Problem("is to be done now", name, "nothing was to be done", found[name].action)
        elif then[name] != found[name]:
            yield Problem(
                "other SQL is to run now", name, *_differing_lines(then[name], found[name])
            )
    common = then.keys() & found.keys()
    order_then = ", ".join(step.block for step in approved.steps if step.block in common)
    order_now = ", ".join(step.block for step in now.steps if step.block in common)
    if order_then != order_now:
        yield Problem("the order is another one", approved.runbook, order_then, order_now)
    if (approved.runbook, approved.direction) != (now.runbook, now.direction):
        yield Problem(
            "is another run", now.runbook, f"{approved.direction} {approved.runbook}", now.direction
        )


def _differing_lines(then: Step, found: Step) -> tuple[str, str]:
    """Return the lines of the SQL that differ: those of the approved plan, and those of now."""
    one = [f"{then.action}:", *then.sql.splitlines()]
    other = [f"{found.action}:", *found.sql.splitlines()]
    before, after = [], []
    # without autojunk: it takes a line that comes often, such as `);`, for noise
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    for what, start, end, other_start, other_end in matcher.get_opcodes():
        if what != "equal":
            before += one[start:end]
            after += other[other_start:other_end]
    return "\n".join(before), "\n".join(after)


def _shown(text: str | None) -> str:
    """Return a file's digest or a fact for people. A digest is not cut short: two may differ in the
    last digit.
    """
    if text is None:
        return "absent"
    is_digest = len(text) == 64 and " " not in text
    return f"sha256 {text}" if is_digest else text
