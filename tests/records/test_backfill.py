"""How a backfill is seen: the picture, what it says in words, its numbers, and the line of a bar."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from pgrunbook.records import backfill, progress, rendering
from pgrunbook.records.backfill import Pause, TimeSlice
from pgrunbook.records.backfill_picture import svg
from pgrunbook.records.format import bundles
from pgrunbook.records.format.mime_types import PROGRESS_MIME
from pgrunbook.records.format.parts import Kind, Progress
from pgrunbook.run import backfills
from pgrunbook.run.frames import plain
from pgrunbook.runner.progress_bar import ProgressBar

BEGAN = datetime(2026, 11, 28, 23, 59, 30, tzinfo=UTC)
SLICES = [
    TimeSlice(BEGAN + timedelta(seconds=10 * n), 10, 1_000 * (n + 1), 0.25 * n) for n in range(6)
]
BEHIND = "replica b is {} s behind (limit 5.0 s)"
PAUSES = [
    Pause(BEGAN + timedelta(seconds=12), 4, (BEHIND.format(6),), 6.5),
    Pause(BEGAN + timedelta(seconds=21), 0.01, ("asked to <pause> & \x1b[31mwait",)),
    Pause(BEGAN + timedelta(seconds=32), 5, (BEHIND.format(5.5),)),
]
NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(slices: list[TimeSlice], pauses: list[Pause]) -> ElementTree.Element:
    return ElementTree.fromstring(svg("020_fill", slices, pauses))


def test_the_picture_says_in_words_what_it_shows() -> None:
    picture = drawn(SLICES, PAUSES)
    title, description = picture[0], picture[1]
    assert title.text == "Backfill 020_fill"
    assert (description.text or "") == (
        "21,000 rows from 2026-11-28 23:59:30 to 2026-11-29 00:00:30 UTC; "
        "350 rows per second on average, 600 at most; replicas were 6.5 s behind at most. "
        "It paused: 2 pauses, 9.0 s: replica b is 6 s behind (limit 5.0 s); "
        r"1 pause, 10 ms: asked to <pause> & \x1b[31mwait."
    )
    assert picture.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_lag_that_was_not_shown_is_no_pause_and_no_lack_of_replicas() -> None:
    unseen = Pause(BEGAN, 0, (backfill.LAG_UNSEEN,))
    without = [TimeSlice(each.at, each.seconds, each.rows) for each in SLICES]
    assert backfill.summary(without, [unseen]).endswith(
        "how far replicas were behind is not known. It did not pause."
        " It noted: how far replicas are behind is not shown to this role: no limit holds."
    )
    assert "no replica was seen. It did not pause." in backfill.summary(without, [])


def test_pauses_are_shaded_at_their_time_and_the_legend_has_their_letters() -> None:
    picture = drawn(SLICES, PAUSES)
    shades = [each for each in picture if each.get("class") == "pause"]
    assert len(shades) == 2 * len(PAUSES)  # over both panels
    first, instant = shades[0], shades[2]
    # 12 of 60 seconds after the left end, and 4 wide
    assert float(first.get("x", 0)) == pytest.approx(78 + 548 * 12 / 60, abs=0.1)
    assert float(first.get("width", 0)) == pytest.approx(548 * 4 / 60, abs=0.1)
    assert float(instant.get("width", 0)) == 3  # to be seen
    texts = [each.text or "" for each in picture.iter(f"{NAMESPACE}text")]
    legend = texts[-4:]
    assert legend[:2] == ["A", "2 pauses, 9.0 s: replica b is 6 s behind (limit 5.0 s)"]
    assert legend[2] == "B"
    assert texts.count("A") == 3
    assert "23:59:45" in texts
    assert "2026-11-28 to 2026-11-29, UTC" in texts


def test_a_pause_between_two_slices_is_in_the_numbers_of_the_one_before() -> None:
    slices = [TimeSlice(BEGAN, 10, 1), TimeSlice(BEGAN + timedelta(hours=1), 10, 1)]
    times = [-5, 12, 3605]
    pauses = [Pause(BEGAN + timedelta(seconds=s), 1 + n, ("why",)) for n, s in enumerate(times)]
    assert list(backfill.frame(slices, pauses)["paused_s"]) == [3, 3]
    assert backfill.frame([], pauses).empty


@pytest.mark.parametrize("count", [1, 40])
def test_it_can_be_short_and_without_a_replica(count: int) -> None:
    slices = [TimeSlice(BEGAN + timedelta(days=n), 0.0 if n else 5.0, 0) for n in range(count)]
    many = [Pause(BEGAN, 1, (f"cause {chr(97 + n) * 90}",)) for n in range(9)]
    picture = drawn(slices, many)
    assert "no replica was seen" in (picture[1].text or "")
    texts = [each.text or "" for each in picture.iter(f"{NAMESPACE}text")]
    assert "and 3 other causes" in texts
    assert "replication lag, seconds" not in texts
    assert max(map(len, texts)) <= 67


def test_its_style_is_for_itself_alone() -> None:
    """A page may have it among its own elements, and other pictures beside it."""
    text = svg("020_fill", SLICES, PAUSES)
    style = text.split("<style>")[1].split("</style>")[0]
    selectors = [each.strip() for each in re.findall(r"([^{}]+)\{", style)]
    assert all(each.startswith((".backfill-", "@media")) for each in selectors)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    other = svg("030_fill", SLICES, PAUSES)
    names = [set(re.findall(r'id="([^"]+)"', each)) for each in (text, other)]
    assert not names[0] & names[1]


def test_its_numbers_are_those_of_the_slices() -> None:
    frame = backfill.frame(SLICES, PAUSES)
    assert [frame.index.name, *frame.columns] == list(Kind.BACKFILL.columns)
    row = frame.loc["2026-11-28 23:59:40"]
    assert (row["rows"], row["rows_per_s"], row["lag_s"], row["paused_s"]) == (2_000, 200, 0.25, 4)
    assert row["paused"] == "1 pause, 4.0 s: replica b is 6 s behind (limit 5.0 s)"
    without = backfill.frame([TimeSlice(BEGAN, 1, 1)], [])
    assert plain(without)["rows"] == [["2026-11-28 23:59:30", 1.0, 1, 1.0, None, 0.0, ""]]
    assert backfill.summary([], []) == "No batch has run."


def test_a_page_shows_it_as_an_image_with_its_words_whoever_made_it() -> None:
    evil = '<svg><title>"><script>alert(1)</script></title><desc>a "b" &lt;c&gt;</desc></svg>'
    shown = []
    for text in (svg("020_fill", SLICES, PAUSES), evil):
        output = {"output_type": "display_data", "data": {"image/svg+xml": text, "text/plain": "x"}}
        cell = {"cell_type": "code", "source": "", "outputs": [output]}
        ((html,),) = [made.outputs for made in rendering.cells({"cells": [cell]})]
        shown.append(str(html))
        source = html.split("base64,")[1].split('"')[0]
        assert b64decode(source).decode() == text
    assert shown[0].startswith('<img alt="Backfill 020_fill. 21,000 rows from 2026-11-28')
    assert shown[1].startswith('<img alt="a &#34;b&#34; &lt;c&gt;" src="data:image/svg+xml;base64,')
    assert "<script>" not in shown[1]


FAR = Progress(block="020_fill", done=600_000, total=2_000_000, rows_per_s=7_000, lag_s=0.24)


def test_how_far_it_is_in_a_line() -> None:
    assert progress.line(FAR) == (
        "600,000 of about 2,000,000 rows (30%), 7,000 rows/s, replica 0.2 s behind, 3 min 20 s left"
    )
    assert progress.bar(FAR, 10) == "███░░░░░░░"
    paused = FAR.model_copy(update={"paused": ["asked to pause"]})
    assert progress.line(paused) == (
        "600,000 of about 2,000,000 rows (30%), replica 0.2 s behind; pauses: asked to pause"
    )
    unknown = Progress(block="020_fill", done=5)
    assert (progress.line(unknown), progress.bar(unknown)) == ("5 rows", "")
    assert progress.bar(Progress(block="x", done=9, total=3), 4) == "████"  # it was an estimate


def test_a_cell_says_it_in_place_and_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, dict[str, Any]]] = []

    class Handle:
        def update(self, data: dict[str, Any], **_: Any) -> None:
            shown.append(("updated", data))

    def show(data: dict[str, Any], **_: Any) -> Handle:
        shown.append(("shown", data))
        return Handle()

    monkeypatch.setattr(backfills, "show", show)
    reporter = backfills.BackfillDisplay()
    reporter.report(FAR)
    reporter.report(FAR.model_copy(update={"paused": ["a <b>"]}))
    assert [how for how, _ in shown] == ["shown", "updated"]
    (_, first), (_, second) = shown
    assert first["text/markdown"].startswith("███████░░░░░░░░░░░░░░░░░ 600,000 of about 2,000,000")
    assert bundles.parts(first, Progress) == [FAR]
    assert second["text/markdown"].endswith("pauses: a &lt;b&gt;")


def test_where_there_is_no_terminal_it_is_said_once_a_minute_and_when_it_pauses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = [0.0]
    shown = ProgressBar(now=lambda: clock[0])

    def said(far: Progress, after_s: float) -> str:
        clock[0] += after_s
        shown.show({"data": bundles.bundle(far)})
        return capsys.readouterr().err

    assert said(FAR, 0).startswith("progress: 020_fill: 600,000 of about 2,000,000 rows (30%)")
    assert said(FAR, 59) == ""
    assert "pauses: x" in said(FAR.model_copy(update={"paused": ["x"]}), 0)
    assert said(FAR.model_copy(update={"paused": ["y"]}), 0) == ""
    assert said(FAR, 0) != ""
    assert said(FAR, 60) != ""
    shown.show({"data": {PROGRESS_MIME: "?"}})
    shown.show({})
    assert capsys.readouterr().err == ""
