"""What must never be shown: passwords, keys and tokens in their usual forms, and texts that hold
one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "***"
KNOWN = "a password that the run knew"
IF_A_NAME = (
    "\nIf the database has something of that name, a role or a column say, every run shows it: "
    "change the password, with \\password in psql"
)

# libpq's keywords whose values are secret.
KEYWORDS = ("password", "sslpassword", "oauth_client_secret")

# What may stand beside a password in a connection string.
_BESIDE = (
    r"(?:host|hostaddr|port|user|dbname|service|passfile|options|application_name|connect_timeout|ssl\w+"
    r"|target_session_attrs|channel_binding|gssencmode|client_encoding|keepalives\w*)\s*=\s*"
)
_BEFORE = re.compile(rf"\b{_BESIDE}(?:'(?:\\.|[^'\\])*'|[^\s,']+)\s+$")
_AFTER = re.compile(rf"\s+{_BESIDE}\S")

# In each, what a group repeats is possessive: else it takes a hundred bytes for each character of a
# text. And each takes time in proportion to the text, whatever somebody has put in it: what may be
# long is looked for once a word, or up to a limit.
# libpq's forms: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
_SHAPES = {
    # scheme://user:password@…, up to the last @ of the word; with spaces in it, up to the last @
    # before a slash.
    "a password in a URL": re.compile(
        r"""(?P<before>(?<!\S)(?>\S*?[a-z0-9+.-]://[^/\s:@]*:)(?=\S+@)
            |(?<=[a-z0-9+.-])://[^/\s:@]*:(?=[^/]+@))
        (?:\S+|[^/]+)(?=@)""",
        re.IGNORECASE | re.VERBOSE,
    ),
    # password=…, sslpassword=…, PGPASSWORD=…; in single quotes or to the next space that no
    # backslash escapes.
    "a password in a connection string": re.compile(
        r"""(?P<before>(?:password|client_secret)\s*=\s*)
        (?:'(?:\\.|''|[^'\\])*+'?|(?:"[^"]*"|\\.|(?!</)\S)(?:\\.|(?!</)\S)*+)""",
        re.IGNORECASE | re.DOTALL | re.VERBOSE,
    ),
    # 'password': … as Python and JSON write a mapping. The whole key: a name that ends so is a
    # column's.
    "a password in a mapping": re.compile(
        r"""(?P<before>["'](?:\w{1,40}[_-])?(?:password|client_secret)\\{0,3}["']\s*:\s*)
        (?:\\{0,3}'(?:\\.|[^'\\]++)*\\{0,3}'|\\{0,3}"(?:\\.|[^"\\]++)*\\{0,3}"|\d{6,})""",
        re.IGNORECASE | re.DOTALL | re.VERBOSE,
    ),
    # With ::type it is a default that the server prints, beside the name of its column.
    "a password in SQL": re.compile(
        r"""(?P<before>\b(?:ssl)?password\s+)
        (?:(?:E|U&)?'(?:\\.|''|[^'\\]++)*(?:'(?!::)|\Z)|(?P<tag>\$\w*\$).*?(?:(?P=tag)|\Z)|&\#x27;.*?(?:&\#x27;|\Z))""",
        re.IGNORECASE | re.DOTALL | re.VERBOSE,
    ),
    # host:port:database:user:password on a line:
    # https://www.postgresql.org/docs/current/libpq-pgpass.html
    "a line of a password file": re.compile(
        r"^(?P<before>(?:\\.|[^:\s\\#])++:(?:\d{4,5}|\*):(?:(?:\\.|[^:\s\\])++:){2})(?:\\.|[^:\s\\])++$",
        re.MULTILINE,
    ),
    "an Authorization header": re.compile(
        r"""(?P<before>\bAuthorization["']?\s*[:=]\s*["']?(?:Basic|Bearer|Digest|Negotiate|Token)\s+)[^\s"'<]+""",
        re.IGNORECASE,
    ),
    "a private key": re.compile(
        r"(?P<before>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        re.DOTALL,
    ),
    # By the prefixes that their issuers gave them, so that a search finds them.
    "an access token": re.compile(
        r"""(?P<before>)\b(?:
            gh[opsru]_[A-Za-z0-9]{36,} | github_pat_\w{22,} | glpat-[\w-]{20,}# GitHub, GitLab
            | (?:AKIA|ASIA)[A-Z0-9]{16}\b | AIza[\w-]{35} | ya29\.[\w-]{20,}# AWS, Google
            | xox[abeoprs]-[\w-]{10,} | [rs]k_live_\w{16,} | sk-[\w-]{32,} # Slack, Stripe, OpenAI
            | hvs\.[\w-]{24,} | npm_[A-Za-z0-9]{36} | pypi-[\w-]{50,}      # Vault, npm, PyPI
            | eyJ[\w-]{10,400}\.eyJ[\w-]{10,}\.[\w-]+                      # JSON Web Tokens
            | X-Amz-Signature=[a-f0-9]{64}                                 # RDS
            | SCRAM-SHA-256\$\d+:[\w+/=$:]{40,}                            # PostgreSQL's verifiers
        )""",
        re.VERBOSE,
    ),
}

