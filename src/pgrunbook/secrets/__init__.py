"""What must never be shown: its forms, its encodings, and the search for it.

Uses no other package, only the modules at the root. Start at `search`. Others use:

- `patterns` (`MASK`, `redact`, `looks_secret`): passwords, keys and tokens in their usual forms
- `search` (`search_text`, `clean`): secrets in texts and values, and what is left without them
- `encodings` (`holds`): secrets that a run knows, as libpq, psycopg and pandas may print them
- `literals` (`problems`): secrets in SQL, before it runs
"""
