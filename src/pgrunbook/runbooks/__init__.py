"""The files of a project: settings, notebooks, SQL, parameters. Opens no connection.

May use `postgres` for its types, `sqltext` and `secrets`. Start at `project`. Others use:

- `project` (`Project`): `pgrunbook.toml` and what is found from there; `targets` (`resolve`):
  from a target's name to a connection string; `credentials`: the passwords for it
- `source` (`Source`), `scripts` (`Script`, `Statement`), `blocks` (`Block`): the SQL of a runbook;
  `batches` (`Batching`), `give_way` (`PressureLimits`): blocks in batches
- `notebooks` and `cells`: the notebook; `parameters` (`Parameters`, `validate`) and `arguments`:
  what a run is given
- `lint` (`lint`), `scaffold` (`new`), `import_files` (`import_files`): the commands of these names
"""
