"""What must never be shown: passwords in connection strings, and texts that hold one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"

# Where in doubt, more is masked rather than less. libpq's forms:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
_PATTERNS = (
    # scheme://user:password@…, up to the last @ of the word; with spaces in it, up to the last @ before a slash.
    re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)(?:\S+|[^/]+)(?=@)", re.IGNORECASE),
    # password=…, sslpassword=…, PGPASSWORD=…; in single quotes or to the next space that no backslash escapes.
    re.compile(
        r"""(?P<before>(?:password|client_secret)\s*=\s*)(?:'(?:\\.|''|[^'\\])*'?|(?:"[^"]*"|\\.|\S)(?:\\.|\S)*)""",
        re.IGNORECASE | re.DOTALL,
    ),
    # 'password': … as Python and JSON write a mapping.
    re.compile(
        r"""(?P<before>(?:password|client_secret)["']\s*:\s*)(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\S+)""",
        re.IGNORECASE | re.DOTALL,
    ),
    # PASSWORD '…' of SQL.
    re.compile(r"(?P<before>\bpassword\s+)E?'(?:\\.|''|[^'\\])*'?", re.IGNORECASE | re.DOTALL),
)


def looks_secret(value: Any) -> bool:
    """Whether a value, or a value inside a list or mapping, holds a password in one of the usual forms.

    In a mapping the name counts too: `{"password": "hunter2"}`.
    """
    return any(pattern.search(text) for text in _texts(value) for pattern in _PATTERNS)


def _texts(value: Any) -> Iterator[str]:
    """The value as a text, and what it consists of: the text of a whole escapes the quotes of its parts."""
    yield str(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from _texts(part)


def redact(text: str, *secrets: str) -> str:
    """The text with passwords in the usual forms, and each of the given secrets, replaced by `***`."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return text
