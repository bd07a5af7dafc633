"""The commands that a remedy names, as they can be pasted."""

from __future__ import annotations

import shlex


def command(what: str, runbook: str, fleet: str, *more: str, mode: str = "apply") -> str:
    """Return `pgrunbook fleet run 001_x --fleet tenants`, with what more is given."""
    reverts = ["--mode", mode] if mode == "revert" else []
    return shlex.join(["pgrunbook", "fleet", what, runbook, "--fleet", fleet, *reverts, *more])
