"""The files of a project: settings, notebooks, SQL, parameters. Opens no connection.

May use `postgres` for its types, `sqltext` and `secrets`. Start at `project`.
"""
