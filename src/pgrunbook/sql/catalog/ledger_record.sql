-- What does the ledger say of a run? Every row of it, as JSON, by table.
SELECT jsonb_build_object(
         'runs', (SELECT jsonb_agg(to_jsonb(r)) FROM pgrunbook.runs r WHERE r.run_id = %(run_id)s),
         'blocks', (SELECT jsonb_agg(to_jsonb(b) ORDER BY id) FROM pgrunbook.blocks b WHERE b.run_id = %(run_id)s),
         'statements', (SELECT jsonb_agg(to_jsonb(s) ORDER BY id) FROM pgrunbook.statements s WHERE s.run_id = %(run_id)s),
         'locks', (SELECT jsonb_agg(to_jsonb(k) ORDER BY id) FROM pgrunbook.locks k WHERE k.run_id = %(run_id)s),
         'attempts', (SELECT jsonb_agg(to_jsonb(a) ORDER BY id) FROM pgrunbook.attempts a WHERE a.run_id = %(run_id)s),
         'verdicts', (SELECT jsonb_agg(to_jsonb(v) ORDER BY id) FROM pgrunbook.verdicts v WHERE v.run_id = %(run_id)s)
       ) AS record
