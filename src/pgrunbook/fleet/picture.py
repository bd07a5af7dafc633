"""A picture of a fleet's waves over time: a bar a wave, and a mark where a target failed or was set
aside.
"""

from __future__ import annotations

from datetime import datetime
from html import escape

from pgrunbook.durations import words
from pgrunbook.fleet.state import State

_WIDTH, _LEFT, _ROW = 900, 150, 34
_COLORS = {"failed": "#cf222e", "set aside": "#9a6700"}


def _title(state: State) -> str:
    """What the picture shows, for who does not see it."""
    waves = (
        f"wave {number + 1}: {state.counts(number)['passed']:,} of {state.counts(number).total():,}"
        for number in range(len(state.waves))
    )
    return f"The waves over time, and how many targets passed. {', '.join(waves)}"


def draw(state: State) -> str:
    """The picture, as SVG."""
    began = datetime.fromisoformat(state["at"])
    span = max((datetime.fromisoformat(state.ended_at) - began).total_seconds(), 0.001)

    def x(at: str) -> float:
        since = (datetime.fromisoformat(at) - began).total_seconds()
        return _LEFT + (_WIDTH - _LEFT - 20) * min(max(since / span, 0), 1)

    parts = [f"<title>{escape(_title(state))}</title>"]
    for number, wave in enumerate(state.waves):
        top = 10 + number * _ROW
        counts = state.counts(number)
        label = f"wave {number + 1}: {counts['passed']:,} of {counts.total():,}"
        parts.append(f'<text x="4" y="{top + 16}">{escape(label)}</text>')
        if wave.begun_at:
            left, right = x(wave.begun_at), x(wave.ended_at)
            parts.append(
                f'<rect x="{left:.1f}" y="{top}" width="{max(right - left, 2):.1f}" height="22" '
                'fill="#1a7f37" fill-opacity="0.35"/>'
            )
        for each in state.of_wave(number):
            if each.word in _COLORS and each.ended_at:
                at = x(each.ended_at)
                parts.append(
                    f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + 22}" '
                    f'stroke="{_COLORS[each.word]}" stroke-width="2"/>'
                )
    height = 10 + len(state.waves) * _ROW + 20
    parts.append(f'<text x="{_LEFT}" y="{height - 6}">0</text>')
    parts.append(
        f'<text x="{_WIDTH - 20}" y="{height - 6}" text-anchor="end">{words(span * 1000)}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
        f"{''.join(parts)}</svg>"
    )
