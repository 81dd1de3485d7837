"""Strict checks whether bytes in the middle of other traffic begin a TLS handshake.

At the beginning of a connection a plausible record header is enough (records.looks_like_tls). After clear text the
bytes may be anything, for example a captured handshake that is being uploaded, so every field must have a valid value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.tls.codepoints import ALERT, CLIENT_HELLO, HANDSHAKE, RECORD_HEADER_SIZE, SERVER_HELLO, SSL2_CLIENT_HELLO
from easpcap.tls.record.records import looks_like_ssl2

if TYPE_CHECKING:
    from collections.abc import Container

    Fields = tuple[tuple[int, Container[int]], ...]

#: The number of bytes that suffices for every check here.
HELLO_BYTES: Final = 44

_MINOR: Final = range(4)  # SSL 3.0 to TLS 1.2, and the records of later versions (RFC 8446 section 5.1)

#: Places and values of a record (RFC 5246 section 6.2.1) that begins with a hello (section 7.4.1): the length of the
#: message, its version, and the length of the session id, which is at most 32.
_HELLO: Final[Fields] = ((1, (3,)), (2, _MINOR), (6, range(4)), (9, (3,)), (43, range(33)))
_ALERT: Final[Fields] = ((1, (3,)), (2, _MINOR), (3, (0,)), (4, (2,)), (5, (1, 2)))

_LEAST_CLIENT_HELLO: Final = 41  # version, random, no session id, one suite, one compression method
_LEAST_SERVER_HELLO: Final = 38
_LEAST_FRAGMENT: Final = 6  # the message's header and version
_ALERT_SIZE: Final = RECORD_HEADER_SIZE + 2


def begins_client_hello(data: bytes) -> bool | None:
    """Whether a ClientHello begins here, also in SSLv2 format; None if more bytes are needed."""
    if data[:1] >= b"\x80":
        return _begins_ssl2_hello(data)
    return _begins_hello(data, CLIENT_HELLO, _LEAST_CLIENT_HELLO)


def begins_server_answer(data: bytes) -> bool | None:
    """Whether the answer to a ClientHello begins here: a ServerHello or an alert; None if more bytes are needed."""
    if data[:1] >= b"\x80":
        return looks_like_ssl2(data)
    if data[:1] == bytes([ALERT]):
        return _has_values(data, _ALERT) and (len(data) >= _ALERT_SIZE or None)
    return _begins_hello(data, SERVER_HELLO, _LEAST_SERVER_HELLO)


def _begins_hello(data: bytes, message_type: int, least: int) -> bool | None:
    if not _has_values(data, ((0, (HANDSHAKE,)), (5, (message_type,)), *_HELLO)):
        return False
    if len(data) < RECORD_HEADER_SIZE + 4:
        return None
    length, size = int.from_bytes(data[3:5], "big"), int.from_bytes(data[6:9], "big")
    # The client waits for the answer, so nothing follows a ClientHello in its record; it may continue in the next one.
    if size < least or length < _LEAST_FRAGMENT or (message_type == CLIENT_HELLO and length > size + 4):
        return False
    return len(data) >= min(HELLO_BYTES, RECORD_HEADER_SIZE + length) or None


def _begins_ssl2_hello(data: bytes) -> bool | None:
    """A ClientHello in SSLv2 format (RFC 5246 appendix E.2): its three lengths add up."""
    known = looks_like_ssl2(data)
    if known is False or (len(data) > 2 and data[2] != SSL2_CLIENT_HELLO):
        return False
    if len(data) < 11:  # the fields before the suites
        return None
    suites, session_id, challenge = (int.from_bytes(data[at : at + 2], "big") for at in (5, 7, 9))
    size = int.from_bytes(data[:2], "big") & 0x7FFF
    whole = size == 9 + suites + session_id + challenge
    return whole and suites > 0 and suites % 3 == 0 and session_id in (0, 16, 32) and challenge in range(16, 33)


def _has_values(data: bytes, fields: Fields) -> bool:
    """Whether every field has one of its allowed values; fields beyond the end of the data are not checked."""
    size = len(data)
    return all(at >= size or data[at] in allowed for at, allowed in fields)
