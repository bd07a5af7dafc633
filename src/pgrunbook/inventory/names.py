"""The names in an object's identity, as pg_identify_object writes it."""

from __future__ import annotations

import re

_NAME = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def names(identity: str) -> tuple[str, ...]:
    """`("public", "Of 2026")` of `public."Of 2026"`: which names are quoted, the server knows."""
    return tuple(quoted.replace('""', '"') or plain for quoted, plain in _NAME.findall(identity))
