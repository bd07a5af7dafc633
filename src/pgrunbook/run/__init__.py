"""What the cells of a notebook call, and how it looks.

May use `applying` and what is below; it alone knows IPython and how pandas displays. Start at
`run`: the methods of `Run` are the cells, from top to bottom.

- `begin` begins a run; `lifetime` has its sessions and its end; `views` are the cells that only
  show.
- `prepare` decides and checks before anything is changed; `verify` checks afterwards; `rehearsal`
  has the copy that a rehearsal works on.
- `display`, `frames` and `reporters` show frames, plans and blocks; `sql_magic` is `%sql`.
"""
