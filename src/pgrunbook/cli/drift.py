"""Formats drift for a terminal."""

from __future__ import annotations

from typing import Any

from pgrunbook.controls import one_line
from pgrunbook.ledger.drift import remedy


def text(report: dict[str, Any], *, others: bool) -> str:
    """Return the report of `drift_report.collect` as lines. `others`: list objects that no runbook
    has made, too.
    """
    lines = []
    for each in report["drift"]:
        lines.append(one_line(f"{each['what']}; last set by {each['where']}"))
        for label in ("expected", "found"):
            shown = [one_line(line) for line in each[label].splitlines()]
            lines.append(f"  {label + ':':<10}" + f"\n{'':<12}".join(shown))
    if lines:
        lines.append(one_line(remedy(each["object"] for each in report["drift"])))
    if report["unread"]:
        lines.append(
            f"not compared: {len(report['unread'])} objects, whose definitions the next run that "
            "writes reads anew"
        )
    count = f"{report['expected']} objects of runbooks in schema {one_line(report['schema'])}"
    lines.append(f"{len(report['drift']) or 'no'} drift among {count}")
    if others:
        lines.append(f"not made by a runbook: {len(report['others'])}")
        lines += [f"  {one_line(each)}" for each in report["others"]]
    return "\n".join(lines)
