"""A fleet on a real Dask cluster: a scheduler and two workers as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fleet.conftest import FLEET, Tenants
from support.projects import wait_for

pytestmark = [pytest.mark.many, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _dask() -> None:
    pytest.importorskip("distributed", reason="NOT TESTED: pip install --editable '.[test-fleet]'")


@dataclass
class Cluster:
    """A scheduler, and workers of one thread each."""

    env: dict[str, str]
    folder: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start the scheduler, or a worker."""
        command = ["scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        if name != "scheduler":
            address = f"tcp://127.0.0.1:{self.port}"
            command = ["worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard"]
            command += ["--host", "127.0.0.1", "--name", name, "--no-nanny"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]],
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """Kill one of them."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()


@pytest.fixture
def cluster(tenants: Tenants) -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tenants.project.root / "cluster"
    folder.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | tenants.project.env
    made = Cluster(env, folder, port)
    for name in ("scheduler", "one", "two"):
        made.start(name)
    tenants.settings(f'workers = 4\nper_server = 2\nexecutor = "dask://127.0.0.1:{port}"')
    yield made
    for name in [*made.processes]:
        made.kill(name)


def ended(tenants: Tenants, command: str, *arguments: str) -> None:
    process = tenants.project.start("fleet", command, *arguments, "--fleet", FLEET)
    assert process.wait(600) == 0, tenants.fleet("status").text


def require_true(tenants: Tenants) -> None:
    names = {row["name"] for row in tenants.rows}
    assert tenants.applied() == names
    for name in names:
        assert tenants.verdicts(name).count("passed") == 1, name
    done = tenants.project.command("archive", "verify")
    assert done.code == 0, done.text


@pytest.mark.usefixtures("cluster")
def test_a_cluster_takes_a_fleet_to_its_end(tenants: Tenants) -> None:
    ended(tenants, "run", "001")
    require_true(tenants)


def test_a_worker_that_is_killed_loses_nothing(tenants: Tenants, cluster: Cluster) -> None:
    process = tenants.project.start("fleet", "run", "001", "--fleet", FLEET)
    wait_for(lambda: len(tenants.applied()) > 2, 300)
    cluster.kill("one")
    process.wait(600)
    cluster.start("three")
    ended(tenants, "resume")
    require_true(tenants)


def test_without_its_scheduler_it_stops_and_can_be_resumed(
    tenants: Tenants, cluster: Cluster
) -> None:
    process = tenants.project.start("fleet", "run", "001", "--fleet", FLEET)
    wait_for(lambda: len(tenants.applied()) > 2, 300)
    for name in ("scheduler", "one", "two"):
        cluster.kill(name)
    with suppress(subprocess.TimeoutExpired):
        process.wait(60)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    for name in ("scheduler", "one", "two"):
        cluster.start(name)
    ended(tenants, "resume")
    require_true(tenants)


def test_no_scheduler_no_run(tenants: Tenants) -> None:
    tenants.settings('executor = "dask://127.0.0.1:1"')
    done = tenants.fleet("run", "001")
    assert (done.code, "Dask's scheduler does not answer" in done.text) == (2, True), done.text
    assert not [*(tenants.project.root / "outputs").rglob("*.jsonl")]
