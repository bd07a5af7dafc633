"""Names the pages of the site: as their records, unless the name is taken."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

# The files of the site itself.
OWN = {"index.html", "index.js", "index.jsonl", "style.css"}

# The ends of pages' names. No folder of a page may have such a name: it would be in the place of a
# page.
_PAGE, _ODD_PAGE = ENDINGS = ".html", ".htm"


def pages(names: Iterable[str]) -> dict[str, str]:
    """Return the name of the page of each record. It is the record's own, or a digest of that if
    the site itself or another record has taken the name.
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
    """Return whether a page would be a file of the site itself, or in a folder that is named as a
    page.
    """
    first, *parts = _fold(page).split("/")
    folders = [first, *parts[:-1]] if parts else []
    return first in OWN or any(folder.endswith(ENDINGS) for folder in folders)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
