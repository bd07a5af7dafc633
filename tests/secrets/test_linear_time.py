"""The search of a text takes time in proportion to its length, whatever somebody has put in it."""

from __future__ import annotations

import time

import pytest

from pgrunbook.secrets import encodings, patterns

UNITS = [
    "a-",
    "a.",
    "a://:",
    "a://:@",
    " ://a: ",
    "password ",
    "password='",
    "'password': \\\"",
    "password 'x'::",
    "eyJ-",
    "eyJaaaaaaaaaa.",
    "-----BEGIN ",
    "password $a",
    "a:*:a:a:a\n",
    "&#x27;",
    "\x1b[0m",
    "\\",
    "'",
    " ",
]
LENGTH = 40_000
MOST_S = 2.0  # of the processor; what grows with the square took four and more


@pytest.mark.parametrize("unit", UNITS)
def test_of_what_looks_like_a_secret(unit: str) -> None:
    text = unit * (LENGTH // len(unit))
    began = time.process_time()
    patterns.shapes(text)
    patterns.mask_shapes(text)
    patterns.redact(text)
    encodings.holds(text, ["p&ss'w\\ord\"x1"])
    assert time.process_time() - began < MOST_S


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter22@h/d",
        "x=postgresql://u:hunter22@h/d",
        "see (a://b) postgresql://u:pa/ss@wo:rd@h/d",
        "postgresql://u:two words@h/d",
        "http://a:80/b postgresql://u:two words@h/d",
        '{"u": "postgresql://u:hunter22@h"}',
    ],
)
def test_a_password_in_a_url_is_masked_to_its_end(url: str) -> None:
    masked = patterns.mask_shapes(url)
    assert masked == url[: url.index("//u:") + 4] + "***" + url[url.rindex("@") :]
