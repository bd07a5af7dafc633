"""What must never be shown: its forms, its encodings, and the search for it.

Uses no other room. Start at `search`.
"""
