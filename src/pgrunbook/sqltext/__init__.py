"""SQL as text: the names that it creates, mentions and needs, and what is dangerous about it. Opens
no connection.

Uses no other package, only the modules at the root. Start at `created_objects`. Others use:

- `created_objects` (`CreatedObject`, `created_objects`), `things` (`dropped_objects`), `mentions`
  (`relations`), `needs` (`Need`, `needs`): which names a statement has, and what for
- `hazards` (`Hazard`, `Trait`, `Thing`, `Danger`): the words for what is dangerous; `dangers`: the
  hazards of statements; `names` (`Names`): what a name means behind other statements
- `session_statements` (`find_misplaced`), `long_names` (`collisions`): what a file may not hold
- `placeholders` (`substitute`): psql's `:name`; `bounds` (`places`): those of a batch
"""
