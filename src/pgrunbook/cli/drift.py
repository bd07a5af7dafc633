"""Formats drift for a terminal."""

from __future__ import annotations

from typing import Any

from pgrunbook.controls import one_line
from pgrunbook.ledger.drift import remedy


def text(report: dict[str, Any], *, others: bool) -> str:
    """Return the report of `drift_report.collect` as lines. `others`: list objects that no runbook
    has set, too.
    """
    lines = []
    drift = report["drift"]
    for each in drift:
        lines.append(one_line(f"{each['what']}; {each['origin']}"))
        for label in ("expected", "found"):
            shown = [one_line(line) for line in each[label].splitlines()]
            lines.append(f"  {label + ':':<10}" + f"\n{'':<12}".join(shown))
    if drift:
        lines.append(one_line(remedy([each["object"] for each in drift])))
    if report["unread"]:
        lines.append(
            f"only missed, not compared: {len(report['unread'])} objects, whose definitions the "
            "next run that writes reads anew"
        )
    schema = one_line(report["schema"])
    count = f"{len(drift)} drifted" if drift else "no drift"
    set_by_runbooks = f"runbooks in schema {schema} have set {report['expected']} objects"
    lines.append(f"{count}; {set_by_runbooks}")
    if others:
        lines.append(f"set by no runbook: {len(report['others'])}")
        lines += [f"  {one_line(each)}" for each in report["others"]]
    return "\n".join(lines)
