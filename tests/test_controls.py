"""What comes from elsewhere is seen, and does nothing; nor can a line of it pass for one of
ours.
"""

from __future__ import annotations

import json
import unicodedata

import pandas as pd
import pytest

from pgrunbook.controls import document, one_line, visible
from pgrunbook.errors import Failed, Problem, Refused, Verdict
from pgrunbook.records.card import VerdictCard, banner
from pgrunbook.records.format.parts import Card, Kind
from pgrunbook.records.how_it_ended import Ending
from pgrunbook.records.rendering import cells
from pgrunbook.run import display
from pgrunbook.run.frames import html, lines
from pgrunbook.runbooks.lint import Finding

# A screen cleared, a title set, C1's CSI, a line drawn over, bidi, other ends of lines, nothing
# seen, half a pair.
EVIL = "a\x1b[2J\x1b]0;t\x07\x9b31m\rb\u202ec\u2066\u2028d\x85e\x0bf\u200bg\ufeffh\x7f\udcff"
FORGED = f"no such column\nPASSED: all is well\r\nnotebook: x.ipynb\n{EVIL}"


def assert_harmless(text: str) -> None:
    assert not [
        hex(ord(c)) for c in text if c not in "\n\t" and unicodedata.category(c) in _OBEYED
    ], text


_OBEYED = ("Cc", "Cf", "Zl", "Zp", "Cs")


def test_every_character_that_is_obeyed_and_not_seen_is_escaped() -> None:
    every = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in _OBEYED]
    left = {c for c in every if visible(c) == c}
    named = {unicodedata.name(c, hex(ord(c))).split()[0] for c in left}
    assert named <= {
        "ARABIC",
        "SYRIAC",
        "KAITHI",
        "EGYPTIAN",
        "SHORTHAND",
        "MUSICAL",
        "0x9",
        "0xa",
    }, named
    assert visible("Grüße, 例え, 👍\tSELECT '…'\n") == "Grüße, 例え, 👍\tSELECT '…'\n"
    assert one_line("a\r\nb\x1b") == "a\\nb\\x1b"


def test_json_says_the_same_to_a_program_and_nothing_to_a_terminal() -> None:
    printed = document({"message": FORGED.replace("\udcff", ""), "umlaut": "ü"})
    assert_harmless(printed)
    assert json.loads(printed)["message"] == FORGED.replace("\udcff", "")
    assert "ü" in printed


@pytest.mark.parametrize("field", ["what", "where", "expected", "found", "remedy"])
def test_no_line_of_a_problem_begins_as_ours_do(field: str) -> None:
    text = str(Failed("It failed.", problems=[Problem(**{"what": "is wrong", field: FORGED})]))
    assert_harmless(text)
    assert [line for line in text.split("\n") if not line.startswith("  ")] == ["It failed."]
    assert not [
        line
        for line in text.split("\n")
        if line.startswith("  PASSED") or line.startswith("      PASSED")
    ]
    assert_harmless(str(Refused(FORGED)))


def test_nor_does_one_of_an_error_that_a_notebook_holds() -> None:
    said = Ending(Verdict.FAILED, "it failed", FORGED).text
    assert_harmless(said)
    assert [line for line in said.split("\n") if not line.startswith("  ")] == [
        "FAILED: no such column"
    ]


def test_a_finding_of_lint_is_in_lines_of_its_own() -> None:
    found = str(Finding(f"sql/{EVIL}", 1, "rule", FORGED, FORGED))
    assert_harmless(found)
    assert len([line for line in found.split("\n") if not line.startswith("    ")]) == 1


def test_frames_cards_and_sql_show_it() -> None:
    card = VerdictCard(
        Card(verdict=Verdict.FAILED, reason=FORGED, runbook=FORGED)
    )._repr_mimebundle_()
    # where the lines of a text stay in its element
    for markup in (html(["name"], [[FORGED]]), card["text/html"]):
        assert_harmless(markup)
    for text in (
        lines(["name"], [[FORGED]]),
        card["text/plain"],
        banner(Verdict.FAILED, FORGED, "cell", ""),
        display.sql(f"SELECT '{EVIL}'").data,
    ):
        assert_harmless(text)
        assert not [
            line
            for line in text.split("\n")
            if line.startswith(("PASSED", "notebook:", "> PASSED"))
        ], text


def test_what_is_stored_is_as_it_was() -> None:
    named = display.named(pd.DataFrame({"found": [EVIL]}), Kind.CIRCUMSTANCES)
    assert display._bundle(named)["application/vnd.pgrunbook.frame+json"]["rows"] == [[EVIL]]
    card = VerdictCard(Card(verdict=Verdict.FAILED, reason=EVIL))._repr_mimebundle_()
    assert card["application/vnd.pgrunbook.verdict+json"]["reason"] == EVIL


def test_the_page_of_a_record_shows_it_too() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": EVIL},
        {"output_type": "display_data", "data": {"text/html": f"<p>{EVIL}&#8238;&#x9b;&rlm;</p>"}},
        {"output_type": "display_data", "data": {"text/markdown": EVIL}},
    ]
    notebook = {
        "cells": [
            {"cell_type": "code", "source": f"# {EVIL}", "outputs": outputs},
            {"cell_type": "markdown", "source": EVIL},
        ]
    }
    for cell in cells(notebook):
        for shown in (cell.text, cell.code, *cell.outputs):
            assert_harmless(shown)
            assert "&#" not in shown.replace("&#39;", "").replace("&#34;", "")
            assert "&rlm;" not in shown
