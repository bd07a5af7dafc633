"""SQL as text: the names that it makes, mentions and needs. Opens no connection.

Uses no other room. Start at `created_objects`.
"""
