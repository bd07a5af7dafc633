"""Durations as PostgreSQL writes them, and moments and durations as a person reads them."""

from __future__ import annotations

import re

# https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
_UNITS_MS = {"us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"\s*(\d{1,20}(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*", re.ASCII)


def milliseconds(duration: str) -> int:
    """Return the milliseconds of a duration as PostgreSQL writes it: `'200ms'`, `'5s'`, `'1 min'`,
    or a bare number of milliseconds.

    Raises ValueError for anything else, and for less than one millisecond: to PostgreSQL a timeout
    of zero means none, and a run without one can make the application wait for ever.
    """
    match = _DURATION.fullmatch(duration)
    if not match:
        raise ValueError(
            "takes a duration as PostgreSQL writes it, such as '200ms', '5s' or '1min'"
        )
    value = round(float(match[1]) * _UNITS_MS[match[2] or "ms"])
    if not 1 <= value <= 2**31 - 1:
        raise ValueError("takes a duration from 1ms to 24 days: zero would mean no timeout at all")
    return value


def words(value: float) -> str:
    """Return a duration in milliseconds as a person reads it: `12 ms`, `3.4 s` or `2 min 5 s`."""
    if value < 1000:
        return f"{value:.0f} ms"
    if value < 120_000:
        return f"{value / 1000:.1f} s"
    minutes, rest = divmod(round(value / 1000), 60)
    return f"{minutes} min {rest} s"


def moment(iso: str) -> str:
    """Return `2026-01-31 12:00:00 UTC` of a time in ISO 8601 and UTC; empty for an empty text."""
    if not iso:
        return ""
    return f"{iso[:19].replace('T', ' ')} UTC"
