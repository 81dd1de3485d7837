"""``python -m easpcap``."""

from __future__ import annotations

from easpcap.cli import main

main()
