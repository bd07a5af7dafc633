"""SQL as text: what it makes and what it mentions. Opens no connection.

Uses no other room. Start at `shape`.
"""
