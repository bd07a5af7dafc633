"""The ground: the objects that a run's blocks may change, as an inventory that is read once and
kept up to date.

In a small database all schemas are read. In a large one, the run's own schema and those that the
ledger knows objects of; and of others, or if these are large, too, only the relations that the
run's blocks name. For a block that runs code all schemas are read: nobody can tell from its text
what that changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
from pgrunbook.postgres.session import Session
from pgrunbook.sqltext.mentions import Relation

_PG_CLASS = 1259  # src/include/catalog/pg_class.h

# Relations. More than these take longer to look at than a short run takes as a whole.
_MANY = 2_000

# Relations of a whole database, PostgreSQL's own 400 among them. One that has more may be the home
# of many tenants, and each run would look at those of all.
_MANY_IN_ALL = 700


@dataclass(slots=True)
class Ground:
    """The objects that a run may change, as they were last read.

    - `behind` are the schemas where a name is looked up that `schema` lacks.
    - `whole`: all schemas were read; otherwise these `schemas` were. What is in them and not in
      `seen` was absent.
    - `seen` are the objects.
    - `named` has the identity of each object by its address, also of those that are gone.
    - `at` has each object of `seen` by its address.
    - `looked_at` are the identities of relations that were read by name.
    """

    schema: str
    behind: Sequence[str] = ()
    whole: bool = False
    schemas: frozenset[str] = frozenset()
    seen: Inventory = field(default_factory=Inventory)
    named: dict[Address, str] = field(default_factory=dict)
    at: dict[Address, Object] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)

    @classmethod
    def look(
        cls,
        conn: Session,
        schema: str,
        relations: Collection[Relation],
        *,
        code: bool,
        others: Iterable[str] = (),
    ) -> Ground:
        """Read the objects that blocks may change.

        Everything, if the database is small or a block runs `code`; otherwise the schema and the
        `others`, if these are not large, either; and in any case the relations that blocks name,
        with what hangs on them.
        """
        ground = cls(schema, conn.behind)
        wanted = {schema, *others}
        (count,) = catalog.rows(conn, "relation_count", schema=schema, others=sorted(wanted))
        if code or count["in_all"] <= _MANY_IN_ALL:
            ground.whole = True
            ground._add(read(conn))
            return ground
        if count["in_schema"] <= _MANY:
            ground.schemas = frozenset(wanted if count["in_schemas"] <= _MANY else {schema})
            ground._add(read(conn, sorted(ground.schemas)))
            places = ground.places(relations)
            relations = [each for each in places if each[0] not in ground.schemas]
        ground.refresh(conn, relations)
        return ground

    def refresh(self, conn: Session, relations: Collection[Relation]) -> None:
        """Read these relations again, with what hangs on them: somebody may have altered them."""
        if not relations:
            return
        schemas, wanted = map(list, zip(*self.places(relations), strict=True))
        identities: set[str] = set()
        addresses: list[Address] = []
        for row in catalog.rows(conn, "hanging", schemas=schemas, names=wanted):
            if row["identity"]:
                identities.add(row["identity"])
            if row["classid"]:
                addresses.append(Address(row["classid"], row["objid"], row["objsubid"]))
        self.looked_at |= identities
        self._forget(self._with_parts(identities))
        self._add(read_objects(conn, addresses))

    def places(self, relations: Iterable[Relation]) -> list[Relation]:
        """Return the relations with their schemas: without one, in each where it is looked up."""
        places: set[Relation] = set()
        for schema, name in relations:
            places.update((each, name) for each in self._path(schema))
        return sorted(places)

    def _path(self, schema: str) -> Sequence[str]:
        return [schema] if schema else [self.schema, *self.behind]

    def covers(self, each: Object, part_of: str | None) -> bool:
        """Whether an object would be in `seen` if it existed. `part_of` is the identity of the
        relation that it is a part of.
        """
        if self.whole or each.identity in self.looked_at or part_of in self.looked_at:
            return True
        # what is in no schema was read with any of them
        return each.schema in self.schemas or (each.schema is None and bool(self.schemas))

    def _with_parts(self, identities: Collection[str]) -> list[Object]:
        """Return the relations of these identities, as they were read, with all their parts."""
        addresses, owners = self.seen.addresses, self.seen.owners
        oids: set[int] = set()
        for each, address in addresses.items():
            if address.classid == _PG_CLASS and each.identity in identities:
                oids.add(address.objid)
        found = []
        for each, address in addresses.items():
            is_relation = address.classid == _PG_CLASS and address.objid in oids
            if is_relation or (each in owners and owners[each].objid in oids):
                found.append(each)
        return found

    def concerning(self, relations: Collection[Relation]) -> dict[Object, Definition]:
        """Return these relations and all their parts, with the properties that a block may depend
        on: not owners, privileges, comments, see `_REMARKS`.
        """
        there: dict[tuple[str, ...], str] = {}
        for each, address in self.seen.addresses.items():
            if address.classid == _PG_CLASS and not address.objsubid:
                there[names(each.identity)] = each.identity
        identities: set[str] = set()
        for schema, name in relations:
            found = [place for place in self._path(schema) if (place, name) in there]
            if found:
                identities.add(there[found[0], name])
        return {each: _foundation(self.seen[each]) for each in self._with_parts(identities)}

    def compare(
        self, conn: Session, relations: Collection[Relation], *, code: bool
    ) -> list[Difference]:
        """Read again, as `refresh` does, or everything after `code` has run; return what has
        changed.
        """
        before = dict(self.seen.definitions)
        if code:
            self.seen, self.at = Inventory(), {}
            self._add(read(conn))
        else:
            self.refresh(conn, relations)
        # the cluster's roles may be changed meanwhile by runs in other databases
        found = differences(before, self.seen, renumbered=True)
        return [each for each in found if not each.object.shared]

    def note_effect(self, effect: Iterable[Difference], after: Inventory) -> None:
        """Take account of what a block has changed: `after` are the objects as they are now."""
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
        """Return, for each object that is part of another one, the identity of that, a table for
        instance.
        """
        identities = {address: each.identity for each, address in after.addresses.items()}
        found = {}
        for each in objects:
            owner = after.owners.get(each) or self.seen.owners.get(each)
            if owner:
                found[each] = identities.get(owner) or self.named.get(owner)
        return found


# Properties that no block rests on. The place of a column changes when one before it is dropped.
_REMARKS = {
    *(PLACE, "owner", "privileges", "security labels", "statistics", "clustered"),
    *("comment", "comment on the index", "not null comment"),
}


def _foundation(definition: Definition) -> Definition:
    properties = definition.properties.items()
    return Definition({name: value for name, value in properties if name not in _REMARKS})
