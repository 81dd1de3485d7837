"""The hello extensions that decide how a connection is read, and the few that results report."""

from __future__ import annotations

from struct import Struct
from typing import Final

from easpcap.errors import DecodeError
from easpcap.wire import Reader

SERVER_NAME: Final = 0  # RFC 6066 section 3
ENCRYPT_THEN_MAC: Final = 22  # RFC 7366
EXTENDED_MASTER_SECRET: Final = 23  # RFC 7627
SESSION_TICKET: Final = 35  # RFC 5077
PRE_SHARED_KEY: Final = 41  # RFC 8446 section 4.2.11
EARLY_DATA: Final = 42  # RFC 8446 section 4.2.10
SUPPORTED_VERSIONS: Final = 43  # RFC 8446 section 4.2.1
POST_HANDSHAKE_AUTH: Final = 49  # RFC 8446 section 4.2.6

Extensions = dict[int, bytes]

_extension_header: Final = Struct(">HH").unpack_from  # type and length


def parse_extensions(reader: Reader) -> Extensions:
    """The extensions of a hello by type (RFC 5246 section 7.4.1.4): the first of each type; none in old hellos."""
    extensions: Extensions = {}
    if len(reader) < 2:
        return extensions
    block = reader.vector(2)
    at, size = 0, len(block)
    while at + 4 <= size:
        kind, length = _extension_header(block, at)
        start = at + 4
        at = start + length
        extensions.setdefault(kind, block[start:at])
    if at != size:
        msg = f"the last extension ends {abs(size - at)} bytes away from the end of its block"
        raise DecodeError(msg)
    return extensions


def server_name(extensions: Extensions) -> str | None:
    """The host name the client asks for; bytes that are not ASCII appear escaped."""
    data = extensions.get(SERVER_NAME)
    if not data:
        return None
    try:
        names = Reader(Reader(data).vector(2))
        name_type, name = names.uint(1), names.vector(2)
    except DecodeError:
        return None
    return name.decode("ascii", "backslashreplace") if name_type == 0 and name else None


def draft_of(version: int) -> int:
    """The draft of TLS 1.3 that a version means (0x7f.., or 0xfb.. of one library); 0 for any other version."""
    return version & 0xFF if version >> 8 in (0x7F, 0xFB) else 0


def offered_versions(extensions: Extensions) -> list[int]:
    """The versions a client offers (RFC 8446 section 4.2.1); empty if it offers TLS 1.2 or lower only."""
    listed = extensions.get(SUPPORTED_VERSIONS, b"")[1:]
    return [int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed) - 1, 2)]


def chosen_version(extensions: Extensions) -> int | None:
    """The version a TLS 1.3 server chose (RFC 8446 section 4.2.1); None from a server of TLS 1.2 or lower."""
    data = extensions.get(SUPPORTED_VERSIONS)
    return int.from_bytes(data, "big") if data and len(data) == 2 else None
