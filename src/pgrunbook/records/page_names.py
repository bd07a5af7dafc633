"""What the pages of the site are called: as their records are, where nothing else is."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

# What the site itself is made of.
OWN = {"index.html", "index.js", "index.jsonl", "style.css"}

# How the names of pages end. In no folder of theirs does a name end so: none is in another's place.
_PAGE, _ODD_PAGE = ENDINGS = ".html", ".htm"


def pages(names: Iterable[str]) -> dict[str, str]:
    """The page of each record: called as the record is; but by a digest of its name, where that is
    taken by the site itself or, to a file system that does not tell upper from lower case, by
    another record.
    """
    names = list(names)
    alike = Counter(_folded(name) for name in names)
    return {
        name: _plain_page(name) if alike[_folded(name)] == 1 else _odd_page(name) for name in names
    }


def _plain_page(name: str) -> str:
    page = f"{name.removesuffix('.ipynb')}{_PAGE}"
    first, *_ = parts = _folded(page).split("/")
    in_the_way = first in OWN or any(part.endswith(ENDINGS) for part in parts[:-1])
    return _odd_page(name) if in_the_way else page


def _odd_page(name: str) -> str:
    return f"{hashlib.sha256(name.encode()).hexdigest()}{_ODD_PAGE}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
