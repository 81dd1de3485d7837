"""A capture that begins in the middle of a connection, where the first bytes may lie inside a TLS record."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.tls.record.chain import Chain, find_chain
from tests.pipeline.test_prologue import analyse, only
from tests.support.batches import CLIENT, Script

SERVER, OTHER = ("10.0.0.2", 443), ("10.0.0.2", 5001)
TLS12 = b"\x03\x03"


def record(size: int, seed: int = 0, version: bytes = TLS12) -> bytes:
    return b"\x17" + version + size.to_bytes(2, "big") + random.Random(seed).randbytes(size)


def upload(records: int, size: int = 4000) -> bytes:
    return b"".join(record(size, seed) for seed in range(records))


def midstream(data: bytes, answer: bytes = b"", server=SERVER, step: int = 1400):
    """A connection without its beginning in which the client sends ``data``."""
    script = Script(client=CLIENT, server=server)
    for at in range(0, len(data), step):
        script.send(0, data[at : at + step])
    if answer:
        script.send(1, answer)
    return only(analyse(script.put(1).packets)).decryption


@pytest.mark.parametrize("inside", [1, 3, 5, 1000, 4004])
@pytest.mark.parametrize("server", [SERVER, OTHER])
def test_two_record_headers_that_follow_each_other_show_tls(inside, server):
    found = midstream(upload(4)[inside:], server=server)
    assert (found.status, found.reason) == ("opaque", "handshake-not-captured")


def test_the_largest_records_are_found():
    assert midstream(upload(3, 2**14 + 256)[1:], server=OTHER).reason == "handshake-not-captured"


def test_a_record_that_ends_with_the_capture_is_enough():
    assert midstream(upload(2)[100:], server=OTHER).reason == "handshake-not-captured"


@pytest.mark.parametrize(("server", "status"), [(SERVER, "opaque"), (OTHER, "plaintext")])
def test_one_header_of_an_unfinished_record_is_believed_on_a_port_of_tls_only(server, status):
    assert midstream(upload(2)[100:-7], server=server).status == status


def test_the_other_side_may_show_it():
    found = midstream(upload(1, 16_000)[100:9000], answer=record(50), server=OTHER)
    assert found.reason == "handshake-not-captured"


@pytest.mark.parametrize("size", [20, 2000, 200_000])
def test_other_binary_data_is_not_called_tls(size):
    assert midstream(random.Random(size).randbytes(size)).status == "plaintext"


def test_a_header_of_its_own_does_not_make_a_protocol_tls():
    messages = b"".join(b"\x05\x00\x02" + bytes([90]) + bytes(range(86)) for _ in range(40))
    assert midstream(messages[30:]).status == "plaintext"


def test_text_is_not_searched_for_records():
    assert midstream(b"MAIL FROM:<a@example.com>\r\n" + upload(3), server=OTHER).status == "plaintext"


def test_a_connection_whose_beginning_was_captured_is_decided_by_its_first_bytes():
    script = Script(server=OTHER).handshake().send(0, b"\x80" + upload(4)[1:]).put(1)
    assert only(analyse(script.packets)).decryption.status == "plaintext"


def test_bytes_after_a_gap_at_the_beginning_may_lie_inside_a_record():
    data = upload(4)
    script = Script(server=OTHER).handshake().send(0, data[:50]).send(0, data[50:]).put(1)
    del script.packets[3]
    assert only(analyse(script.packets)).decryption.status == "opaque"


def test_http_that_begins_in_a_body_is_read_when_its_next_message_comes():
    script = Script(server=("10.0.0.2", 80))
    script.send(1, bytes(range(128, 256)) * 100).send(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    script.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").put(0)
    connection = only(analyse(script.packets))
    assert connection.decryption.status == "plaintext"
    assert [exchange.response.status for exchange in connection.exchanges] == [200]


def test_what_is_held_is_bounded(monkeypatch):
    script = Script(server=OTHER)
    for _ in range(2 * limits.MAX_MIDSTREAM_BYTES // 1400):
        script.send(0, b"\xff" * 1400)
    longest = 0
    join = find_chain

    def measure(data: bytes) -> Chain:
        nonlocal longest
        longest = max(longest, len(data))
        return join(data)

    monkeypatch.setattr("easpcap.pipeline.tls_detection.find_chain", measure)
    assert only(analyse(script.put(1).packets, columnar=False)).decryption.status == "plaintext"
    assert 0 < longest <= limits.MAX_MIDSTREAM_BYTES + 1400


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60), st.lists(st.integers(1, 40), min_size=2, max_size=4), st.sampled_from([b"\x03\x01", TLS12])
)
def test_a_chain_is_found_after_any_bytes(before, sizes, version):
    data = before + b"".join(record(size, size, version) for size in sizes)
    assert find_chain(data) is Chain.LINKED


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Chain.NONE),
        (b"\x17\x03\x03\x00", Chain.NONE),
        (record(9)[:9], Chain.HEADER),
        (record(9), Chain.ENDS),
        (record(9) + b"\x17\x03", Chain.HEADER),
        (record(9) + b"\xff" * 9, Chain.NONE),
        (record(9) + record(9, version=b"\x03\x01")[:9], Chain.HEADER),  # only the second is a header by itself
        (record(9) + record(9), Chain.LINKED),
    ],
)
def test_the_signs_of_records(data, expected):
    assert find_chain(data) is expected
