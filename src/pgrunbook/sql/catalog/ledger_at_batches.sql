-- Has a block in batches of a run's runbook and schema begun and not ended? An earlier run may have begun it.
SELECT EXISTS (SELECT FROM pgrunbook.backfills f
                 JOIN pgrunbook.runs r USING (runbook, schema_name)
                WHERE r.run_id = %(run_id)s
                  AND f.revision = (SELECT max(b.revision) FROM pgrunbook.blocks b
                                     WHERE b.runbook = f.runbook AND b.schema_name = f.schema_name AND b.block = f.block))
       AS at_batches
