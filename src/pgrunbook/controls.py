"""Characters that a terminal or a browser obeys where a reader should see them: shown, and nothing
that they do.

What a server, a file or a name holds is kept and compared as it is; only where it is shown, it goes
through here.
"""

from __future__ import annotations

import json
import re
from typing import Any

# C0 but for tab and line feed, DEL and C1 (terminals take U+009B as ESC [); what is not seen or
# turns the direction of the text
# (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing); other ends of lines; tags;
# and halves of surrogate pairs, by which Python keeps the bytes of a file's name that are no text.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

# Where a line goes on that did not begin with us: below the text of a problem's fields, right of
# their labels.
INDENT = " " * 14


def visible(text: str) -> str:
    """Return the text with such characters as Python writes them, `\\x1b`; it still has lines."""
    return _CONTROL.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: object) -> str:
    r"""Return the text in one line: its line breaks are shown too, as `\n`."""
    return visible(str(text)).replace("\n", r"\n")


def continued(text: str) -> str:
    """Return the text, visible, with every line but its first indented: no line of it can pass for
    one of ours.
    """
    return visible(text).strip("\n").replace("\n", f"\n{INDENT}")


def unfit(text: str) -> str:
    """Return why a text does not say who it was, or why, in one line of a record: it is blank, or
    holds what would not be read as it stands. Empty if it does say so.
    """
    shown = _CONTROL.sub("", text)
    if not any(map(str.isalnum, shown)):
        return "takes text with a letter or a digit in it"
    if one_line(text) != text or "\t" in text:
        return "takes one line of text, without control characters"
    if text != text.strip():
        return "takes text without white space around it"
    return ""


def document(value: Any) -> str:
    """Return a value as JSON for people and programs: such characters as JSON escapes, which mean
    the same to a program.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
