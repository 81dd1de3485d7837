"""Many chains through a pcap window find what one finds, and a guess that is wrong costs time alone."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import chains
from easpcap.capture.chains import follow_chains

SLACK = bytes(128)
LIKELY = 0x65A1_B2C3


def record(size: int, order: str = "<", header_bytes: int = 16, payload: bytes = b"") -> bytes:
    header = struct.pack(order + "IIII", LIKELY, 7, size, size).ljust(header_bytes, b"\0")
    return header + payload[:size].ljust(size, b"x")


def one_by_one(data: bytes, order: str, header_bytes: int) -> list[int]:
    found, at = [], 0
    while at + header_bytes <= len(data):
        behind = at + header_bytes + struct.unpack_from(order + "I", data, at + 8)[0]
        if behind > len(data):
            break
        found.append(at)
        at = behind
    return found


@pytest.fixture(autouse=True)
def _short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "SPACING", 256)
    monkeypatch.setattr(chains, "LEAST_CHAINS", 4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("header_bytes", [16, 24])
def test_sound_records_are_nearly_all_found(order: str, header_bytes: int):
    data = b"".join(record(37 * number % 300, order, header_bytes) for number in range(400))
    offsets, after = follow_chains(bytearray(data + SLACK), 0, len(data), order, header_bytes)
    expected = one_by_one(data, order, header_bytes)
    assert [*offsets.tolist(), after] == expected[: len(offsets) + 1]
    assert len(offsets) > 380


def test_pcap_records_inside_packets_are_not_taken_for_records():
    decoy = record(40) * 3
    data = b"".join(record(len(decoy) + 13, payload=b"z" * 13 + decoy) for _ in range(100))
    offsets, after = follow_chains(bytearray(data + SLACK), 0, len(data), "<", 16)
    expected = one_by_one(data, "<", 16)
    assert [*offsets.tolist(), after] == expected[: len(offsets) + 1]


def test_a_small_window_is_left_to_the_caller():
    data = record(100) * 5
    offsets, after = follow_chains(bytearray(data + SLACK), 0, len(data), "<", 16)
    assert (offsets.tolist(), after) == ([], 0)


def test_bytes_before_the_start_are_not_read():
    data = b"!" * 24 + record(90) * 60
    offsets, after = follow_chains(bytearray(data + SLACK), 24, len(data), "<", 16)
    assert offsets[0] == 24
    assert after == 24 + len(offsets) * 106


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=20, max_size=120),
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=8)), max_size=3),
    st.integers(0, 200),
)
def test_damage_yields_no_header_that_a_single_chain_does_not_find(sizes, damage, cut):
    data = bytearray(b"".join(map(record, sizes)))
    for place, garbage in damage:
        at = place % len(data)
        data[at : at + len(garbage)] = garbage[: len(data) - at]
    end = max(1, len(data) - cut)
    offsets, after = follow_chains(data + SLACK, 0, end, "<", 16)
    expected = one_by_one(bytes(data[:end]), "<", 16)
    assert offsets.tolist() == expected[: len(offsets)]
    assert expected[len(offsets) : len(offsets) + 1] in ([after], [])