# What each of them has somewhere, in lower case. Most texts have none of it, and a file may hold a
# million constants: not to try each form takes a fifth of the time.
_SIGNS = re.compile(
    r"password|client_secret|://|:\*:|:\d{4}|authorization|private key"
    r"|gh[opsru]_|github_pat_|glpat-|akia|asia|aiza|ya29\.|xox|[rs]k_live_|sk-|hvs\.|npm_|pypi-|eyj"
    r"|x-amz-signature|scram-sha-256"
)

# What stands where a password would and is none: masked, missing, `'… password=' || value`, a
# placeholder, the word itself, code that fetches it.
_STAND_IN = re.compile(
    r"""(?:["']|&\#x27;)(?:(?:::[a-z ]+\)?)?\s*\|\| | ::[a-z ]+\Z) | (?!&\#)["'\\]*+(?:
        \*{3}
        | (?: \$\d+ | \$\{?[A-Z_]+}? | %(?:(?:\d+\$)?[sLI])? | %\(\w+\)s | :["']?\w+ | \?+
            | \{[\w.]*} | <[\w -]+> | … | \.{3}
            | null | none | true | false | default | password | secret |
          ) (?![^\s"',;)\]}@&<\\])
        | (?: os | getpass | config | settings ) [.(]
        | (?: getenv | crypt | current_setting ) \( | \{["']
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# An expression: a call, an element, or another name with the word in it: OLD.password,
# password_hash.
_EXPRESSION = re.compile(
    r"\(|[a-z_][\w.]*[(\[]|[a-z_.]*password[a-z_]*(?![^\s,;)\]}])", re.IGNORECASE
)
# What the catalog says of a column of that name, and no password.
_TYPE = re.compile(
    r"""["'\\]*(?:
        text | citext | name | bytea | uuid | jsonb? | string | str | object | bool(?:ean)?
        | (?:small|big)?int(?:eger)?
        | (?: character\ varying | character | varchar | char | bpchar | numeric | bit )
          (?:\s*\(\d+\))?
        )(?:\[\])?(?:\ NOT\ NULL)?["'\\]*$""",
    re.VERBOSE | re.IGNORECASE,
)

# A word with a capital, as a form has it beside a field.
_LABEL = re.compile(r"""["'\\]*[A-ZÀ-Þ][a-zß-ÿ]{2,15}["'\\]*""")


def names_secret(key: object) -> bool:
    """Return whether a key of a mapping is the name of a secret: `password`, `db_password`; not the
    path of a column.
    """
    return bool(_NAME_OF_SECRET.fullmatch(str(key)))


_NAME_OF_SECRET = re.compile(r"(?:\w+[_-])?(?:password|client_secret)", re.IGNORECASE)


def looks_secret(value: Any) -> bool:
    """Return whether a value, or a value inside a list or mapping, holds a secret in one of the
    usual forms.

    Where in doubt, it does. In a mapping the name counts too: `{"password": "hunter2"}`.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if names_secret(key) and inner is not None:
                return True
    for text in _texts(value):
        for pattern in _SHAPES.values():
            if pattern.search(text):
                return True
    return False


def _texts(value: Any) -> Iterator[str]:
    """Yield the value as a text, and what it consists of: the text of a whole escapes the quotes of
    its parts.
    """
    yield str(value)
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    for part in parts:
        yield from _texts(part)


def shapes(text: str, *, sql: bool = False) -> list[str]:
    """Return the usual forms in which the text holds a secret: "a password in a URL". Placeholders
    are none.

    With `sql` the text is SQL, or shows what the catalog says: `password = 'x'` is about a column
    there.
    """
    return list(dict.fromkeys(name for name, _ in values(text, sql=sql)))


def values(text: str, *, sql: bool = False) -> Iterator[tuple[str, str]]:
    """Yield each form, as `shapes` names it, with the secret as it is written there."""
    if not _SIGNS.search(text.casefold()):
        return
    for name, pattern in _SHAPES.items():
        for match in pattern.finditer(text):
            if _is_secret(name, match, sql=sql):
                yield name, match[0][len(match["before"]) :]


def is_stand_in(value: str) -> bool:
    """Return whether what stands where a password would is none."""
    return bool(_STAND_IN.match(value) or _EXPRESSION.match(value))


def _is_secret(name: str, match: re.Match[str], *, sql: bool) -> bool:
    value = match[0][len(match["before"]) :]
    if _STAND_IN.match(match[0], len(match["before"])):
        return False
    match name:
        case "a password in a URL":
            # a port, and an @ later on
            return not re.match(r"\d{1,5}(?:/|[,;.)\]}\"'>]*\s)", value)
        case "a password in a mapping":
            # of SQL, also a label: {"password": "Passwort"}
            return not (_TYPE.match(value) or (sql and _LABEL.fullmatch(value)))
        case "a line of a password file":
            return not re.search(r"(?::\d+){4}$", match[0])  # a time
        case "a password in a connection string":
            return _is_assigned(match, value, sql=sql)
    return True


def _is_assigned(match: re.Match[str], value: str, *, sql: bool) -> bool:
    """Return whether `password = value` gives a password to libpq or a program, and is not SQL
    about a column of that name.
    """
    text, start = match.string, match.start()
    # other keywords of libpq's beside it
    if _BEFORE.search(text, max(0, start - 200), start):
        return True
    listed = sql and value.endswith(",")  # SET password = value, port = 1
    if _AFTER.match(text, match.end()) and not listed:
        return True
    # in a URL's query, or as the end of a longer keyword
    compact = not re.search(r"\s", match["before"])
    before = text[max(0, start - 6) : start].casefold()
    if compact and before.endswith(("?", "&", "pg", "ssl", "oauth_")):
        return True
    if sql or _EXPRESSION.match(value):
        return False
    return compact or value.startswith(("'", '"'))


def redact(text: str, *secrets: str) -> str:
    """Return the text with secrets in the usual forms, and each of the given secrets, replaced by
    `***`. For a text that is about a connection: where in doubt, more is masked rather than less.
    """
    # the longest first: another may be a part of it
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _SHAPES.values():
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return text


def mask_shapes(text: str, *, sql: bool = False) -> str:
    """Return the text with what `shapes` finds replaced by `***`, and nothing else."""
    if not _SIGNS.search(text.casefold()):
        return text
    for name, pattern in _SHAPES.items():

        def mask(match: re.Match[str], name: str = name) -> str:
            if not _is_secret(name, match, sql=sql):
                return match[0]
            return f"{match['before']}{MASK}"

        text = pattern.sub(mask, text)
    return text
