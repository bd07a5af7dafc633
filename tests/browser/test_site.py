"""The reviewer's pages in a browser: read, filtered, sorted; small, dark, without scripts, by a
screen reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

VERDICTS = ["refused", "interrupted", "failed", "passed", "passed"]  # in the order of the runs


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: errors.append(request.url) if not request.url.startswith("file:") else None,
    )
    yield page
    context.close()
    assert errors == [], "a script failed, or something was loaded from elsewhere"


def index(site: Path) -> str:
    return (site / "index.html").as_uri()


def shown(page: Page) -> list[str]:
    return [
        text.lower()
        for text in page.locator("#records tbody tr:visible .verdict").all_inner_texts()
    ]


def open_run(page: Page, site: Path, number: int) -> None:
    """The page of the n-th run."""
    page.goto(index(site))
    page.locator("#records tbody tr").nth(len(VERDICTS) - 1 - number).get_by_role("link").click()


def test_the_index_lists_every_run_the_newest_first(page: Page, site: Path) -> None:
    page.goto(index(site))
    assert shown(page) == VERDICTS[::-1]
    expect(page.get_by_role("status")).to_have_text("5 records")


def test_the_index_is_filtered_and_the_filter_kept_in_the_address(page: Page, site: Path) -> None:
    page.goto(index(site))
    page.get_by_label("Verdict").select_option("refused")
    assert shown(page) == ["refused"]
    expect(page.get_by_role("status")).to_have_text("1 of 5 records")
    page.reload()
    assert shown(page) == ["refused"]
    page.get_by_label("Verdict").select_option("")
    page.get_by_label("Text").fill("crm-7")
    assert shown(page) == ["passed"]
    page.get_by_label("Text").fill("")
    page.get_by_label("From").fill("2999-01-01")
    assert shown(page) == []


def test_many_records_are_shown_in_parts_and_filtered_as_a_whole(
    page: Page, browser: Browser, site: Path
) -> None:
    head, row, rest = index_of_one(site)
    many = site / "many.html"
    many.write_text(
        "".join([head, *(row.replace("<td>", f"<td>{n} ", 1) for n in range(1000)), rest])
    )
    page.goto(many.as_uri())
    assert page.locator("#records tbody tr").count() == 300
    expect(page.get_by_role("status")).to_have_text("1000 of 1000 records, the first 300 shown")
    page.get_by_label("Text").fill("999")
    assert page.locator("#records tbody tr").count() == 1
    page.get_by_label("Text").fill("")
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#records tbody tr").count() == 1000
    with browser.new_context(java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(many.as_uri())
        assert plain.locator("#records tbody tr").count() == 1000


def index_of_one(site: Path) -> tuple[str, str, str]:
    """The index up to its first record, that, and what comes after the last."""
    head, row, *_, last = (site / "index.html").read_text().split("<tr data-")
    return head, f"<tr data-{row}", last.partition("</tr>")[2]


def test_the_index_is_sorted_with_the_keyboard(page: Page, site: Path) -> None:
    page.goto(index(site))
    page.get_by_role("button", name="verdict").focus()
    page.keyboard.press("Enter")
    assert shown(page) == sorted(VERDICTS)
    expect(page.get_by_role("columnheader", name="verdict")).to_have_attribute(
        "aria-sort", "ascending"
    )
    page.keyboard.press("Enter")
    assert shown(page) == sorted(VERDICTS, reverse=True)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            0,
            [
                "refused",
                "1 problem",
                "remedy",
                "The run did not get that far.",
                "never ran",
            ],
        ),
        (
            1,
            [
                "interrupted",
                "the kernel died",
                "nothing was committed",
                "never ran",
                "Begun, and not ended: 010",
            ],
        ),
        (2, ["failed", "its locks could not be had", "somebody"]),
        (
            3,
            ["passed", "It waited for locks: 030_deals_source_data", "monthly report", "10 blocks"],
        ),
        (
            4,
            [
                "passed",
                "CRM-7",
                "Skipped: 16 blocks.",
                "Nothing: what the blocks make was there already.",
            ],
        ),
    ],
)
def test_a_run_is_read(page: Page, site: Path, number: int, said: list[str]) -> None:
    open_run(page, site, number)
    text = page.locator("body").inner_text().lower()
    for each in said:
        assert each.lower() in text, each
    expect(page.locator(".answers li")).to_have_count(13)


def test_the_answers_lead_to_where_they_are_proven(page: Page, site: Path) -> None:
    open_run(page, site, 3)
    links = page.locator(".answers a")
    assert links.count() == 13
    for link in links.all():
        assert page.locator(link.get_attribute("href") or "").count() == 1


def test_everything_is_there_without_scripts(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(index(site))
    assert page.locator("#records tbody tr").count() == len(VERDICTS)
    expect(page.locator("#filter")).to_be_hidden()
    page.locator("#records a").first.click()
    expect(page.locator(".answers li")).to_have_count(13)
    context.close()


@pytest.mark.parametrize("number", [None, 1, 3])
def test_a_narrow_screen_is_not_scrolled_sideways(
    page: Page, site: Path, number: int | None
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(index(site))
    if number is not None:
        open_run(page, site, number)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (1280, ["reason", "runbook", "target", "operator", "ticket"]),
        (400, ["reason", "runbook", "target"]),
    ],
)
def test_what_a_reviewer_looks_for_is_seen_without_scrolling(
    page: Page, site: Path, width: int, columns: list[str]
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(index(site))
    names = page.locator("#records th").all_inner_texts()
    for row in page.locator("#records tbody tr").all():
        for name in columns:
            cell = row.locator("td").nth(names.index(name))
            box = cell.bounding_box()
            assert box is not None, name
            assert box["x"] >= 0, name
            assert box["x"] + box["width"] <= width, name


def test_the_index_says_why_a_run_did_not_pass(page: Page, site: Path) -> None:
    page.goto(index(site))
    reasons = page.locator("#records tbody td.reason").all_inner_texts()
    said = [
        "nothing was left to do",
        "16 blocks",
        "locks could not be had",
        "kernel died",
        "schema",
    ]
    for reason, part in zip(reasons, said, strict=True):
        assert part in reason


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("number", [None, 1])
def test_no_serious_finding_of_axe(page: Page, site: Path, number: int | None, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(index(site))
    if number is not None:
        open_run(page, site, number)
    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], each["nodes"][0]["html"])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_page_is_printed_as_a_whole(page: Page, site: Path) -> None:
    open_run(page, site, 3)
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation")).to_be_hidden()
    assert page.evaluate(
        "[...document.querySelectorAll('.wide')].every(e => getComputedStyle(e).overflow === "
        "'visible')"
    )
