"""Sessions on a server, locks, catalog queries, the embedded server, copies of a schema. Knows no
runbook.

May use `sqltext` and `secrets`. Start at `connection`.
"""
