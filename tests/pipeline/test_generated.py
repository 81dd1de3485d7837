"""Captures from the benchmark's generator: every request and status that went in comes out, on good lines and bad."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from easpcap.pipeline import analyze

ROOT = Path(__file__).parents[2]
KEY = str(ROOT / "fixtures" / "keys" / "server.pem")


def by_connection(rows):
    found = defaultdict(list)
    for connection, *what in rows:
        found[connection].append(tuple(what))
    return dict(found)


@pytest.mark.parametrize(
    "shape",
    [
        ["mixed", "--megabytes", "3"],
        ["small", "--megabytes", "1"],
        ["rough", "--megabytes", "3", "--seed", "1"],
        ["rough", "--megabytes", "3", "--seed", "2", "--reordered", "0.2"],
        ["mixed", "--megabytes", "2", "--resumed", "0.9", "--together", "40", "--requests", "1", "2"],
    ],
    ids=" ".join,
)
def test_every_generated_request_and_status_is_read(shape, tmp_path):
    capture = tmp_path / "made.pcap"
    generate = [sys.executable, str(ROOT / "benchmarks" / "generate.py"), *shape, "--output", str(capture)]
    subprocess.run(generate, check=True, capture_output=True, cwd=ROOT / "benchmarks")
    with capture.with_suffix(".truth.csv").open(newline="", encoding="utf-8") as file:
        truth = [(int(r["connection"]), r["method"], r["target"], int(r["status"])) for r in csv.DictReader(file)]
    analysis = analyze([str(capture)], keys=[KEY])
    found = [
        (e.connection, e.request.method, e.request.target, e.response.status)
        for e in sorted(analysis.exchanges, key=lambda e: (e.connection, e.index))
        if e.request and e.response
    ]
    assert by_connection(found) == by_connection(truth)
    assert {c.decryption.status for c in analysis.connections if c.exchanges} <= {"decrypted", "partial"}
