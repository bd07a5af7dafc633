"""Draws how a backfill went over time: rows per second, the lag of its replicas, and its pauses as
shades.

The SVG needs no other file. It follows the reader's light or dark colours, can be read from 400
pixels on, and has its numbers in words for readers who do not see it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import zip_longest
from textwrap import wrap

from pgrunbook.controls import one_line
from pgrunbook.records import backfill
from pgrunbook.records.backfill import Cause, Pause, TimeSlice

_WIDTH, _LEFT, _RIGHT = 640, 78, 626
_RATE = (40.0, 190.0)  # where the panels begin and end, from above
_LAG = (236.0, 306.0)
_LINE = 24  # pixels between the lines of the legend
_MOST_CAUSES = 6
_LINE_LENGTH = 66  # characters of the legend
_CHARACTER = 9.7  # the width of a character, in pixels
_LEAST_WIDTH = 3.0  # of a pause: a narrower one is not seen

# `&` stands for the picture itself: a style in an SVG holds for the whole page, other pictures
# included.
_STYLE = """
&text { font: 17px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
&.back { fill: #ffffff } &.grid { stroke: #d1d9e0 } &.soft { fill: #59636e }
&.rate { fill: #54aeff; fill-opacity: .45; stroke: #0550ae; stroke-width: 2 }
&.lag { fill: none; stroke: #953800; stroke-width: 2.5 }
&.pause { fill: #7d4e00; fill-opacity: .16 } &.hatch { stroke: #7d4e00; stroke-opacity: .55 }
&.mark { font-weight: 700; fill: #7d4e00 }
&.over { paint-order: stroke; stroke: #ffffff; stroke-width: 4 }
&.middle { text-anchor: middle } &.right { text-anchor: end }
@media (prefers-color-scheme: dark) {
  &text { fill: #e6edf3 } &.back { fill: #0d1117 } &.grid { stroke: #3d444d }
  &.soft { fill: #9da7b3 } &.rate { fill: #388bfd; stroke: #79b8ff } &.lag { stroke: #ffa657 }
  &.pause { fill: #e3b341; fill-opacity: .2 } &.hatch { stroke: #e3b341 } &.mark { fill: #e3b341 }
  &.over { stroke: #0d1117 }
}
"""

# Seconds between two labels of the time.
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class _Time:
    """The time axis, from the first slice or pause to the end of the last, in seconds of Unix."""

    begin: float
    end: float

    @classmethod
    def of(cls, slices: Sequence[TimeSlice], pauses: Sequence[Pause]) -> _Time:
        parts: list[TimeSlice | Pause] = [*slices, *pauses]
        begin = min(each.at.timestamp() for each in parts)
        return cls(begin, max(begin + 1, *(each.end.timestamp() for each in parts)))

    def place(self, at: datetime) -> float:
        share = (at.timestamp() - self.begin) / (self.end - self.begin)
        return round(_LEFT + share * (_RIGHT - _LEFT), 1)

    @property
    def days(self) -> str:
        """The first and the last day."""
        first = f"{datetime.fromtimestamp(self.begin, UTC):%Y-%m-%d}"
        last = f"{datetime.fromtimestamp(self.end, UTC):%Y-%m-%d}"
        return f"{first}, UTC" if first == last else f"{first} to {last}, UTC"

    def labels(self) -> Iterator[tuple[datetime, str]]:
        """Yield at most five moments, each with its label."""
        span = self.end - self.begin
        days = [_DAY_S * n for n in (1, 2, 5, 10, 20, 50, 100)]
        step = next((step for step in (*_STEPS_S, *days) if span / step <= 4), days[-1])
        form = "%H:%M:%S" if step < 60 else "%H:%M"
        if span > _DAY_S:
            form = "%m-%d %H:%M" if step < _DAY_S else "%m-%d"
        at = -(-self.begin // step) * step  # the first multiple of the step
        while at <= self.end:
            moment = datetime.fromtimestamp(at, UTC)
            yield moment, f"{moment:{form}}"
            at += step


@dataclass(frozen=True, slots=True)
class _Scale:
    """The vertical axis of a panel, from zero to a round number above the greatest value."""

    top: float
    bottom: float
    most: float

    @classmethod
    def of(cls, panel: tuple[float, float], values: Sequence[float]) -> _Scale:
        most = max([*values, 0.001])
        unit = 10.0 ** (len(f"{most:.0f}") - 1) if most >= 1 else 0.1
        rounds = (unit * n for n in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10))
        return cls(*panel, next((each for each in rounds if each >= most), unit * 10))

    def place(self, value: float) -> float:
        return round(self.bottom - value / self.most * (self.bottom - self.top), 1)


def svg(block: str, slices: Sequence[TimeSlice], pauses: Sequence[Pause]) -> str:
    """Return the picture of a block's backfill, which has at least one slice."""
    time = _Time.of(slices, pauses)
    looks: list[TimeSlice | Pause] = [*slices, *pauses]
    lags = sorted((each for each in looks if each.lag_s is not None), key=lambda each: each.at)
    panels = [_RATE, _LAG] if lags else [_RATE]
    rates = _Scale.of(_RATE, [each.rows_per_s for each in slices])
    drawn = [
        *_panel("rows per second", rates, lambda value: f"{value:,.0f}"),
        _text(_RIGHT, _RATE[0] - 12, time.days, "soft right"),
        *_shades(time, pauses, panels),
        f'<path class="rate" d="{_area(time, rates, slices)}"/>',
    ]
    if lags:
        scale = _Scale.of(_LAG, [each.lag_s or 0 for each in lags])
        drawn += _panel("replication lag, seconds", scale, lambda value: f"{value:g}")
        drawn.append(f'<path class="lag" d="{_line(time, scale, lags)}"/>')
    bottom = panels[-1][1]
    drawn += _times(time, bottom)
    legend = list(_legend(backfill.causes(pauses)))
    for number, (letter, line) in enumerate(legend, 1):
        y = bottom + 38 + _LINE * number
        drawn += [_text(14, y, letter, "mark"), _text(38, y, line, "")]
    height = bottom + 38 + _LINE * len(legend) + 12
    return _document(f"Backfill {block}", backfill.summary(slices, pauses), height, drawn)


def _document(title: str, description: str, height: float, drawn: Sequence[str]) -> str:
    # Ids count for the whole page, and a notebook may hold several pictures.
    name = hashlib.sha256("".join([title, description, *drawn]).encode()).hexdigest()[:8]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH}"'
            f' height="{height:.0f}" viewBox="0 0 {_WIDTH} {height:.0f}"'
            f' aria-labelledby="title-{name} desc-{name}" class="backfill-{name}">',
            f'<title id="title-{name}">{_escaped(title)}</title>',
            f'<desc id="desc-{name}">{_escaped(description)}</desc>',
            f"<style>{_STYLE.replace('&', f'.backfill-{name} ')}</style>",
            f'<pattern id="hatch-{name}" width="8" height="8" patternUnits="userSpaceOnUse"'
            ' patternTransform="rotate(45)"><path class="hatch" d="M0 0V8"/></pattern>',
            f'<rect class="back" width="{_WIDTH}" height="{height:.0f}"/>',
            *(each.replace("url(#hatch)", f"url(#hatch-{name})") for each in drawn),
            "</svg>\n",
        ]
    )


def _panel(heading: str, scale: _Scale, label: Callable[[float], str]) -> Iterator[str]:
    yield _text(_LEFT, scale.top - 12, heading, "")
    for value in (0, scale.most / 2, scale.most):
        y = scale.place(value)
        yield f'<path class="grid" d="M{_LEFT} {y}H{_RIGHT}"/>'
        yield _text(_LEFT - 8, y + 6, label(value), "soft right")


def _shades(
    time: _Time, pauses: Sequence[Pause], panels: Sequence[tuple[float, float]]
) -> Iterator[str]:
    """Yield each pause as a shade over the panels, with the letter of its cause where it fits."""
    letters: dict[str, str] = {}
    marked = float(_LEFT)
    for pause in sorted(pauses, key=lambda each: each.at):
        letter = letters.setdefault(pause.kind, _mark(len(letters)))
        left, right = time.place(pause.at), time.place(pause.end)
        width = round(max(right - left, _LEAST_WIDTH), 1)
        for top, bottom in panels:
            place = f'x="{left}" y="{top}" width="{width}" height="{bottom - top}"'
            yield f'<rect class="pause" {place}/><rect fill="url(#hatch)" {place}/>'
        middle = round(left + width / 2, 1)
        if middle >= marked:
            yield _text(middle, _RATE[0] + 16, letter, "mark over middle")
            marked = middle + 16


def _area(time: _Time, scale: _Scale, slices: Sequence[TimeSlice]) -> str:
    """Return the path of the rates: a step for each slice, down to zero between two runs."""
    parts: list[str] = []
    zero = scale.place(0)
    ended = float("-inf")
    for each in slices:
        left, right, y = time.place(each.at), time.place(each.end), scale.place(each.rows_per_s)
        if left - ended > _LEAST_WIDTH:
            if parts:
                parts.append(f"V{zero}")  # down to zero, where the run before ended
            parts.append(f"M{left} {zero}")
        parts.append(f"V{y}H{right}")
        ended = right
    return "".join([*parts, f"V{zero}"])


def _line(time: _Time, scale: _Scale, lags: Sequence[TimeSlice | Pause]) -> str:
    parts: list[str] = []
    for each in lags:
        move = "L" if parts else "M"
        middle = each.at + (each.end - each.at) / 2
        parts.append(f"{move}{time.place(middle)} {scale.place(each.lag_s or 0)}")
    if len(parts) == 1:  # a line of one point is not seen
        parts.append("h3")
    return "".join(parts)


def _times(time: _Time, bottom: float) -> Iterator[str]:
    """Yield the labels of the time below the last panel. None is cut off at the edges."""
    for at, label in time.labels():
        x, half = time.place(at), len(label) * _CHARACTER / 2
        yield f'<path class="grid" d="M{x} {bottom}v6"/>'
        yield _text(min(max(x, _LEFT + half), _RIGHT - half), bottom + 24, label, "soft middle")


def _legend(causes: Sequence[Cause]) -> Iterator[tuple[str, str]]:
    """Yield the lines of the legend, each with a letter: that of its cause, or empty for a further
    line of the same cause.
    """
    for number, cause in enumerate(causes[:_MOST_CAUSES]):
        lines = wrap(one_line(cause), _LINE_LENGTH, max_lines=3, placeholder=" …")
        yield from zip_longest([_mark(number)], lines, fillvalue="")
    if len(causes) > _MOST_CAUSES:
        yield "…", f"and {len(causes) - _MOST_CAUSES} other causes"


def _mark(number: int) -> str:
    return chr(ord("A") + number) if number < _MOST_CAUSES else "…"


def _text(x: float, y: float, text: str, classes: str) -> str:
    named = f' class="{classes}"' if classes else ""
    return f'<text x="{x}" y="{y:.0f}"{named}>{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return escape(one_line(text), quote=False)
