"""Renders the cells of an executed notebook as HTML for the reviewer's page. Nothing in it runs a
script, or loads anything.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

import mistune
import nh3
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from pgrunbook.controls import visible

_FORMATTER = HtmlFormatter(nowrap=True)
# The tags that frames are made of. Attributes are dropped: the page has its own style.
_TAGS = {
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "wbr",
    "p",
    "em",
    "strong",
    "code",
    "pre",
    "div",
    "span",
    "br",
    "ul",
    "li",
    "details",
    "summary",
}
_ANSI = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


@dataclass(frozen=True)
class HtmlCell:
    """A cell: its id and its state; and as HTML its text, or its code and its outputs."""

    id: str
    state: str
    text: Markup
    code: Markup
    outputs: list[Markup]


class _Renderer(mistune.HTMLRenderer):
    """Markdown for a page that has headings of its own: those of cells are two levels lower."""

    def heading(self, text: str, level: int, **_: Any) -> str:
        return f"<h{min(level + 2, 6)}>{text}</h{min(level + 2, 6)}>\n"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Return the text of an image from elsewhere, with its address. To load it would tell its
        host who reads the page, and it could be another image tomorrow.
        """
        if url.startswith("data:"):
            return super().image(text, url, title)
        return f"{text} ({escape(url)})"

    def block_code(self, code: str, info: str | None = None) -> str:
        return _code(code, "sql" if info == "sql" else "text")


_MARKDOWN = mistune.create_markdown(renderer=_Renderer(escape=True), plugins=["table"])


def cells(notebook: Mapping[str, Any]) -> Iterator[HtmlCell]:
    """Yield the cells of a notebook, in order."""
    for cell in notebook["cells"]:
        source = _text(cell["source"])
        text, code = Markup(), Markup()
        if cell["cell_type"] != "code":
            text = _markdown(source)
        elif source:
            # highlighted, so escaped
            code = Markup(_code(source, "python"))  # noqa: S704
        status = cell.get("metadata", {}).get("papermill", {}).get("status", "")
        outputs = list(filter(None, map(_output, cell.get("outputs", ()))))
        yield HtmlCell(cell.get("id", ""), status, text, code, outputs)


def _output(output: Mapping[str, Any]) -> Markup:
    """Return an output in the richest form that is safe: no script, no iframe, no link."""
    data = output.get("data", {})
    if output["output_type"] == "error":
        return _preformatted(
            _text("\n".join(output.get("traceback", []))) or _text(output.get("evalue", ""))
        )
    if output["output_type"] == "stream":
        return _preformatted(_text(output["text"]))
    if "text/html" in data:
        clean = nh3.clean(visible(_text(data["text/html"])), tags=_TAGS, attributes={})
        # cleaned, and its character references are characters now
        return Markup(visible(clean))  # noqa: S704
    if "text/markdown" in data:
        return _markdown(_text(data["text/markdown"]))
    if "image/svg+xml" in data:
        return _picture(_text(data["image/svg+xml"]))
    if "image/png" in data:
        # Base64 alone is left: nothing in it can end the attribute.
        png = re.sub(r"[^A-Za-z0-9+/=]", "", _text(data["image/png"]))
        return Markup(
            '<img alt="A picture that the cell made" src="data:image/png;base64,{}">'
        ).format(png)
    return _preformatted(_text(data.get("text/plain", "")))


def _picture(svg: str) -> Markup:
    """Return an SVG as an image, in which browsers run no script and for which they load nothing,
    https://www.w3.org/TR/SVG2/conform.html#secure-static-mode. Its title and description become
    the text alternative.
    """
    said = re.findall(r"<(title|desc)\b[^>]*>([^<]*)</\1>", svg)
    alternative = ". ".join(unescape(text).strip() for _, text in said)
    return Markup('<img alt="{}" src="data:image/svg+xml;base64,{}">').format(
        visible(alternative) or "A picture that the cell made", b64encode(svg.encode()).decode()
    )


def _markdown(text: str) -> Markup:
    return Markup(_MARKDOWN(visible(text)))  # noqa: S704  # HTML in it is escaped


def _preformatted(text: str) -> Markup:
    return Markup("<pre>{}</pre>").format(visible(_ANSI.sub("", text))) if text else Markup()


def _code(source: str, language: str) -> str:
    if language == "text":
        return f"<pre>{escape(visible(source))}</pre>"
    return f"<pre>{highlight(visible(source), get_lexer_by_name(language), _FORMATTER)}</pre>"


def _text(value: Any) -> str:
    """Return a text of a notebook, which nbformat may have split into lines."""
    return "".join(value) if isinstance(value, list) else str(value)
