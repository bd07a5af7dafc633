"""Objects of a database, their definitions, and what differs between two inventories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pgrunbook.inventory import names

# The property that holds a column's place in its table. Equality ignores it, as a column that was
# dropped before it moves it; `differences` compares the order of the columns that are in both.
PLACE = "#"


class Object(NamedTuple):
    """What an object is called, in the words of pg_identify_object."""

    # 'table', 'table column', 'table constraint', 'index', 'function', 'policy' …
    type: str
    # 'public.invoices', 'public.invoices.state', 'invoices_pkey on public.invoices' …
    identity: str

    def __str__(self) -> str:
        return f"{self.type} {self.identity}"

    @property
    def schema(self) -> str | None:
        """The schema that it is, or is in; None if it is in none, as extensions and casts are."""
        if self.type == "schema":
            return names.names(self.identity)[0]
        return names.schema(self.identity)

    @property
    def shared(self) -> bool:
        """Whether all databases of the cluster share it, and its like."""
        return self.type in _SHARED


_SHARED = frozenset({"database", "parameter", "role", "role membership", "settings"})


class Address(NamedTuple):
    """Where the catalog keeps an object, as in pg_depend: it stays as it is when the object is
    renamed.
    """

    classid: int
    objid: int
    objsubid: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """What the server prints of an object, by plain names. Values are those of JSON; what an object
    has not, and what goes without saying, is absent.
    """

    properties: Mapping[str, Any]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Definition):
            return NotImplemented
        return self._compared() == other._compared()

    __hash__ = None  # type: ignore[assignment]

    def _compared(self) -> Mapping[str, Any]:
        if PLACE not in self.properties:
            return self.properties
        return {name: value for name, value in self.properties.items() if name != PLACE}


_NOT_VALID = " NOT VALID"


def holds(expected: Definition | None, found: Definition | None) -> bool:
    """Return whether what is found is as expected, or says more.

    A constraint that was made NOT VALID may have been validated since, and nothing takes that back.
    """
    if expected == found:
        return True
    if expected is None or found is None:
        return False
    text = expected.properties.get("definition")
    if not isinstance(text, str) or not text.endswith(_NOT_VALID):
        return False
    validated = {**expected.properties, "definition": text.removesuffix(_NOT_VALID)}
    return Definition(validated) == found


@dataclass(slots=True)
class Inventory(Mapping[Object, Definition]):
    """The definitions of objects at one moment, and where the catalog keeps them."""

    definitions: dict[Object, Definition] = field(default_factory=dict)
    addresses: dict[Object, Address] = field(default_factory=dict)
    # what columns, constraints, triggers … are parts of: a table, a domain, a publication
    owners: dict[Object, Address] = field(default_factory=dict)
    # those that were asked for
    schemas: Sequence[str] = ()
    # of the addresses that were asked for, those where nothing is
    gone: set[Address] = field(default_factory=set)
    # of those, the ones without a comment
    silent: set[Address] = field(default_factory=set)

    def __getitem__(self, wanted: Object) -> Definition:
        return self.definitions[wanted]

    def __iter__(self) -> Iterator[Object]:
        return iter(self.definitions)

    def __len__(self) -> int:
        return len(self.definitions)

    def at(self) -> dict[Address, Object]:
        """Return what each address is called."""
        return {address: each for each, address in self.addresses.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that two inventories do not define alike; None where it is absent.

    Two definitions of a column may be equal: then it has another place among the table's columns.
    """

    object: Object
    before: Definition | None
    after: Definition | None


def differences(
    before: Mapping[Object, Definition],
    after: Mapping[Object, Definition],
    *,
    renumbered: bool = False,
) -> list[Difference]:
    """Return what differs between two inventories, in the order of the objects' names. Anything
    that maps objects to definitions will do.

    `renumbered`: columns with another number, too, as those have of a table that was made anew: the
    number is compared with those of other columns later.
    """
    changed = before.keys() ^ after.keys()
    for each in before.keys() & after.keys():
        one, other = before[each], after[each]
        if one != other or (renumbered and _place(one) != _place(other)):
            changed.add(each)
    changed.update(_moved(before, after))
    return [Difference(each, before.get(each), after.get(each)) for each in sorted(changed)]


def _place(definition: Definition) -> object:
    return definition.properties.get(PLACE)


def _moved(
    before: Mapping[Object, Definition], after: Mapping[Object, Definition]
) -> Iterator[Object]:
    """Yield the columns that stand elsewhere among those that the table has in both."""
    for columns in _columns_of_tables(before, after).values():
        once = sorted(columns, key=lambda column: before[column].properties[PLACE])
        now = sorted(columns, key=lambda column: after[column].properties[PLACE])
        for left, right in zip(once, now, strict=True):
            if left != right:
                yield left


def _columns_of_tables(
    before: Mapping[Object, Definition], after: Mapping[Object, Definition]
) -> Mapping[str, list[Object]]:
    tables = defaultdict[str, list[Object]](list)
    for each in before:
        if each in after and PLACE in before[each].properties and PLACE in after[each].properties:
            tables[table_of(each)].append(each)
    return tables


def table_of(column: Object) -> str:
    """Return the identity of a column's table: all but the last name, which may be quoted."""
    identity = column.identity
    if not identity.endswith('"'):
        return identity.rpartition(".")[0]
    at = len(identity) - 2
    while identity[at] != '"' or identity[at - 1] == '"':
        # a quote in the name is doubled: step over both
        at -= 2 if identity[at] == '"' else 1
    return identity[: at - 1]
