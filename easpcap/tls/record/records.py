"""TLS records on the wire: their header, what is plausible in one, and how to find the next after lost bytes."""

from __future__ import annotations

import re
from functools import cache
from struct import Struct
from typing import Final, NamedTuple

from easpcap.limits import MAX_HANDSHAKE_MESSAGE
from easpcap.tls.codepoints import (
    ALWAYS_ENCRYPTED,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HEARTBEAT,
    MAX_FRAGMENT,
    MESSAGE_NAMES,
    RECORD_HEADER_SIZE,
    SSL2_CLIENT_HELLO,
    SSL2_SERVER_HELLO,
    SSL3,
    TLS13,
)

#: Content type, version, length of the fragment (RFC 5246 section 6.2.1).
HEADER: Final = Struct(">BHH")

_IN_CLEAR: Final = frozenset(MESSAGE_NAMES) - ALWAYS_ENCRYPTED


class Record(NamedTuple):
    """One whole record as captured; ``start`` and ``end`` are TCP stream offsets, the header included."""

    content_type: int
    version: int
    fragment: bytes
    start: int
    end: int


def plausible_header(content_type: int, version: int, length: int) -> bool:
    """Whether these can be the header of a record of SSL 3.0 to TLS 1.3."""
    return (
        CHANGE_CIPHER_SPEC <= content_type <= HEARTBEAT
        and SSL3 <= version <= TLS13
        and (0 < length <= MAX_FRAGMENT or (length == 0 and content_type == APPLICATION_DATA))
    )


def plain_message_begins(fragment: bytes) -> bool:
    """Whether a handshake record's fragment begins a message in the clear; an encrypted one looks random."""
    known = not fragment or fragment[0] in _IN_CLEAR
    return known and int.from_bytes(fragment[1:4], "big") <= MAX_HANDSHAKE_MESSAGE


def looks_like_tls(data: bytes) -> bool | None:
    """Whether the first bytes of a direction begin a record or an SSLv2-format hello; None where more are needed."""
    if not data:
        return None
    if data[0] & 0x80:
        return looks_like_ssl2(data)
    if not CHANGE_CIPHER_SPEC <= data[0] <= HEARTBEAT or (len(data) > 1 and data[1] != 3):
        return False
    if len(data) < RECORD_HEADER_SIZE:
        return None
    return plausible_header(*HEADER.unpack_from(data))


def looks_like_ssl2(data: bytes) -> bool | None:
    """Whether these bytes begin a hello in SSLv2 format (RFC 5246 appendix E.2); None where more are needed."""
    if not data[0] & 0x80:
        return False
    size = int.from_bytes(data[:2], "big") & 0x7FFF
    if len(data) >= 2 and not 9 <= size <= 2048:
        return False
    if len(data) >= 3 and data[2] not in (SSL2_CLIENT_HELLO, SSL2_SERVER_HELLO):
        return False
    # A ClientHello's version follows its type; in a ServerHello two bytes stand between, and it is 0 where it resumes.
    server = len(data) >= 3 and data[2] == SSL2_SERVER_HELLO
    version = data[5:7] if server else data[3:5]
    if len(version) < 2:
        return None
    return version[0] == 3 or version == b"\x00\x02" or (server and version == b"\x00\x00")


def find_record(data: bytes, start: int, version: int) -> tuple[int, int]:
    """The next index from ``start`` on where a record may begin, and how many bytes from there complete it.

    ``version`` 0 means any. Only the header decides, not the bytes after the record: they may not have come yet, and
    the answer must not depend on how the stream was cut into pieces. Where no header is found, the index is the end of
    the data, or that of the incomplete header there.
    """
    pattern = _header_pattern(version)
    while True:
        match = pattern.search(data, start)
        at = match.start() if match else len(data)
        if len(data) - at < RECORD_HEADER_SIZE:
            return at, RECORD_HEADER_SIZE
        content_type, seen_version, length = HEADER.unpack_from(data, at)
        if plausible_header(content_type, seen_version, length):
            return at, RECORD_HEADER_SIZE + length
        start = at + 1


@cache
def _header_pattern(version: int) -> re.Pattern[bytes]:
    """Content type and version of a header, or as much of it as there is at the end of the data."""
    minor = b"[\x00-\x04]" if version == 0 else re.escape(bytes([version & 0xFF]))
    return re.compile(rb"[\x14-\x18](?:\Z|\x03(?:\Z|" + minor + rb"))|\Z", re.DOTALL)
