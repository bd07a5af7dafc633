"""Seals, checks, reads and shows executed notebooks.

May use `ledger` and what is below. Start at `format.parts` for what a record says, at `sealing` for
how it is made, at `record` for how it is read, into what `shown` has.

- How a run ended, by its cells: `how_it_ended`; the card and the banner that say so: `card`.
- To seal: `sealing`, `leaks`; what the ledger says of the record: `ledger_check`,
  `contradictions`, `runbook_cells`.
- The archive: `archive` writes it, `reading` reads it, `verification` and `chain` check it,
  `merging` merges two. `attestation` has the seals' format and signatures; files that anybody may
  have written are taken by `untrusted_files` alone.
- The reviewer's pages: `site`, `questions`, `audit_questions`, `rendering`; two records beside each
  other: `compare`.
"""
