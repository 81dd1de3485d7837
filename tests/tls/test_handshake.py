"""Handshake messages: joined from records, parsed, and refused if they are broken."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easpcap.errors import DecodeError
from easpcap.limits import MAX_HANDSHAKE_MESSAGE
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.handshake.encrypted13 import expand_certificate
from easpcap.tls.handshake.messages import (
    encrypted_premaster,
    parse_certificates,
    parse_client_hello,
    parse_new_session_ticket,
    parse_server_hello,
    parse_ssl2_client_hello,
)
from easpcap.tls.record.joiner import MessageJoiner
from easpcap.wire import Reader
from tests.support.tls_script import TlsScript

MESSAGES = [(1, b"a" * 70), (14, b""), (16, b"b" * 300), (20, b"c" * 12)]


def raw(message_type, body):
    return bytes([message_type]) + len(body).to_bytes(3, "big") + body


def first_message(script, direction):
    """The body of the first handshake message of a direction."""
    return next(flight for sent, flight in script.flights if sent == direction)[9:]


@given(st.lists(st.integers(1, 60), min_size=1))
def test_messages_are_the_same_however_they_are_packed_into_records(sizes):
    stream = b"".join(raw(*message) for message in MESSAGES)
    joiner, found, at, turn = MessageJoiner(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += list(joiner.feed(stream[at : at + size], at, at + size))
        at, turn = at + size, turn + 1
    assert [(message.message_type, message.body) for message in found] == MESSAGES
    assert len(joiner) == 0


def test_a_message_has_the_offsets_of_its_first_and_last_record():
    joiner = MessageJoiner()
    stream = raw(1, b"a" * 20)
    assert list(joiner.feed(stream[:10], 0, 15)) == []
    (message,) = joiner.feed(stream[10:], 15, 34)
    assert (message.start, message.end) == (0, 34)


def test_the_second_message_of_a_record_begins_in_that_record():
    joiner = MessageJoiner()
    messages = list(joiner.feed(raw(1, b"") + raw(14, b"")[:2], 100, 120)) + list(
        joiner.feed(raw(14, b"")[2:], 120, 130)
    )
    assert [(message.start, message.end) for message in messages] == [(100, 120), (100, 130)]


def test_a_message_after_one_that_began_in_an_earlier_record_begins_in_its_own_record():
    joiner = MessageJoiner()
    first = raw(11, b"c" * 50)
    assert list(joiner.feed(first[:20], 100, 125)) == []
    messages = list(joiner.feed(first[20:] + raw(14, b""), 125, 168))
    assert [(message.message_type, message.start, message.end) for message in messages] == [
        (11, 100, 168),
        (14, 125, 168),
    ]


def test_a_message_longer_than_any_real_one_is_broken():
    with pytest.raises(DecodeError):
        list(MessageJoiner().feed(b"\x0b\xff\xff\xff", 0, 9))


def test_a_client_hello_names_server_ticket_and_suites():
    script = TlsScript()
    script.abbreviated(b"m" * 48, ticket=b"the ticket")
    hello = parse_client_hello(first_message(script, 0))
    assert ext.server_name(hello.extensions) == "mail.example.test"
    assert (hello.version, hello.suites, hello.ticket) == (0x0303, (0x2F,), b"the ticket")
    assert hello.random == script.client_random


def test_a_hello_without_extensions_has_none():
    script = TlsScript(0x0300).full()
    assert parse_client_hello(first_message(script, 0)).extensions == {}
    assert parse_server_hello(first_message(script, 1)).extensions == {}


def test_a_tls13_server_hello_names_its_version_in_an_extension():
    body = b"\3\3" + b"r" * 32 + b"\0" + b"\x13\1" + b"\0" + b"\0\6" + b"\0\x2b\0\2\3\4"
    assert parse_server_hello(body).version == 0x0304


def test_a_draft_of_tls13_has_neither_session_id_nor_compression():
    hello = parse_server_hello(b"\x7f\x14" + b"r" * 32 + b"\x13\3" + b"\0\0")
    assert (hello.version, hello.suite) == (0x0304, 0x1303)


def test_the_challenge_of_an_sslv2_hello_is_the_client_random_right_aligned():
    body = b"\1\3\1" + b"\0\6\0\0\0\x10" + b"\0\0\x2f\1\0\x80" + b"c" * 16
    hello = parse_ssl2_client_hello(body)
    assert (hello.version, hello.suites) == (0x0301, (0x2F,))
    assert hello.random == b"\0" * 16 + b"c" * 16


@pytest.mark.parametrize("size", [1, 16, 31, 32, 33, 48])
def test_the_last_32_bytes_of_a_challenge_are_the_client_random(size):
    """RFC 5246 appendix E.2: zero bytes are put before a shorter one; of a longer one the last 32 bytes are used."""
    challenge = bytes(range(100, 100 + size))
    body = b"\1\3\1" + b"\0\3\0\0" + size.to_bytes(2, "big") + b"\0\0\x2f" + challenge
    assert parse_ssl2_client_hello(body).random == (bytes(32) + challenge)[-32:]


@pytest.mark.parametrize(("version", "body"), [(0x0300, b"\0\2xx"), (0x0301, b"xxxx")])
def test_an_encrypted_premaster_may_come_without_its_length(version, body):
    assert encrypted_premaster(body, version) == body


def test_an_encrypted_premaster_has_its_length_before_it_from_tls10_on():
    assert encrypted_premaster(b"\0\2xx", 0x0301) == b"xx"


def test_an_empty_certificate_list_has_no_certificates():
    assert parse_certificates(b"\0\0\0") == []


PARSERS = [
    parse_client_hello,
    parse_server_hello,
    parse_certificates,
    parse_new_session_ticket,
    parse_ssl2_client_hello,
]


def contents(parsed):
    """The byte strings that a parser returned."""
    if isinstance(parsed, bytes):
        return [parsed]
    if isinstance(parsed, dict):
        return list(parsed.values())
    if isinstance(parsed, list | tuple):
        return [piece for field in parsed for piece in contents(field)]
    return []


@pytest.mark.parametrize("parse", PARSERS)
@given(body=st.binary(max_size=120))
def test_a_parser_returns_only_bytes_of_its_input_or_raises_decode_error(parse, body):
    try:
        pieces = contents(parse(body))
    except DecodeError:
        return
    if parse is parse_ssl2_client_hello:  # the challenge is filled with zero bytes to 32
        pieces[0] = pieces[0].lstrip(b"\0")
    assert all(piece in body for piece in pieces)
    assert sum(map(len, pieces)) <= len(body)


@given(body=st.binary(max_size=60), cut=st.integers(1, 20))
def test_a_truncated_hello_is_broken(body, cut):
    whole = b"\3\3" + b"r" * 32 + b"\1" + body[:1].ljust(1) + b"\0\2\0\x2f" + b"\1\0"
    assert parse_client_hello(whole).session_id == whole[35:36]
    with pytest.raises(DecodeError):
        parse_client_hello(whole[:-cut])


def compressed_certificate(size):
    """A CompressedCertificate whose content has ``size`` zero bytes."""
    compressed = zlib.compress(bytes(size))
    return b"\0\1" + size.to_bytes(3, "big") + len(compressed).to_bytes(3, "big") + compressed


def test_a_compressed_certificate_is_expanded_up_to_the_longest_message():
    assert expand_certificate(compressed_certificate(MAX_HANDSHAKE_MESSAGE)) == bytes(MAX_HANDSHAKE_MESSAGE)


@pytest.mark.parametrize("size", [MAX_HANDSHAKE_MESSAGE + 1, 2**24 - 1])
def test_a_compressed_certificate_that_expands_without_end_is_cut_off(size):
    with pytest.raises(DecodeError, match=f"{size} bytes expands to {MAX_HANDSHAKE_MESSAGE}"):
        expand_certificate(compressed_certificate(size))


def test_a_message_after_one_that_ended_in_the_second_record_begins_there():
    joiner = MessageJoiner()
    first, second = raw(1, b"a" * 20), raw(14, b"")
    assert list(joiner.feed(first[:10], 0, 15)) == []
    messages = list(joiner.feed(first[10:] + second, 15, 38))
    assert [(message.start, message.end) for message in messages] == [(0, 38), (15, 38)]


@given(st.binary(max_size=40))
def test_a_broken_server_name_is_none(data):
    name = ext.server_name({ext.SERVER_NAME: data})
    assert name is None or name.isascii()


def test_the_first_of_two_extensions_of_one_type_counts():
    twice = b"".join(b"\0\x23" + len(ticket).to_bytes(2, "big") + ticket for ticket in (b"first", b"second"))
    assert ext.parse_extensions(Reader(len(twice).to_bytes(2, "big") + twice)) == {ext.SESSION_TICKET: b"first"}


@pytest.mark.parametrize(("data", "version"), [(b"\3\4", 0x0304), (b"\3\4\0", None), (b"\4", None), (b"", None)])
def test_a_chosen_version_has_two_bytes(data, version):
    assert ext.chosen_version({ext.SUPPORTED_VERSIONS: data}) == version


@pytest.mark.parametrize(("version", "draft"), [(0x7F17, 23), (0xFB1A, 26), (0x0304, 0), (0x0303, 0)])
def test_a_draft_has_its_number_in_the_second_byte_of_its_version(version, draft):
    assert ext.draft_of(version) == draft
