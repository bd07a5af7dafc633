"""A picture of a fleet's waves over time, as SVG: a bar for each wave, and a mark where a target
failed, was set aside or is not done.
"""

from __future__ import annotations

from datetime import datetime
from html import escape

from pgrunbook.durations import words
from pgrunbook.fleet.state import State

_WIDTH, _ROW = 640, 58  # in these proportions it can be read on a screen of 400 pixels
# The CSS class of a target's mark, by the target's word.
_MARKS = {"failed": "failed", "set aside": "aside", "not done": "aside"}

# `&` is the picture: of others on the same page the style says nothing.
_STYLE = """
&text { font: 17px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
&.back { fill: #ffffff } &.wave { fill: #1a7f37; fill-opacity: .35 }
&.failed { stroke: #cf222e; stroke-width: 2 } &.aside { stroke: #9a6700; stroke-width: 2 }
&tspan.failed { fill: #cf222e; stroke: none } &tspan.aside { fill: #9a6700; stroke: none }
@media (prefers-color-scheme: dark) {
  &text { fill: #e6edf3 } &.back { fill: #0d1117 } &.wave { fill: #3fb950; fill-opacity: .45 }
  &.failed { stroke: #ff7b72 } &.aside { stroke: #e3b341 }
  &tspan.failed { fill: #ff7b72 } &tspan.aside { fill: #e3b341 }
}
"""


def _title(state: State) -> str:
    """Return what the picture shows in words, for readers who do not see it."""
    waves = []
    for number in range(len(state.waves)):
        counts = state.counts(number)
        waves.append(f"wave {number + 1}: {counts['passed']:,} of {counts.total():,}")
    return f"The waves over time, and how many targets passed. {', '.join(waves)}"


def _label(state: State, number: int) -> str:
    """Return how many targets of a wave passed, failed and so on, in the colours of the marks."""
    counts = state.counts(number)
    parts = [f"wave {number + 1}: {counts['passed']:,} of {counts.total():,} passed"]
    for word, name in _MARKS.items():
        if counts[word]:
            parts.append(f'<tspan class="{name}">{counts[word]:,} {word}</tspan>')
    return ", ".join(parts)


def draw(state: State) -> str:
    """Return the picture of a run that has ended."""
    began = datetime.fromisoformat(state["at"])
    span = max((datetime.fromisoformat(state.ended_at) - began).total_seconds(), 0.001)

    def x(at: str) -> float:
        since = (datetime.fromisoformat(at) - began).total_seconds()
        return (_WIDTH - 4) * min(max(since / span, 0), 1)

    # Styles in an SVG hold for the whole page: so each rule names the picture, see `_STYLE`.
    picture = f"fleet-{state['id'][:8]}"
    height = 10 + len(state.waves) * _ROW + 20
    parts = [
        f"<title>{escape(_title(state))}</title>",
        f"<style>{_STYLE.replace('&', f'#{picture} ')}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}"/>',
    ]
    for number, wave in enumerate(state.waves):
        top = 10 + number * _ROW
        parts.append(f'<text x="4" y="{top + 16}">{_label(state, number)}</text>')
        if wave.begun_at:
            left, right = x(wave.begun_at), x(wave.ended_at)
            parts.append(
                f'<rect class="wave" x="{left:.1f}" y="{top + 24}" '
                f'width="{max(right - left, 2):.1f}" height="22"/>'
            )
        for each in state.of_wave(number):
            if each.word in _MARKS and each.ended_at:
                at = x(each.ended_at)
                parts.append(
                    f'<line class="{_MARKS[each.word]}" x1="{at:.1f}" x2="{at:.1f}" '
                    f'y1="{top + 24}" y2="{top + 46}"/>'
                )
    parts.append(f'<text x="4" y="{height - 6}">0</text>')
    parts.append(
        f'<text x="{_WIDTH - 4}" y="{height - 6}" text-anchor="end">{words(span * 1000)}</text>'
    )
    return (
        f'<svg id="{picture}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}">'
        f"{''.join(parts)}</svg>"
    )
