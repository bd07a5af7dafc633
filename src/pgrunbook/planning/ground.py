"""What is there before a block: the inventory that a run looks at once, and keeps up to date.

All schemas are looked at where the database is small enough for it; of many, the run's own one,
and those that the ledger knows objects of; and of others, or if these are large, too, the relations
that the run's blocks name. But for a block that runs code all are: nobody can tell from its text
what that changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pgrunbook.inventory.names import names
from pgrunbook.inventory.objects import (
    PLACE,
    Address,
    Definition,
    Difference,
    Inventory,
    Object,
    differences,
)
from pgrunbook.inventory.read import read, read_objects
from pgrunbook.postgres import catalog
from pgrunbook.postgres.catalog import Connection
from pgrunbook.sqltext.mentions import Relation

_PG_CLASS = 1259  # src/include/catalog/pg_class.h

# Relations. More than these take longer to look at than a short run takes as a whole.
_MANY = 2_000

# Relations of a whole database, PostgreSQL's own 400 among them. One that has more may be the home
# of many tenants, and each run would look at those of all.
_MANY_IN_ALL = 700


@dataclass(slots=True)
class Ground:
    """The objects that a run may change, as it has seen them last.

    `whole`: all schemas were looked at; otherwise these `schemas` were. What is not in it, and in
    none but these, was not there.
    """

    schema: str
    whole: bool = False
    schemas: frozenset[str] = frozenset()
    seen: Inventory = field(default_factory=Inventory)
    named: dict[Address, str] = field(default_factory=dict)  # the identity of what is at an address
    at: dict[Address, Object] = field(default_factory=dict)  # what of `seen` is at an address
    looked_at: set[str] = field(default_factory=set)  # identities of relations

    @classmethod
    def look(
        cls,
        conn: Connection,
        schema: str,
        relations: Collection[Relation],
        *,
        code: bool,
        others: Iterable[str] = (),
    ) -> Ground:
        """Look at everything, or in a large database at the schema and these `others`, or these
        relations, and what hangs on them; at everything, too, where a block runs `code`.
        """
        ground = cls(schema)
        wanted = {schema, *others}
        (count,) = catalog.rows(conn, "relation_count", schema=schema, others=sorted(wanted))
        if code or count["in_all"] <= _MANY_IN_ALL:
            ground.whole = True
            ground._add(read(conn))
            return ground
        if count["in_schema"] <= _MANY:
            ground.schemas = frozenset(wanted if count["in_schemas"] <= _MANY else {schema})
            ground._add(read(conn, sorted(ground.schemas)))
            relations = [each for each in relations if (each[0] or schema) not in ground.schemas]
        ground.refresh(conn, relations)
        return ground

    def refresh(self, conn: Connection, relations: Collection[Relation]) -> None:
        """Look once more at these relations and what hangs on them: somebody may have altered them
        meanwhile.
        """
        if not relations:
            return
        schemas = [schema or self.schema for schema, _ in relations]
        wanted = [name for _, name in relations]
        found = catalog.rows(conn, "hanging", schemas=schemas, names=wanted)
        identities = {row["identity"] for row in found if row["identity"]}
        self.looked_at |= identities
        self._forget(self._parts(identities))
        addresses = [
            Address(row["classid"], row["objid"], row["objsubid"])
            for row in found
            if row["classid"]
        ]
        self._add(read_objects(conn, addresses))

    def covers(self, each: Object, part_of: str | None) -> bool:
        """Whether it was looked whether an object is there, which is part of a relation or none."""
        if self.whole or each.identity in self.looked_at or part_of in self.looked_at:
            return True
        # what is in no schema was looked at with any
        return each.schema in self.schemas or (each.schema is None and bool(self.schemas))

    def _parts(self, identities: Collection[str]) -> list[Object]:
        """The relations of these identities, as they were seen, with all that is part of them."""
        seen = self.seen
        oids = {
            address.objid
            for each, address in seen.addresses.items()
            if each.identity in identities and address.classid == _PG_CLASS
        }
        return [
            each
            for each, address in seen.addresses.items()
            if (address.classid == _PG_CLASS and address.objid in oids)
            or (each in seen.owners and seen.owners[each].objid in oids)
        ]

    def concerning(self, relations: Collection[Relation]) -> dict[Object, Definition]:
        """These relations and all that is part of them, by what a block may rest on: not who owns
        them, who may use them, and what is said of them.
        """
        wanted = {(schema or self.schema, name) for schema, name in relations}
        identities = {
            each.identity
            for each, address in self.seen.addresses.items()
            if address.classid == _PG_CLASS and not address.objsubid
            if names(each.identity) in wanted
        }
        return {each: _rested_on(self.seen[each]) for each in self._parts(identities)}

    def compare(
        self, conn: Connection, relations: Collection[Relation], *, code: bool
    ) -> list[Difference]:
        """Look once more, as `refresh` does, or at everything after `code` has run; return what has
        changed: not of the cluster's roles, which other databases' runs change meanwhile.
        """
        before = dict(self.seen.definitions)
        if code:
            self.seen, self.at = Inventory(), {}
            self._add(read(conn))
        else:
            self.refresh(conn, relations)
        return [each for each in differences(before, self.seen) if not each.object.shared]

    def take(self, effect: Iterable[Difference], after: Inventory) -> None:
        """Take account of what a block has changed."""
        self._forget([difference.object for difference in effect])
        self._add(after)

    def _forget(self, objects: Iterable[Object]) -> None:
        for each in objects:
            address = self.seen.addresses.get(each)
            if address and self.at.get(address) == each:
                del self.at[address]
            for known in (self.seen.definitions, self.seen.addresses, self.seen.owners):
                known.pop(each, None)

    def _add(self, more: Inventory) -> None:
        self.seen.definitions |= more.definitions
        self.seen.addresses |= more.addresses
        self.seen.owners |= more.owners
        self.named |= {address: each.identity for each, address in more.addresses.items()}
        self.at |= more.at()

    def parts_of(self, objects: Iterable[Object], after: Inventory) -> dict[Object, str | None]:
        """The identity of the table, or whatever it is, that each object is a part of."""
        made = {address: each.identity for each, address in after.addresses.items()}
        owners = {each: after.owners.get(each) or self.seen.owners.get(each) for each in objects}
        return {
            each: made.get(owner) or self.named.get(owner)
            for each, owner in owners.items()
            if owner
        }


# The order of columns moves when one that was dropped before them is left out.
_BESIDE = {
    *(PLACE, "owner", "privileges", "security labels", "statistics", "clustered"),
    *("comment", "comment on the index", "not null comment"),
}


def _rested_on(definition: Definition) -> Definition:
    said = definition.properties.items()
    return Definition({name: value for name, value in said if name not in _BESIDE})
