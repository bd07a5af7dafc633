"""An archive of many records: how long until one more is sealed, all are verified, and the site has
one more page.

    .venv/bin/python benchmarks/archive.py [RECORDS]

Each record is a notebook of 60 kB with snapshots of 30 kB beside it, and signed. Prints medians
where something was done more than once. Nothing of it stays.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pgrunbook.records import attestation
from pgrunbook.records.archive import Archive
from pgrunbook.records.site import Site
from pgrunbook.records.verification import verify

NOTEBOOK_BYTES, SNAPSHOTS_BYTES = 60_000, 30_000
FILES = {f"sql/001_example/deploy/{number:03}.sql": "0" * 64 for number in range(45)}


def notebook(number: int) -> str:
    """An executed notebook with one cell."""
    cell = {
        "cell_type": "markdown",
        "id": "text",
        "metadata": {},
        "source": "word " * (NOTEBOOK_BYTES // 5),
    }
    noted = {"verdict": "passed", "reason": "done", "run_id": str(number)}
    return json.dumps(
        {"cells": [cell], "metadata": {"pgrunbook": noted}, "nbformat": 4, "nbformat_minor": 5}
    )


def keys(folder: Path) -> tuple[Path, Path]:
    """The files of a private key and of its public one."""
    key, paths = Ed25519PrivateKey.generate(), (folder / "private.pem", folder / "public.pem")
    paths[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return paths


def seal(archive: Archive, number: int, signer: attestation.Signer) -> float:
    """Write and seal one record; how many seconds sealing took."""
    folder = archive.root / f"target{number % 7}" / f"{number % 20:03}_example"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"run{number:06}.ipynb"
    path.write_text(notebook(number))
    path.with_suffix(".snapshots.json").write_text(json.dumps({"before": "x" * SNAPSHOTS_BYTES}))
    start = time.perf_counter()
    archive.seal(path, {"verdict": "passed"}, FILES, signer)
    return time.perf_counter() - start


def main(records: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder) / "outputs")
        private, public = keys(Path(folder))
        signer = attestation.signer(private)
        took = [seal(archive, number, signer) for number in range(records)]
        print(f"sealing one record: {statistics.median(took) * 1000:.1f} ms")
        start = time.perf_counter()
        found = verify(archive, [attestation.public_key(public)])
        assert (found.seals, found.signed, found.problems) == (records, records, ())
        print(f"verifying {records:,}: {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        Site(archive).build()
        print(f"the site of {records:,}: {time.perf_counter() - start:.1f} s")
        adding = []
        for number in range(records, records + 5):
            seal(archive, number, signer)
            start = time.perf_counter()
            assert Site(archive).build() == (1, number + 1)
            adding.append(time.perf_counter() - start)
        print(f"the site with one record more: {statistics.median(adding):.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
