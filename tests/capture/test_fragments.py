"""IP fragments: whatever their order, the datagram comes out once, with the packet that completed it."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.capture.fragments import Fragments
from tests.capture.rows import read
from tests.support.packets import RAW_IP, ethernet, ipv4, ipv6, pcap_bytes, tcp

A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"
MORE = 0x2000
SECOND = 10**9
PAYLOAD = bytes(range(256)) * 10
DATAGRAM = tcp(50000, 443, 1, 2, 24, PAYLOAD)
SIZES = [1000, 1000, len(DATAGRAM) - 2000]


def in_ipv4(datagram: bytes, sizes: list[int], protocol: int = 6) -> list[bytes]:
    """The IPv4 fragments of ``datagram``, of ``sizes`` bytes each."""
    packets, at = [], 0
    for size in sizes:
        more = MORE if at + size < len(datagram) else 0
        piece = datagram[at : at + size]
        packets.append(ipv4(A4, B4, piece, fragment=more | at // 8, protocol=protocol))
        at += size
    return packets


def in_ipv6(datagram: bytes, sizes: list[int]) -> list[bytes]:
    packets, at = [], 0
    for size in sizes:
        field = at | (at + size < len(datagram))
        header = struct.pack(">BBHI", 6, 0, field, 7)
        packets.append(ipv6(A6, B6, datagram[at : at + size], protocol=44, extensions=header))
        at += size
    return packets


def raw(*packets, **options):
    return read(pcap_bytes(packets, link_type=RAW_IP), **options)


FRAGMENTS = in_ipv4(DATAGRAM, SIZES)
WHOLE = ipv4(A4, B4, tcp(50001, 443, 9, 2, 24, b"whole"))


@pytest.mark.parametrize("divide", [in_ipv4, in_ipv6])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 1, 1, 0, 2)])
def test_the_datagram_is_a_row_of_the_packet_that_completes_it(divide, order):
    parts = divide(DATAGRAM, SIZES)
    capture, rows = raw(WHOLE, *(parts[number] for number in order), WHOLE)
    assert [(row.frame, row.payload) for row in rows] == [
        (1, b"whole"),
        (1 + len(order), PAYLOAD),
        (2 + len(order), b"whole"),
    ]
    assert rows[1].on_wire == len(PAYLOAD)
    assert not capture.ignored


def test_fragments_wait_from_one_window_to_the_next():
    between = [ipv4(A4, B4, bytes(1400), protocol=17)] * 200
    capture, rows = raw(FRAGMENTS[0], *between, FRAGMENTS[1], *between, FRAGMENTS[2], window_bytes=2**14)
    assert [(row.frame, row.payload) for row in rows] == [(403, PAYLOAD)]
    assert capture.ignored == {"not TCP": 400}


def test_fragments_of_two_datagrams_take_turns():
    other = [packet[:4] + b"\0\2" + packet[6:] for packet in FRAGMENTS]
    pairs = [packet for pair in zip(FRAGMENTS, other, strict=True) for packet in pair]
    _, rows = raw(*pairs)
    assert [(row.frame, row.payload) for row in rows] == [(5, PAYLOAD), (6, PAYLOAD)]


def test_a_missing_fragment_is_counted_with_those_that_wait_for_it():
    capture, rows = raw(FRAGMENTS[0], FRAGMENTS[2], WHOLE)
    assert [row.frame for row in rows] == [3]
    assert capture.ignored == {"incomplete IP datagram": 2}


def test_padding_after_a_fragment_is_no_part_of_it():
    last = ipv4(A4, B4, DATAGRAM[2576:], fragment=2576 // 8)
    frames = [ethernet(packet) for packet in [*in_ipv4(DATAGRAM[:-4] + bytes(4), [2576, 4])[:1], last]]
    assert len(frames[1]) == 60
    _, rows = read(pcap_bytes(frames))
    assert [row.payload for row in rows] == [PAYLOAD]


def test_of_a_fragment_that_the_snap_length_cut_the_bytes_before_the_cut_are_read():
    cut = [(1, FRAGMENTS[0], len(FRAGMENTS[0])), (2, FRAGMENTS[1][:120], len(FRAGMENTS[1])), (3, FRAGMENTS[2])]
    _, rows = read(pcap_bytes(cut, link_type=RAW_IP))
    assert [(row.payload, row.on_wire) for row in rows] == [(PAYLOAD[: 1000 - 20 + 100], len(PAYLOAD))]


def test_fragments_that_overlap_with_the_same_bytes_are_put_together():
    parts = [
        ipv4(A4, B4, DATAGRAM[:1600], fragment=MORE),
        ipv4(A4, B4, DATAGRAM[800:2400], fragment=MORE | 100),
        ipv4(A4, B4, DATAGRAM[2000:], fragment=250),
    ]
    assert [row.payload for row in raw(*parts)[1]] == [PAYLOAD]
    assert [row.payload for row in raw(*reversed(parts))[1]] == [PAYLOAD]


@pytest.mark.parametrize("divide", [in_ipv4, in_ipv6])
def test_fragments_that_contradict_each_other_are_dropped_as_receivers_do(divide):
    parts = divide(DATAGRAM, SIZES)
    forged = parts[1][:-1] + b"!"
    capture, rows = raw(parts[0], parts[1], forged, parts[2])
    assert not rows
    assert capture.ignored == {"conflicting IP fragments": 4}


def test_two_ends_contradict_each_other():
    shorter = ipv4(A4, B4, DATAGRAM[2000:2100], fragment=2000 // 8)
    assert raw(FRAGMENTS[2], shorter, FRAGMENTS[0])[0].ignored == {"conflicting IP fragments": 3}
    assert raw(shorter, FRAGMENTS[2], FRAGMENTS[0])[0].ignored == {"conflicting IP fragments": 3}


def test_a_copy_of_a_fragment_after_the_datagram_is_complete_opens_no_new_one():
    capture, rows = raw(*FRAGMENTS, FRAGMENTS[1], FRAGMENTS[2])
    assert [row.frame for row in rows] == [3]
    assert capture.ignored == {"duplicate IP fragment": 2}


def test_the_number_of_a_complete_datagram_may_be_used_again():
    again = in_ipv4(tcp(50000, 443, 2561, 2, 24, PAYLOAD[::-1]), SIZES)
    _, rows = raw(*FRAGMENTS, *again)
    assert [(row.frame, row.payload) for row in rows] == [(3, PAYLOAD), (6, PAYLOAD[::-1])]


def test_fragments_wait_for_a_minute_of_the_capture():
    late = limits.FRAGMENT_TIMEOUT_NS
    for wait, frames in ((late, [3]), (late + 1, [])):
        packets = [(SECOND, FRAGMENTS[0]), (SECOND, FRAGMENTS[1]), (SECOND + wait, FRAGMENTS[2])]
        assert [row.frame for row in read(pcap_bytes(packets, link_type=RAW_IP))[1]] == frames


def test_fragments_of_a_datagram_without_tcp_are_counted_as_such():
    capture, _ = raw(*in_ipv4(bytes(3000), [1000, 1000, 1000], protocol=17), *in_ipv4(b"a" * 800, [400, 400], 1))
    assert capture.ignored == {"not TCP": 5}


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(A4, B4, bytes(13), fragment=MORE),  # not a multiple of eight
        ipv4(A4, B4, bytes(100), fragment=0x1FFF),  # beyond the longest datagram
        ipv4(A4, B4, b"", fragment=MORE),
    ],
)
def test_fragments_that_no_datagram_can_have_are_malformed(packet):
    assert raw(packet)[0].ignored == {"malformed": 1}


def test_an_undivided_ipv6_packet_with_a_fragment_header_is_a_row_at_once():
    assert [row.frame for row in raw(*in_ipv6(DATAGRAM, [len(DATAGRAM)]))[1]] == [1]


@pytest.mark.parametrize(
    "fragments",
    [
        [(number, 8184 * 8, bytes(8), 1) for number in range(20_000)],  # each needs room for a whole datagram
        [(number, 0, b"12345678", 1) for number in range(20_000)],
        [(0, number % 8000 * 8, b"12345678", 1) for number in range(20_000)],
    ],
)
def test_a_flood_of_fragments_needs_no_more_memory_than_allowed(fragments):
    store, most = Fragments(), 0
    for number, offset, payload, packets in fragments:
        store.add((number,), 0, offset, payload, len(payload), 6, packets, more=True)
        most = max(most, store._cost)
    assert most <= limits.MAX_FRAGMENT_BYTES
    assert len(store._seen) <= limits.MAX_FRAGMENTED_DATAGRAMS
    assert store._cost == sum(pieces.cost() for pieces in store._seen.values())
    store.finish()
    assert dict(store.take_lost()) == {"incomplete IP datagram": 20_000}
    assert store._cost == 0


@st.composite
def divisions(draw):
    """A datagram and its fragments in any order, some of them twice, some overlapping others."""
    datagram = draw(st.binary(min_size=1, max_size=200))
    cuts = draw(st.sets(st.integers(1, len(datagram) // 8 or 1)))
    edges = [0, *(cut * 8 for cut in sorted(cuts) if cut * 8 < len(datagram)), len(datagram)]
    parts = [(start, end) for start, end in itertools.pairwise(edges)]
    wider = draw(st.lists(st.tuples(st.sampled_from(edges[:-1]), st.sampled_from(edges[1:])), max_size=4))
    parts += [(start, end) for start, end in wider if start < end]
    return datagram, draw(st.permutations(parts))


@given(divisions())
@settings(max_examples=300, deadline=None)
def test_every_division_gives_the_datagram_exactly_once(division):
    datagram, parts = division
    store, found, covered = Fragments(), [], set()
    for number, (start, end) in enumerate(parts):
        piece = datagram[start:end]
        result = store.add((1,), 0, start, piece, len(piece), 6, 1, more=end < len(datagram))
        before = len(covered) == len(datagram)
        covered |= set(range(start, end))
        if result is not None:
            found.append(result.payload)
            assert result.packets == number + 1
        assert (result is not None) == (len(covered) == len(datagram) and not before)
    assert found == [datagram]


@given(st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=40), st.booleans(), st.integers(0, 2)), max_size=12))
@settings(max_examples=300, deadline=None)
def test_every_fragment_is_used_or_counted(fragments):
    store, used = Fragments(), 0
    for offset, payload, more, key in fragments:
        datagram = store.add((key,), 0, offset * 8, payload, len(payload), 6, 1, more=more)
        used += datagram.packets if datagram else 0
    store.finish()
    assert used + sum(count for _, count in store.take_lost()) == len(fragments)
