"""Names the pages of the site: as their records are named, unless something else has the name."""

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
    """Return the page of each record: by the record's name; or by a digest of that, if the name is
    taken by the site itself or by another record.
    """
    names = list(names)
    # some file systems do not tell upper from lower case
    counts = Counter(_fold(name) for name in names)
    found = {}
    for name in names:
        page = f"{name.removesuffix('.ipynb')}{_PAGE}"
        if counts[_fold(name)] > 1 or _is_in_the_way(page):
            page = f"{hashlib.sha256(name.encode()).hexdigest()}{_ODD_PAGE}"
        found[name] = page
    return found


def _is_in_the_way(page: str) -> bool:
    """Whether a page would be the site's own file, or in a folder that is called as a page is."""
    first, *parts = _fold(page).split("/")
    folders = [first, *parts[:-1]] if parts else []
    return first in OWN or any(folder.endswith(ENDINGS) for folder in folders)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
