"""Sequence numbers wrap, offsets do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from easpcap.tcp.sequence import unwrap

numbers = st.integers(0, 2**32 - 1)


@given(numbers, st.integers(0, 2**40), st.integers(-(2**31), 2**31 - 1))
def test_a_sequence_number_is_unwrapped_to_the_nearest_offset(base, near, step):
    assert unwrap((base + near + step) % 2**32, base, near) == near + step
