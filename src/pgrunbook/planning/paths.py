"""Where names without a schema are looked up. Reads only."""

from __future__ import annotations

from collections.abc import Iterable

from pgrunbook.planning.doubts import Path
from pgrunbook.postgres import search_path
from pgrunbook.postgres.session import Session
from pgrunbook.runbooks.blocks import Block
from pgrunbook.sqltext import search_paths
from pgrunbook.sqltext.mentions import Relation
from pgrunbook.sqltext.search_paths import ANYWHERE


class Paths:
    """The schemas of paths; each path is asked about once."""

    def __init__(self, conn: Session) -> None:
        self._conn = conn
        self._known: dict[str, Path] = {}

    def of(self, block: Block, path: str | None = None) -> Path:
        """Return the schemas that are there, in order: of the block's path, or of one that holds
        behind some of its statements, see `Danger`.
        """
        if path == ANYWHERE:
            return (*self.of(block), ANYWHERE)
        if path is None:
            path = block.search_path
        path = search_paths.of_role(path, block.role) or search_path.of(self._conn)
        if path not in self._known:
            self._known[path] = tuple(search_path.schemas(self._conn, path))
        return self._known[path]

    def relations(self, blocks: Iterable[Block]) -> set[Relation]:
        """Return the relations that these blocks name: without a schema where the run's own path
        finds them; of a block with a path of its own, in each of its schemas.
        """
        found: set[Relation] = set()
        for block in blocks:
            found.update(self.along(block, block.relations))
        return found

    def along(self, block: Block, named: Iterable[Relation]) -> list[Relation]:
        """Return relations that statements of a block name: see `relations`."""
        if not block.search_path:
            return [*named]
        found: list[Relation] = []
        for schema, name in named:
            schemas = (schema,) if schema else self.of(block)
            found += [(each, name) for each in schemas]
        return found
