"""What must never be shown: passwords, keys and tokens in their usual forms, and texts that hold one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"

# libpq's keywords whose values are secret.
KEYWORDS = ("password", "sslpassword", "oauth_client_secret")

# Where in doubt, more is masked rather than less. libpq's forms:
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
_SHAPES = {
    # scheme://user:password@…, up to the last @ of the word; with spaces in it, up to the last @ before a slash.
    "a password in a URL": re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)(?:\S+|[^/]+)(?=@)", re.IGNORECASE),
    # password=…, sslpassword=…, PGPASSWORD=…; in single quotes or to the next space that no backslash escapes.
    "a password in a connection string": re.compile(
        r"""(?P<before>(?:password|client_secret)\s*=\s*)(?:'(?:\\.|''|[^'\\])*'?|(?:"[^"]*"|\\.|\S)(?:\\.|\S)*)""",
        re.IGNORECASE | re.DOTALL,
    ),
    # 'password': … as Python and JSON write a mapping.
    "a password in a mapping": re.compile(
        r"""(?P<before>(?:password|client_secret)["']\s*:\s*)(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\S+)""",
        re.IGNORECASE | re.DOTALL,
    ),
    "a password in SQL": re.compile(r"(?P<before>\bpassword\s+)E?'(?:\\.|''|[^'\\])*'?", re.IGNORECASE | re.DOTALL),
    # host:port:database:user:password on a line: https://www.postgresql.org/docs/current/libpq-pgpass.html
    "a line of a password file": re.compile(
        r"^(?P<before>(?:\\.|[^:\s\\#])+:(?:\d{4,5}|\*):(?:(?:\\.|[^:\s\\])+:){2})(?:\\.|[^:\s\\])+$", re.MULTILINE
    ),
    "an Authorization header": re.compile(
        r"""(?P<before>\bAuthorization["']?\s*[:=]\s*["']?(?:Basic|Bearer|Digest|Negotiate|Token)\s+)[^\s"'<]+""",
        re.IGNORECASE,
    ),
    "a private key": re.compile(
        r"(?P<before>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    # By the prefixes that their issuers gave them, so that a search finds them.
    "an access token": re.compile(
        r"""(?P<before>)\b(?:
            gh[opsru]_[A-Za-z0-9]{36,} | github_pat_\w{22,} | glpat-[\w-]{20,}   # GitHub, GitLab
            | (?:AKIA|ASIA)[A-Z0-9]{16}\b | AIza[\w-]{35} | ya29\.[\w-]{20,}     # AWS, Google
            | xox[abeoprs]-[\w-]{10,} | [rs]k_live_\w{16,} | sk-[\w-]{32,}       # Slack, Stripe, OpenAI
            | hvs\.[\w-]{24,} | npm_[A-Za-z0-9]{36} | pypi-[\w-]{50,}            # Vault, npm, PyPI
            | eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+                               # JSON Web Tokens
            | X-Amz-Signature=[a-f0-9]{64} | SCRAM-SHA-256\$\d+:[\w+/=$:]{40,}   # RDS, PostgreSQL's own verifiers
        )""",
        re.VERBOSE,
    ),
}

# What stands where a password would and is none: masked, missing, a placeholder, the word itself, code that fetches it.
_STAND_IN = re.compile(
    r"""["']?+(?:
        \*{3}
        | (?: \$\d+ | \$\{?[A-Z_]+}? | %s | %\(\w+\)s | :["']?\w+ | \?+ | \{[\w.]*} | <[\w -]+> | …
            | \.{3} | null | none | true | false | password | secret | ) (?![^\s"',;)\]}@&<])
        | (?: os | getpass | config | settings ) [.(] | (?: getenv | crypt | current_setting ) \( | \{["']
    )""",
    re.VERBOSE | re.IGNORECASE,
)


def looks_secret(value: Any) -> bool:
    """Whether a value, or a value inside a list or mapping, holds a secret in one of the usual forms.

    In a mapping the name counts too: `{"password": "hunter2"}`.
    """
    return any(pattern.search(text) for text in _texts(value) for pattern in _SHAPES.values())


def _texts(value: Any) -> Iterator[str]:
    """The value as a text, and what it consists of: the text of a whole escapes the quotes of its parts."""
    yield str(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from _texts(part)


def shapes(text: str) -> list[str]:
    """The usual forms in which the text holds a secret: "a password in a URL". Placeholders are none."""
    return [name for name, pattern in _SHAPES.items() if any(map(_is_secret, pattern.finditer(text)))]


def _is_secret(match: re.Match[str]) -> bool:
    return not _STAND_IN.match(match[0], len(match["before"]))


def redact(text: str, *secrets: str) -> str:
    """The text with secrets in the usual forms, and each of the given secrets, replaced by `***`."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _SHAPES.values():
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return text
