"""Runs the command line as users do: in a process of its own, with the environment under control."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"EASPCAP_PASSWORD", "NO_COLOR"}}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def easpcap(*arguments: str, given: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "easpcap", *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, env=environment(**more), check=False)
