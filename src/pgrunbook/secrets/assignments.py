"""Constants that SQL gives to something whose name says that it is a secret: an option, a setting,
an argument, a command's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# The last part of a name that says that its value is secret.
_NAME = re.compile(
    r'"?(?:\w+_)?(?:ssl)?(?:password|passwd|passphrase|passcode|pwd|pass|secret|token'
    r'|(?:secret|access|api|private)_?key)"?',
    re.IGNORECASE,
)
# What is given in place of one: nothing, or what is put in later.
_NOTHING = re.compile(
    r"|none|null|\*{3}|…|:['\"]?\w+['\"]?|\$\{?\w+\}?|<[\w -]+>|%\w|\{\w+\}", re.IGNORECASE
)
# The value of an HTTP header, of which the scheme is no secret.
_HEADER = re.compile(r"(?:Basic|Bearer|Digest|Negotiate|Token|ApiKey)\s+(.+)", re.IGNORECASE)
# What curl, sshpass, mysql and others take on their command line.
_OF_COMMAND = re.compile(
    r"""(?: (?:^|\s)(?:-u|--user|--proxy-user)[\s=]*['"]?[^\s:'"/]+:
          | (?:^|\s)--(?:[\w-]+-)?(?:password|passwd|passphrase|token|secret|api-?key)(?:\s+|=)(?!-)
          | \bsshpass\s+(?:-\S+\s+)*?-p\s*
          | \bmysql\w*\b[^|;&]*\s-p(?=\S)
        )['"]?([^\s'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)
# of ADO.NET, ODBC and JDBC: name=value;name=value
_OF_PROVIDER = re.compile(r"(?:^|;)\s*(?:password|pwd)\s*=\s*([^;]+)(?:;|$)", re.IGNORECASE)


def kind_of_secret(before: Sequence[str], value: str) -> str:
    """Return what the constant is, if it is a secret; empty if it is none. `before` are the tokens
    in front of it, as they are written.
    """
    name = _receiver(before)
    # of a setting with a prefix, `app.password`, the last part counts
    if _NAME.fullmatch(name.rpartition(".")[2]):
        if _is_nothing(value):
            return ""
        return "a password"
    if name.casefold() in ("authorization", "proxy-authorization"):
        header = _HEADER.fullmatch(value)
        if header and not _is_nothing(header[1]):
            return "an Authorization header"
        return ""
    if before and before[-1].casefold() == "program" and _holds(_OF_COMMAND, value):
        return "a password in a command"
    if value.count("=") > 1 and ";" in value and _holds(_OF_PROVIDER, value):
        return "a password in a connection string"
    return ""


def _receiver(before: Sequence[str]) -> str:
    """Return what the constant is given to: `password 'x'`, `password => 'x'`, `SET app.password =
    'x'`, `set_config('app.password', 'x'`. A column is not: `password = 'x'`.
    """
    match list(before):
        case [*_, function, "(", name, ","] if function.casefold() in ("set_config", "http_header"):
            return name.strip("'")
        case [*_, name, ","] if name.casefold().strip("'").endswith("authorization"):
            return name.strip("'")
        case [*_, name, "=>"]:
            return name
        case [*_, ".", name, sign] if sign.casefold() in ("=", "to") and _is_set(before[:-2]):
            return name
        case [*_, name]:
            return name
    return ""


def _is_set(before: Sequence[str]) -> bool:
    """Return whether it is a setting whose name these tokens begin: SET, perhaps LOCAL, and names
    with dots.
    """
    place = len(before)
    while place > 1 and before[place - 1] == ".":
        place -= 2
    match [word.casefold() for word in before[max(place - 2, 0) : place]]:
        case [*_, "set"] | ["set", "local" | "session"]:
            return True
    return False


def _holds(form: re.Pattern[str], value: str) -> bool:
    return any(not _is_nothing(found[1]) for found in form.finditer(value))


def _is_nothing(value: str) -> bool:
    return bool(_NOTHING.fullmatch(value.strip()))
