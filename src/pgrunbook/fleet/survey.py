"""Asks every target of a fleet the same, and groups equal answers. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from pgrunbook import signals
from pgrunbook.controls import one_line
from pgrunbook.errors import Interrupted, Problem, Verdict, first_line
from pgrunbook.fleet.concurrency import Concurrency
from pgrunbook.fleet.targets import FleetTarget
from pgrunbook.records.words import counted, listed, without_names


@dataclass
class Group:
    """Targets that gave the same answer.

    - `key`: the same for equal answers, and for no others. `told`: the answer in a line.
    - `answer`: a plan, or the problems of a drift.
    - `names`: the targets.
    """

    key: str
    verdict: Verdict
    told: str
    answer: Any = None
    names: list[str] = field(default_factory=list)


def ask(
    found: Sequence[FleetTarget],
    executor: Executor,
    concurrency: Concurrency,
    question: Callable[[FleetTarget], Callable[[], dict[str, Any]]],
) -> Iterator[tuple[FleetTarget, dict[str, Any]]]:
    """Yield each target with what its task returned, in the order in which the tasks end.

    `question` makes the task of a target, which returns `verdict`, `reason` and more. Raises
    Interrupted at a signal.
    """
    queue = [*found]
    at_work: dict[Future[dict[str, Any]], FleetTarget] = {}
    while queue or at_work:
        if signals.stopped():
            raise Interrupted("Stopped by a signal. Nothing was written.")
        while target := concurrency.next_ready(queue, at_work.values(), {}):
            queue.remove(target)
            at_work[executor.submit(question(target))] = target
        for future in wait(at_work, 0.5, FIRST_COMPLETED).done:
            yield at_work.pop(future), _answer(future)


def _answer(future: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return future.result()
    except Exception as exc:  # each kind of executor raises something else when a worker dies
        lost = f"{type(exc).__name__}: {first_line(exc)}"
        return {"verdict": Verdict.INTERRUPTED, "reason": lost}


def groups(
    answers: Iterable[tuple[FleetTarget, dict[str, Any]]],
    group_of: Callable[[FleetTarget, dict[str, Any]], Group],
) -> list[Group]:
    """Return the groups of equal answers: those without a failure first, then the largest.
    `group_of` makes the group that an answer belongs to.
    """
    found: dict[str, Group] = {}
    for target, answer in answers:
        group = group_of(target, answer)
        found.setdefault(group.key, group).names.append(target.name)

    def place(group: Group) -> tuple[bool, int, str]:
        return group.verdict is not Verdict.PASSED, -len(group.names), group.key

    return sorted(found.values(), key=place)


def group_of_failure(target: FleetTarget, answer: Mapping[str, Any]) -> Group:
    """Return the group of a target that gave no answer: those with the same reason."""
    verdict = Verdict(answer["verdict"])
    told = without_own_names(target, answer["reason"])
    return Group(f"{verdict}: {told}", verdict, told)


def group_of_verification(target: FleetTarget, answer: dict[str, Any]) -> Group:
    """Return the group of a target that was verified, or was to be."""
    if answer["verdict"] != Verdict.PASSED:
        return group_of_failure(target, answer)
    return Group("", Verdict.PASSED, "verified")


def group_of_drift(target: FleetTarget, answer: dict[str, Any]) -> Group:
    """Return the group of a target by its drift: each object, what is expected, what is there."""
    if not answer.get("drift"):
        return group_of_verification(target, answer)
    alike = partial(without_own_names, target)
    problems = []
    for each in answer["drift"]:
        expected, found = alike(each["expected"]), alike(each["found"])
        problems.append(Problem(alike(each["what"]), expected=expected, found=found))
    told = "; ".join(each.what for each in problems)
    return Group(str(problems), Verdict.FAILED, told, problems)


def without_own_names(target: FleetTarget, text: str) -> str:
    """Return a text about a target without the target's own names, so that the texts of several
    targets can be equal.
    """
    own = (target.name, target.schema, target.service, target.env)
    return without_names(text, *(each for each in own if each != "public"))


def collect(found: Sequence[Group], fleet: str, passed: str, otherwise: str) -> dict[str, Any]:
    """Return the groups as JSON values: `fleet`, and `groups`, each with `verdict`, `told`,
    `differs` (the problems of a drift) and `targets`.

    `passed` and `otherwise` are the words for targets without and with a failure.
    """
    good = sum(len(each.names) for each in found if each.verdict is Verdict.PASSED)
    bad = sum(len(each.names) for each in found) - good
    message = f"{good:,} {passed}" + (f", {bad:,} {otherwise}" if bad else "")
    return {
        "verdict": Verdict.FAILED if bad else Verdict.PASSED,
        "message": message,
        "problems": [],
        "fleet": fleet,
        "groups": [as_data(each, each.answer or ()) for each in found],
    }


def as_data(group: Group, differs: Iterable[Problem]) -> dict[str, Any]:
    """Return a group as JSON values, with the problems in which it differs."""
    return {
        "verdict": group.verdict,
        "told": group.told,
        "differs": [asdict(problem) for problem in differs],
        "targets": sorted(group.names),
    }


def text(report: Mapping[str, Any]) -> str:
    """Return the groups as lines for a terminal: those with a failure, as the others are all that
    is left.
    """
    lines = [report["message"]]
    for each in report["groups"]:
        if each["verdict"] != Verdict.PASSED:
            many, listing = counted(len(each["targets"]), "target"), listed(each["targets"])
            if each["differs"]:
                lines.append(f"{many}: {listing}")
                for differing in each["differs"]:
                    lines += [f"  {line}" for line in Problem(**differing).lines()]
            else:
                lines += [f"{many}: {each['told']}", f"  {listing}"]
    return "\n".join(map(one_line, lines))
