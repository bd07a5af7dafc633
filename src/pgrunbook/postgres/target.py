"""A database that a run works on: its name, how it is reached, and what it must be."""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass, field

from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field

from pgrunbook.secrets.patterns import KEYWORDS, redact
from pgrunbook.sqltext.hazards import Hazard


class ClosedModel(BaseModel):
    """A table of `pgrunbook.toml`, which takes no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Policy(enum.StrEnum):
    """What it takes to let a block with a hazard run on a target."""

    ALLOW = "allow"  # nothing: it is shown
    ACCEPT = "accept"  # the block's own header has to accept it
    APPROVE = "approve"  # the plan has to be approved by somebody else


class TargetSettings(ClosedModel):
    """`[targets.NAME]`: how to reach a database, and what it must be so that nobody lands on
    another.

    A `protected` one takes only the plan that somebody else has approved; one with `rehearsal`,
    protected or not, only a plan that has passed a rehearsal. One that is a `copy_of` another, as a
    backup restored every night is, is not taken for that one. `hazards` has the policy for those
    that are not simply allowed. `give_way` is what backfills give way to: see
    `give_way.PressureLimits`.
    """

    service: str = ""
    env: str = ""
    database: str = ""
    system_identifier: str = ""
    copy_of: str = ""
    protected: bool = False
    rehearsal: bool = False
    hazards: dict[Hazard, Policy] = Field(default={})
    give_way: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run works. The connection string may hold a password: it is left out of `repr`."""

    name: str
    conninfo: str = field(repr=False)
    expected: TargetSettings = field(default_factory=TargetSettings)

    @property
    def folder(self) -> str:
        """The name as one path component, for `outputs/<target>/`."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip("-.") or "target"

    def records(self, schema: str) -> str:
        """Return where the records of runs in a schema lie, below `outputs/`: of each schema but
        `public` in a folder of its own.
        """
        if schema == "public":
            return self.folder
        own = re.sub(r"[^\w-]+", "-", schema).strip("-")
        if own != schema:  # no two schemas are to share one
            own = f"{own}-{hashlib.sha256(schema.encode()).hexdigest()[:8]}".lstrip("-")
        return f"{self.folder}/{own}"

    def redact(self, text: str) -> str:
        """Return the text without this target's password."""
        parts = conninfo_to_dict(self.conninfo)
        secrets = [str(parts[keyword]) for keyword in KEYWORDS if keyword in parts]
        return redact(text, *secrets)
