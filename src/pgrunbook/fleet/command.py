"""The commands that a remedy names, as they can be pasted."""

from __future__ import annotations

import shlex


def fleet_command(name: str, runbook: str, fleet: str, *options: str, mode: str = "apply") -> str:
    """Return `pgrunbook fleet run 001_x --fleet tenants`, with these options."""
    if mode == "revert":
        options = ("--mode", mode, *options)
    return shlex.join(["pgrunbook", "fleet", name, runbook, "--fleet", fleet, *options])
