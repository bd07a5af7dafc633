"""How a run ended, in the executed notebook: the card at its end, the banner on top."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgrunbook import controls
from pgrunbook.errors import Verdict
from pgrunbook.mime_types import VERDICT_MIME

# Jupyter's own style sheet aligns cells to the right. Code hosts strip styles; tables read well
# there without.
STYLE = (
    "<style>.pgrunbook td, .pgrunbook th {text-align: left !important; vertical-align: top;"
    " white-space: pre-wrap; overflow-wrap: break-word}</style>"
)
_COLORS = {
    Verdict.PASSED: "#1a7f37",
    Verdict.FAILED: "#cf222e",
    Verdict.REFUSED: "#9a6700",
    Verdict.INTERRUPTED: "#9a6700",
    Verdict.LOCKED_OUT: "#9a6700",
}


@dataclass(frozen=True, slots=True)
class VerdictCard:
    """How the run ended, for people and, under a MIME type of its own, for programs."""

    verdict: Verdict
    reason: str
    facts: Mapping[str, Any]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        lines = [f"{name}: {controls.one_line(value)}" for name, value in self.facts.items()]
        return {
            VERDICT_MIME: {"verdict": str(self.verdict), "reason": self.reason, **self.facts},
            "text/html": self._html(),
            "text/plain": "\n".join(
                [f"{self.verdict.upper()}: {controls.one_line(self.reason)}", *lines]
            ),
        }

    def _html(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self.facts.items()
        )
        color = _COLORS[self.verdict]
        return (
            f'<div class="pgrunbook" style="border-left: 6px solid {color}; padding: 0.4em 1em">'
            '<p style="font-size: 1.3em; margin: 0"><strong style="color: '
            f'{color}">{self.verdict.upper()}</strong> '
            f"{escape(self.reason)}</p>{STYLE}<table>{rows}</table></div>"
        )


def banner(verdict: Verdict, reason: str, cell: str, committed: str) -> str:
    """Markdown for the top of a notebook that did not pass: verdict, reason, the cell's id, what
    was committed.
    """
    where = f" In the cell `{cell}`." if cell else ""
    lines = [f"## {verdict.upper()}", f"{inline(reason).rstrip('.')}.{where}", committed]
    return "\n>\n".join(f"> {line}" for line in lines if line)


def warning(masked: Sequence[str]) -> str:
    """Markdown for the top of a notebook in which something was masked that need not be a secret:
    where it was.
    """
    listed = [f"> - {escape(place).replace('`', '')}" for place in masked]
    return "\n".join(
        [
            "> **Masked**, as it looks like a secret. None of them is a password of this run:",
            ">",
            *listed,
        ]
    )


def escape(value: object) -> str:
    """A value as text that HTML takes as it is."""
    return html.escape(controls.visible(str(value)))


def inline(value: object) -> str:
    """A value as text in a line of Markdown, which a line break would end."""
    return html.escape(controls.one_line(value))


def packed(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The data of many blocks in one output: the names once, as `columns`, and for each block its
    values.
    """
    columns = list(blocks[0]) if blocks else []
    return {"columns": columns, "blocks": [[block[name] for name in columns] for block in blocks]}


def unpacked(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The data of each block, or what else the one output is about."""
    if "blocks" not in data:
        return [data]
    return [dict(zip(data["columns"], values, strict=True)) for values in data["blocks"]]
