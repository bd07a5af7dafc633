"""A runbook on a fleet, a wave a task: `fleet run` for the first one, then `fleet resume`.

pgrunbook has an environment of its own, `.venv` in the project's folder: Airflow pins hundreds of
packages, and none of them has to fit to it.
"""

from __future__ import annotations

import os
import shlex

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = os.environ.get("CRM_PROJECT", "/srv/crm")
FLEET = "tenants"
RUNBOOK = "001"
WAVES = 4  # as many as [fleets.tenants] of pgrunbook.toml has


def command(wave: int) -> str:
    """What takes the fleet through this wave. With `exec`, Airflow's signals reach it."""
    verb = "run" if wave == 1 else "resume"
    words = [".venv/bin/pgrunbook", "fleet", verb, RUNBOOK, "--fleet", FLEET, "--wave", str(wave)]
    return f"exec {shlex.join(words)}"


# A task that fails is looked at: no retries, and no wave after it. To go on, clear it.
with DAG("crm_fleet", schedule=None, catchup=False, max_active_runs=1, default_args={"retries": 0}):
    before = None
    for wave in range(1, WAVES + 1):
        task = BashOperator(
            task_id=f"wave_{wave}",
            bash_command=command(wave),
            cwd=PROJECT,
            # exit codes are pgrunbook's own: none of them means that there was nothing to do
            skip_on_exit_code=[],
        )
        if before is not None:
            before >> task
        before = task
