"""Every test of this folder that asks for ``tell`` runs on the columnar path and on the reference."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.streams import read


@pytest.fixture(params=[True, False], ids=["columnar", "reference"])
def columnar(request) -> bool:
    return request.param


@pytest.fixture
def tell(columnar):
    """Packets in, what is told of each connection out."""
    return partial(read, columnar=columnar)
