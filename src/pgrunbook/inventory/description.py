"""A definition in words, as far as it differs from another one."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import Any

from pgrunbook.inventory.objects import PLACE, Definition


def describe(definition: Definition | None, other: Definition | None = None) -> str:
    """Return the properties of a definition in which it differs from the other, a line each;
    `absent` if there is none. Of a text of many lines, those that differ.
    """
    if definition is None:
        return "absent"
    compared = other.properties if other else {}
    lines = []
    for name, value in definition.properties.items():
        if name != PLACE and (name not in compared or compared[name] != value):
            lines.append(f"{name}: {_text(value, compared.get(name))}")
    lines += [
        _LACKING.get(name, f"no {name}") for name in compared if name not in definition.properties
    ]
    if not lines and other:
        place = definition.properties.get(PLACE)
        return "the same, in another place of the table" if place else "the same"
    return "\n".join(lines) or "present"


# what an object is that lacks the property; of a trigger or a rule, where it fires
_LACKING = {"enabled": "enabled: origin, local", "not null": "not null: false"}


def _text(value: Any, other: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(other, str) and "\n" in value:
        lines = unified_diff(other.splitlines(), value.splitlines(), lineterm="", n=0)
        own = [line[1:] for line in lines if line.startswith("+") and line[:3] != "+++"]
        return "\n".join(own) or "without these lines"
    return value
