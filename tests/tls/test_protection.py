"""Records decrypted: every cipher, exactly what was written, and the first record after lost ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.tls.protection.choose import UnsupportedSuite, protection
from easpcap.tls.secrets.schedule import epoch_keys
from easpcap.tls.suites.suite import MAC_SIZES, suite
from tests.support.record_writer import RecordWriter

APPLICATION_DATA = 23

# (version, suite, encrypt-then-MAC): each cipher once, each MAC, each way to form an IV or nonce
CASES = [
    (0x0300, 0x0001, False), (0x0300, 0x0002, False), (0x0300, 0x0004, False), (0x0300, 0x0005, False),
    (0x0300, 0x000A, False), (0x0300, 0x002F, False), (0x0300, 0x0009, False), (0x0300, 0x0007, False),
    (0x0300, 0x0003, False), (0x0300, 0x0006, False), (0x0300, 0x0008, False), (0x0301, 0x0003, False),
    (0x0301, 0x0006, False), (0x0301, 0x0026, False), (0x0301, 0x0060, False), (0x0301, 0x0061, False),
    (0x0301, 0x0004, False), (0x0301, 0x0009, False), (0x0301, 0x000A, False), (0x0301, 0x0007, False),
    (0x0301, 0x002F, False), (0x0301, 0x0035, True), (0x0301, 0x000A, True), (0x0301, 0x0096, False),
    (0x0302, 0x0005, False), (0x0302, 0x0035, False), (0x0302, 0x0041, False), (0x0302, 0x0084, True),
    (0x0303, 0x0001, False), (0x0303, 0x003B, False), (0x0303, 0x000A, False), (0x0303, 0x002F, False),
    (0x0303, 0x003D, False), (0x0303, 0xC024, False), (0x0303, 0x003C, True), (0x0303, 0xC024, True),
    (0x0303, 0x00BA, False), (0x0303, 0x0004, False), (0x0303, 0x009C, False), (0x0303, 0x009D, False),
    (0x0303, 0xC09C, False), (0x0303, 0xC09D, False), (0x0303, 0xC0A0, False), (0x0303, 0xC0A1, False),
    (0x0303, 0xCCA8, False),
]  # fmt: skip
cases = pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case[0]:x}-{suite(case[1]).name[4:]}{'-etm' * case[2]}"
)


def pair(case, **options):
    """A writer and a reader with the same keys."""
    version, value, encrypt_then_mac = case
    keys, _ = epoch_keys(version, suite(value), bytes(range(48)), b"c" * 32, b"s" * 32)
    writer = RecordWriter(version, suite(value), keys, encrypt_then_mac=encrypt_then_mac, **options)
    return writer, protection(version, suite(value), keys, encrypt_then_mac=encrypt_then_mac)


@cases
def test_records_of_every_size_open_in_order(case):
    writer, reader = pair(case)
    for sequence, size in enumerate([0, 1, 15, 16, 17, 255, 256, 1460, 2**14, 0, 3]):
        plaintext = random.Random(size).randbytes(size)
        assert reader.sequence == sequence
        fragment = writer.fragment(APPLICATION_DATA, plaintext)
        assert reader.open(APPLICATION_DATA, case[0], memoryview(fragment)) == plaintext


@cases
def test_a_record_out_of_order_is_not_opened(case):
    writer, reader = pair(case)
    writer.fragment(APPLICATION_DATA, b"lost")
    assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, b"found")) is None
    assert reader.sequence == 1


@cases
def test_type_and_length_are_authenticated(case):
    writer, reader = pair(case)
    fragment = writer.fragment(APPLICATION_DATA, b"application data")
    assert reader.open(22, case[0], fragment) is None
    _, reader = pair(case)
    assert reader.open(APPLICATION_DATA, case[0], fragment + bytes(16)) is None


@pytest.mark.parametrize("case", [case for case in CASES if case[0] > 0x0300])
def test_the_version_is_authenticated_from_tls_1_0_on(case):
    writer, reader = pair(case)
    assert reader.open(APPLICATION_DATA, 0x0304, writer.fragment(APPLICATION_DATA, b"data")) is None


@cases
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_record_with_a_flipped_bit_is_not_opened(case, data):
    writer, reader = pair(case)
    fragment = bytearray(writer.fragment(APPLICATION_DATA, data.draw(st.binary(max_size=60))))
    bit = data.draw(st.integers(0, len(fragment) * 8 - 1))
    if case[0] == 0x0300 and "CBC" in suite(case[1]).cipher:
        # SSL 3.0 authenticates no padding but its length byte (RFC 6101 section 5.2.3.2): change what the MAC covers
        bit = data.draw(st.integers(0, MAC_SIZES[suite(case[1]).mac] * 8 - 1))
    fragment[bit // 8] ^= 1 << bit % 8
    assert reader.open(APPLICATION_DATA, case[0], bytes(fragment)) is None


@cases
@settings(max_examples=25, deadline=None)
@given(fragment=st.binary(max_size=100), kind=st.integers(0, 255), version=st.integers(0, 0xFFFF))
def test_a_protection_never_raises_on_any_bytes(case, fragment, kind, version):
    _, reader = pair(case)
    assert reader.open(kind, version, fragment) is None
    assert reader.reopen(kind, version, fragment, b"x" * 64, 500, 100) is None


@cases
def test_a_truncated_fragment_is_not_opened(case):
    fragment = pair(case)[0].fragment(APPLICATION_DATA, b"application data")
    for size in range(len(fragment)):
        _, reader = pair(case)
        assert reader.open(APPLICATION_DATA, case[0], fragment[:size]) is None


@pytest.mark.parametrize("case", [(0x0301, 0x002F, False), (0x0303, 0x000A, False), (0x0303, 0x003C, True)])
@pytest.mark.parametrize("padding", [0, 1, 14])
def test_padding_may_be_longer_than_needed(case, padding):
    writer, reader = pair(case, padding=padding)
    for plaintext in (b"", b"some text", bytes(500)):
        assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, plaintext)) == plaintext


def test_ssl_3_allows_no_whole_block_of_padding():
    case = (0x0300, 0x002F, False)
    writer, reader = pair(case, padding=1)
    assert reader.open(APPLICATION_DATA, 0x0300, writer.fragment(APPLICATION_DATA, b"data")) is None


def test_a_padding_byte_that_differs_is_refused():
    case = (0x0303, 0x002F, False)
    writer, reader = pair(case, padding=2)
    fragment = bytearray(writer.fragment(APPLICATION_DATA, b"data"))
    fragment[-29] ^= 1  # garbles one block of padding and one bit of the next; the MAC is before both
    assert reader.open(APPLICATION_DATA, 0x0303, bytes(fragment)) is None


def test_connections_read_in_turn_do_not_disturb_each_other():
    pairs = [pair(case) for case in CASES]
    for plaintext in (b"first", b"second", bytes(3000), b"last"):
        for case, (writer, reader) in zip(CASES, pairs, strict=True):
            assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, plaintext)) == plaintext


# --- after a gap -----------------------------------------------------------------------------------------------------


def lose(writer, sizes):
    """Records the capture lacks: their bytes in all, and the last bytes before what follows."""
    records = b"".join(writer.record(APPLICATION_DATA, random.Random(size).randbytes(size)) for size in sizes)
    return len(records), records[-limits.RESYNC_CONTEXT_BYTES :]


@cases
@pytest.mark.parametrize("sizes", [[5], [0], [100, 200], [1] * 30, [16384, 16384, 7], [0, 1460] * 20])
def test_reading_continues_after_lost_records(case, sizes):
    writer, reader = pair(case)
    assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, b"before")) == b"before"
    lost, context = lose(writer, sizes)
    found = writer.fragment(APPLICATION_DATA, b"first after the gap")
    assert reader.reopen(APPLICATION_DATA, case[0], found, context, lost, 4096) == b"first after the gap"
    assert reader.sequence == 2 + len(sizes)
    for plaintext in (b"second", b"", bytes(5000), b"last"):
        assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, plaintext)) == plaintext


@cases
def test_a_reader_survives_several_gaps(case):
    writer, reader = pair(case)
    for sizes in ([10, 20], [3000] * 5, [1]):
        lost, context = lose(writer, sizes)
        found = writer.fragment(APPLICATION_DATA, b"found")
        assert reader.reopen(APPLICATION_DATA, case[0], memoryview(found), context, lost, 4096) == b"found"


@cases
def test_a_record_that_cannot_be_reopened_leaves_the_state_unchanged(case):
    writer, reader = pair(case)
    lost, context = lose(writer, [700, 300])
    damaged = bytearray(writer.record(APPLICATION_DATA, bytes(50)))
    damaged[-1 - len(damaged) // 2] ^= 0x80
    assert reader.reopen(APPLICATION_DATA, case[0], bytes(damaged[5:]), context, lost, 4096) is None
    assert reader.sequence == 0
    context = (context + bytes(damaged))[-limits.RESYNC_CONTEXT_BYTES :]
    found = writer.fragment(APPLICATION_DATA, b"found")
    assert reader.reopen(APPLICATION_DATA, case[0], found, context, lost + len(damaged), 4096) == b"found"
    assert reader.sequence == 4


@cases
def test_a_failed_search_can_be_followed_by_plain_reading(case):
    writer, reader = pair(case)
    for plaintext in (b"one", b"two"):
        assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, plaintext)) == plaintext
    assert reader.reopen(APPLICATION_DATA, case[0], bytes(160), bytes(64), 3000, 4096) is None
    assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, b"three")) == b"three"


def test_no_more_sequence_numbers_are_tried_than_the_caller_allows():
    case = (0x0303, 0x002F, False)
    for tries, found in ((11, None), (12, b"found")):
        writer, reader = pair(case)
        lost, context = lose(writer, [40] * 11)  # the search begins with none: the bytes may be no record
        fragment = writer.fragment(APPLICATION_DATA, b"found")
        assert reader.reopen(APPLICATION_DATA, case[0], fragment, context, lost, tries) == found


def test_no_more_sequence_numbers_are_tried_than_the_limit_allows(monkeypatch):
    monkeypatch.setattr(limits, "MAX_RESYNC_TRIES", 10)
    case = (0x0303, 0x002F, False)
    for records, opened in ((9, b"found"), (10, None)):
        writer, reader = pair(case)
        lost, context = lose(writer, [40] * records)
        fragment = writer.fragment(APPLICATION_DATA, b"found")
        assert reader.reopen(APPLICATION_DATA, case[0], fragment, context, lost, 4096) == opened


@pytest.mark.parametrize("case", [(0x0301, 0x002F, False), (0x0300, 0x000A, False), (0x0301, 0x002F, True)])
def test_a_chained_record_without_the_previous_block_is_not_opened(case):
    writer, reader = pair(case)
    lost, context = lose(writer, [100])
    found = writer.fragment(APPLICATION_DATA, b"found")
    assert reader.reopen(APPLICATION_DATA, case[0], found, b"", lost, 4096) is None
    assert reader.reopen(APPLICATION_DATA, case[0], found, context, lost, 4096) == b"found"


def test_a_keystream_is_not_generated_beyond_its_limit():
    _, reader = pair((0x0301, 0x0005, False))
    assert reader.reopen(APPLICATION_DATA, 0x0301, bytes(100), b"", limits.MAX_RESYNC_KEYSTREAM + 1, 4096) is None


WRONG_PADDING = pytest.mark.parametrize(
    "case", [(0x0301, 0x002F, False), (0x0303, 0x002F, False), (0x0301, 0x0035, True), (0x0303, 0x003C, True)]
)


@WRONG_PADDING
def test_wrong_padding_is_refused_even_with_a_right_mac(case):
    writer, reader = pair(case, padding=1, wrong_padding=True)
    assert reader.open(APPLICATION_DATA, case[0], writer.fragment(APPLICATION_DATA, b"data")) is None


@WRONG_PADDING
def test_wrong_padding_after_a_gap_is_refused_even_with_a_right_mac(case):
    writer, reader = pair(case, padding=1, wrong_padding=True)
    lost, context = lose(writer, [100])
    found = writer.fragment(APPLICATION_DATA, b"found")
    assert reader.reopen(APPLICATION_DATA, case[0], found, context, lost, 4096) is None


def test_ssl_3_allows_no_whole_block_of_padding_after_a_gap_either():
    writer, reader = pair((0x0300, 0x002F, False), padding=1)
    lost, context = lose(writer, [100])
    found = writer.fragment(APPLICATION_DATA, b"found")
    assert reader.reopen(APPLICATION_DATA, 0x0300, found, context, lost, 4096) is None


# --- what cannot be opened -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "value"),
    [
        (0x0303, 0xC0FE), (0x0303, 0xC050),
        (0x0301, 0x009C),  # AEAD needs TLS 1.2
        (0x0300, 0x003C),  # SSL 3.0 knows no SHA-256
        (0x0304, 0x1301), (0x0002, 0x0004),
    ],
)  # fmt: skip
def test_an_unsupported_suite_is_refused_by_name(version, value):
    keys, _ = epoch_keys(0x0303, suite(0x002F), bytes(48), bytes(32), bytes(32))
    with pytest.raises(UnsupportedSuite, match=suite(value).name):
        protection(version, suite(value), keys)


def test_the_null_suite_passes_bytes_through():
    _, reader = pair((0x0303, 0x0000, False))
    assert reader.open(22, 0x0301, b"hello") == b"hello"
    assert reader.sequence == 1
