"""What a reviewer opens: a page made of an executed notebook."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

# nbconvert leaves code in Markdown output without the font that it gives to code elsewhere.
_STYLE = "<style>.jp-RenderedMarkdown pre {font-family: var(--jp-code-font-family)}</style>"


def page(notebook: Path) -> Path:
    """Write the notebook as one HTML file beside it, and return its path. The page loads nothing from elsewhere."""
    exporter = HTMLExporter(
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        require_js_url="",
        mathjax_url="",
        jquery_url="",
        mermaid_js_url="",
    )
    body, _ = exporter.from_notebook_node(
        nbformat.read(notebook, as_version=4), resources={"metadata": {"name": notebook.stem}}
    )
    path = notebook.with_suffix(".html")
    path.write_text(body.replace("</head>", f"{_STYLE}</head>", 1), encoding="utf-8")
    return path
