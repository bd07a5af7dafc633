"""The text of a SQL file: as it is, in UTF-8."""

from __future__ import annotations

from pgrunbook.errors import Problem, Refused


def decode(raw: bytes, name: str) -> str:
    """Return the text without a byte order mark, which psql skips, too. Raises Refused if it is not
    UTF-8, or holds a NUL: it would end what the server and the parser take for the file.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Refused(problems=[_not_utf8(raw, exc.start, name)]) from exc
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        remedy = f"look at it: grep -naP '\\x00' {name}; then delete that byte"
        raise Refused.of("holds a NUL byte", where=f"{name}:{line}", remedy=remedy)
    return text


def _not_utf8(raw: bytes, start: int, name: str) -> Problem:
    line = raw.count(b"\n", 0, start) + 1
    encoding, found = "LATIN1", f"byte 0x{raw[start]:02x}"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):  # its byte order mark
        encoding = found = "UTF-16"
    remedy = f"iconv -f {encoding} -t UTF-8, once you know what it is in"
    return Problem("is not UTF-8", f"{name}:{line}", "UTF-8", found, remedy)
