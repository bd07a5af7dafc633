"""What must never be shown: passwords in connection strings, and texts that hold one."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"

# A URL with user information that has a password; a conninfo `password=…`, quoted or not; the same in a
# URL's query. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)(?P<secret>[^\s]+)(?=@)", re.IGNORECASE)
_KEYWORD_PASSWORD = re.compile(
    r"(?P<before>\b(?:ssl)?password\s*=\s*)(?P<secret>'(?:\\.|[^'\\])*'|[^\s&]+)", re.IGNORECASE
)


def looks_secret(value: Any) -> bool:
    """Whether a value, or a value inside a list or mapping, holds a password in one of libpq's forms."""
    if isinstance(value, dict):
        return any(looks_secret(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set):
        return any(looks_secret(item) for item in value)
    text = str(value)
    return bool(_URL_PASSWORD.search(text) or _KEYWORD_PASSWORD.search(text))


def redact(text: str, *secrets: str) -> str:
    """The text with passwords in libpq's forms, and each of the given secrets, replaced by `***`."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in (_URL_PASSWORD, _KEYWORD_PASSWORD):
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return text
