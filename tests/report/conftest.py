"""EASPCAP_UPDATE_GOLDEN=1 pytest tests/report writes the golden files anew; look at the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden():
    """Compare text with tests/report/golden/NAME, byte for byte."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("EASPCAP_UPDATE_GOLDEN"):
            path.write_bytes(text.encode())
        assert text.encode() == path.read_bytes()

    return compare
