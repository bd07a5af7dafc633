"""What the catalog holds, as the server prints it; what differs between two looks; what a
transaction has changed.

May use `postgres` and `secrets`. Start at `read`. Whatever makes `pg_dump -s` differ makes the
inventory differ, and the other way round, but for what `tests/inventory/changes.py` marks. Others
use:

- `read` (`read`, `read_objects`): the definitions of all objects, or of some
- `objects` (`Object`, `Definition`, `Inventory`, `differences`): what they are, and how they differ
- `changes` (`read_changes`, `read_overwritten`): what a transaction has changed
- `description` (`describe`): a definition in words
"""
