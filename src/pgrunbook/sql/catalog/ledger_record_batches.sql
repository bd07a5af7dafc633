-- What does the ledger say of the backfills of a run? Every row of it but those of the batches, as JSON, by table.
SELECT jsonb_build_object(
         'requests', (SELECT jsonb_agg(to_jsonb(q) || jsonb_build_object('reason', left(q.reason, 500)) ORDER BY id) FROM pgrunbook.requests q WHERE q.run_id = %(run_id)s),
         'backfills', (SELECT jsonb_agg(to_jsonb(f) ORDER BY id) FROM pgrunbook.backfills f
                        WHERE f.id IN (SELECT backfill FROM pgrunbook.batches b WHERE b.run_id = %(run_id)s)
                           OR f.run_id = %(run_id)s),
         'skipped_rows', (SELECT jsonb_agg(to_jsonb(s) ORDER BY id) FROM pgrunbook.skipped_rows s WHERE s.run_id = %(run_id)s),
         'pauses', (SELECT jsonb_agg(to_jsonb(p) ORDER BY id) FROM pgrunbook.pauses p WHERE p.run_id = %(run_id)s)
       ) AS record
