"""The format of a record: what an executed notebook says to programs, and the version of that.

Start at `parts` for what is said and under which keys, at `bundles` for how it gets into a notebook
and out of it, whatever version has written it. docs/archive.md says what stays.
"""
