"""Records: what a header may be, how TLS is recognised, how the next record is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easpcap.tls.record.record_map import RecordMap
from easpcap.tls.record.records import find_record, looks_like_tls, plain_message_begins, plausible_header

HELLO = bytes.fromhex("16030100c8010000c4")
SSL2_HELLO = bytes.fromhex("802e0103010015000000100700c0")
SSL2_SERVER = bytes.fromhex("801b0401000000000000001000")


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (HELLO, True),
        (SSL2_HELLO, True),
        (SSL2_SERVER, True),
        (bytes.fromhex("1703030020"), True),
        (b"GET / HTTP/1.1\r\n", False),
        (b"HTTP/1.1 200 OK\r\n", False),
        (bytes.fromhex("1602010010"), False),
        (bytes.fromhex("1603097f00"), False),
        (bytes.fromhex("160301ffff"), False),
        (bytes.fromhex("1603010000"), False),
        (bytes.fromhex("80ff010302"), True),
        (bytes.fromhex("ffff010302"), False),
    ],
)
def test_the_first_bytes_tell_tls(data, verdict):
    assert looks_like_tls(data) is verdict


@pytest.mark.parametrize("data", [HELLO, SSL2_HELLO, SSL2_SERVER])
def test_fewer_bytes_than_a_header_leave_it_open(data):
    whole = next(size for size in range(len(data) + 1) if looks_like_tls(data[:size]))
    assert all(looks_like_tls(data[:size]) is None for size in range(whole))
    assert 5 <= whole <= 7


@given(st.binary(max_size=40))
def test_no_bytes_make_recognition_raise(data):
    assert looks_like_tls(data) in (True, False, None)


def test_only_application_data_may_be_empty():
    assert plausible_header(23, 0x0303, 0)
    assert not plausible_header(22, 0x0303, 0)


def test_a_fragment_may_exceed_the_plaintext_by_2048_bytes_and_no_more():
    assert plausible_header(23, 0x0303, 2**14 + 2048)
    assert not plausible_header(23, 0x0303, 2**14 + 2049)


def record(size, content_type=23, minor=3):
    return bytes([content_type, 3, minor]) + size.to_bytes(2, "big") + b"\0" * size


def test_the_next_record_is_found_after_garbage():
    data = b"\x55" * 11 + record(20) + record(8)
    assert find_record(data, 0, 0x0303) == (11, 25)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_the_place_of_the_next_record_does_not_depend_on_the_bytes_after_it(before, after):
    data = before + record(20)
    at, needed = find_record(data, 0, 0x0303)
    if at + needed <= len(data):
        assert find_record(data + after, 0, 0x0303) == (at, needed)


def test_a_header_of_another_version_is_skipped_once_the_version_is_known():
    data = record(4, minor=1) + record(20)
    assert find_record(data, 0, 0x0303)[0] == 9
    assert find_record(data, 0, 0)[0] == 0


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_cut_record_is_found_and_the_missing_bytes_are_counted(garbage, cut):
    garbage = garbage.replace(b"\x03", b"\x55")
    data = (garbage + record(60))[: len(garbage) + cut]
    at, needed = find_record(data, 0, 0x0303)
    if at < len(garbage):  # a piece of garbage that may begin a header: at its very end only
        assert at == len(garbage) - 1
        assert cut < 2
    else:
        assert at == len(garbage)
        assert needed == (65 if cut >= 5 else 5)


def test_an_encrypted_handshake_record_is_distinguished_from_a_plain_one():
    assert plain_message_begins(bytes.fromhex("0100002a"))
    assert not plain_message_begins(bytes.fromhex("5500002a"))
    assert not plain_message_begins(bytes.fromhex("01ff002a"))


def span(rows, plain_offset):
    """First and last byte of the record that holds a plaintext byte, the last one counted as an end."""
    return rows.cipher_offset(plain_offset), rows.cipher_offset(plain_offset, last=True) + 1


def test_the_record_map_converts_plaintext_offsets_to_records_and_back():
    rows = RecordMap()
    for plain, start, end in [(10, 100, 135), (20, 135, 170), (50, 200, 255)]:
        rows.plain_ends.append(plain)
        rows.starts.append(start)
        rows.ends.append(end)
    assert [span(rows, at) for at in (0, 9, 10, 49)] == [(100, 135), (100, 135), (135, 170), (200, 255)]
    assert span(rows, 50) == (200, 255)
    assert [rows.plain_offset(at) for at in (0, 134, 135, 169, 170, 254, 255, 999)] == [0, 0, 10, 10, 20, 20, 50, 50]


def test_pruning_the_record_map_keeps_the_record_that_holds_the_offset():
    rows = RecordMap()
    for plain, start, end in [(10, 100, 135), (20, 135, 170), (50, 200, 255)]:
        rows.plain_ends.append(plain)
        rows.starts.append(start)
        rows.ends.append(end)
    rows.prune(140)
    assert rows.ends == [170, 255]
    assert rows.plain_offset(150) == 10
    rows.prune(10_000)
    assert rows.ends == [255]
    assert span(rows, 50) == (200, 255)
