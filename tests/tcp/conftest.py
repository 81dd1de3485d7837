"""Every test of this folder that asks for ``read`` runs on the columnar path and on the reference."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support import streams


@pytest.fixture(params=[True, False], ids=["columnar", "reference"])
def columnar(request) -> bool:
    return request.param


@pytest.fixture
def read(columnar):
    """Reads packets; returns the events of each connection."""
    return partial(streams.read, columnar=columnar)
