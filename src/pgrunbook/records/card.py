"""Shows in the executed notebook how the run ended: the card at its end, the banner at its top."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgrunbook import controls, durations
from pgrunbook.errors import Verdict
from pgrunbook.records.format.bundles import bundle
from pgrunbook.records.format.parts import Card

# Jupyter's own style sheet aligns the cells of tables to the right. Code hosts strip this style,
# and their own aligns to the left.
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
    """How the run ended: HTML and text for people, and data under a MIME type of ours."""

    card: Card

    # IPython's protocol for rich output, https://ipython.readthedocs.io/en/stable/config/integrating.html
    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        card, facts = self.card, self._facts()
        lines = [f"{name}: {controls.one_line(value)}" for name, value in facts.items()]
        first = f"{card.verdict.upper()}: {controls.one_line(card.reason)}"
        return {
            **bundle(card),
            "text/html": self._html(facts),
            "text/plain": "\n".join([first, *lines]),
        }

    def _facts(self) -> Mapping[str, str]:
        """Return what a person is told of the run, by label; what is not known is left out."""
        card = self.card
        target = took = ""
        if card.target:
            target = f"{card.target}: {card.database}, schema {card.schema_}"
        if card.ended_at:
            took = durations.words(card.took_ms)
        facts = {
            "run": card.run,
            "runbook": card.runbook,
            "the verdict in the ledger": card.ledger_remark,
            "mode": card.mode,
            "target": target,
            "ended": durations.moment(card.ended_at),
            "took": took,
            "plan": card.plan,
            "rows put aside": card.put_aside,
            f"ACCESS EXCLUSIVE longer than {card.lock_timeout}": card.long_locks,
        }
        return {label: value for label, value in facts.items() if value}

    def _html(self, facts: Mapping[str, str]) -> str:
        rows = ""
        for name, value in facts.items():
            rows += f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        color = _COLORS[self.card.verdict]
        return (
            f'<div class="pgrunbook" style="border-left: 6px solid {color}; padding: 0.4em 1em">'
            '<p style="font-size: 1.3em; margin: 0"><strong style="color: '
            f'{color}">{self.card.verdict.upper()}</strong> '
            f"{escape(self.card.reason)}</p>{STYLE}<table>{rows}</table></div>"
        )


def banner(verdict: Verdict, reason: str, cell: str, committed: str) -> str:
    """Return the Markdown for the top of a notebook that did not pass: verdict, reason, the id of
    the cell, and what was committed.
    """
    where = f" In the cell `{cell}`." if cell else ""
    lines = [f"## {verdict.upper()}", f"{inline(reason).rstrip('.')}.{where}", committed]
    return "\n>\n".join(f"> {line}" for line in lines if line)


def warning(masked: Sequence[str]) -> str:
    """Return the Markdown for the top of a notebook in which something was masked that need not be
    a secret, with the places.
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
    """Return a value as text for HTML. Characters that turn or hide text are shown, not obeyed."""
    return html.escape(controls.visible(str(value)))


def inline(value: object) -> str:
    """Return a value as text for a line of Markdown: a line break would end a heading or a list."""
    return html.escape(controls.one_line(value))
