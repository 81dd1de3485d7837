"""Handshake messages: putting them together from records, and reading those that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.errors import DecodeError
from easpcap.limits import MAX_HANDSHAKE_MESSAGE
from easpcap.tls import extensions as ext
from easpcap.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.tls.extensions import Extensions

HELLO_REQUEST: Final = 0
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
NEW_SESSION_TICKET: Final = 4
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14
CERTIFICATE_VERIFY: Final = 15
CLIENT_KEY_EXCHANGE: Final = 16
FINISHED: Final = 20
CERTIFICATE_STATUS: Final = 22
SUPPLEMENTAL_DATA: Final = 23
NEXT_PROTOCOL: Final = 67
CHANNEL_ID: Final = 203

MESSAGE_NAMES: Final[dict[int, str]] = {
    HELLO_REQUEST: "HelloRequest",
    CLIENT_HELLO: "ClientHello",
    SERVER_HELLO: "ServerHello",
    NEW_SESSION_TICKET: "NewSessionTicket",
    CERTIFICATE: "Certificate",
    SERVER_KEY_EXCHANGE: "ServerKeyExchange",
    CERTIFICATE_REQUEST: "CertificateRequest",
    SERVER_HELLO_DONE: "ServerHelloDone",
    CERTIFICATE_VERIFY: "CertificateVerify",
    CLIENT_KEY_EXCHANGE: "ClientKeyExchange",
    FINISHED: "Finished",
    CERTIFICATE_STATUS: "CertificateStatus",
    SUPPLEMENTAL_DATA: "SupplementalData",
    NEXT_PROTOCOL: "NextProtocol",
    CHANNEL_ID: "ChannelID",
}

TLS13: Final = 0x0304

_MESSAGE_HEADER: Final = 4


class Message(NamedTuple):
    """One handshake message: its type, its bytes with the header, and the TCP offsets of the record(s) that hold it."""

    message_type: int
    raw: bytes
    start: int
    end: int

    @property
    def body(self) -> bytes:
        """The message without its header."""
        return self.raw[_MESSAGE_HEADER:]


class MessageJoiner:
    """Cuts the handshake records of one direction into messages, however they are packed (RFC 5246 section 6.2.1)."""

    __slots__ = ("_buffer", "_start")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0

    def __len__(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer)

    def feed(self, fragment: bytes, start: int, end: int) -> Iterator[Message]:
        """The messages that the record's fragment completes. Raises DecodeError for one that is too long."""
        buffer = self._buffer
        if not buffer:
            self._start = start
        buffer += fragment
        while len(buffer) >= _MESSAGE_HEADER:
            size = _MESSAGE_HEADER + int.from_bytes(buffer[1:_MESSAGE_HEADER], "big")
            if size > MAX_HANDSHAKE_MESSAGE:
                msg = f"a handshake message of {size} bytes"
                raise DecodeError(msg)
            if len(buffer) < size:
                return
            message = Message(buffer[0], bytes(buffer[:size]), self._start, end)
            del buffer[:size]
            self._start = start
            yield message

    def clear(self) -> int:
        """Forget an unfinished message; how many bytes it had."""
        size = len(self._buffer)
        self._buffer.clear()
        return size


class ClientHello(NamedTuple):
    """What a client offers (RFC 5246 section 7.4.1.2). ``random`` has 32 bytes."""

    version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    extensions: Extensions

    @property
    def ticket(self) -> bytes:
        """The session ticket offered; empty where none is."""
        return self.extensions.get(ext.SESSION_TICKET, b"")


class ServerHello(NamedTuple):
    """What the server chose (RFC 5246 section 7.4.1.3). ``version`` is the one that holds, also for TLS 1.3."""

    version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: Extensions


def parse_client_hello(body: bytes) -> ClientHello:
    """A ClientHello of SSL 3.0 or later."""
    reader = Reader(body)
    version, random, session_id = reader.uint(2), reader.take(32), reader.vector(1)
    suites = _uint16s(reader.vector(2))
    reader.vector(1)  # compression methods
    return ClientHello(version, random, session_id, suites, ext.parse_extensions(reader))


def parse_ssl2_client_hello(body: bytes) -> ClientHello:
    """A ClientHello in SSLv2 format, from its message type on (RFC 5246 appendix E.2)."""
    reader = Reader(body)
    reader.take(1)
    version = reader.uint(2)
    sizes = [reader.uint(2) for _ in range(3)]
    specs, session_id, challenge = (reader.take(size) for size in sizes)
    suites = tuple(int.from_bytes(specs[at + 1 : at + 3], "big") for at in range(0, len(specs) - 2, 3) if not specs[at])
    return ClientHello(version, challenge[-32:].rjust(32, b"\0"), session_id, suites, {})


def parse_server_hello(body: bytes) -> ServerHello:
    """A ServerHello; the drafts of TLS 1.3 (version 0x7f..) left out session id and compression."""
    reader = Reader(body)
    version, random = reader.uint(2), reader.take(32)
    if version >> 8 == 0x7F:
        return ServerHello(TLS13, random, b"", reader.uint(2), 0, ext.parse_extensions(reader))
    session_id, suite, compression = reader.vector(1), reader.uint(2), reader.uint(1)
    extensions = ext.parse_extensions(reader)
    chosen = ext.chosen_version(extensions)
    if chosen is not None:
        version = TLS13 if chosen >> 8 == 0x7F else chosen
    return ServerHello(version, random, session_id, suite, compression, extensions)


def parse_certificates(body: bytes) -> list[bytes]:
    """The DER certificates of a Certificate message, the sender's own first; none where the list is empty."""
    reader = Reader(body)
    certificates = []
    with reader.block(3):
        while len(reader):
            certificates.append(reader.vector(3))
    return certificates


def parse_new_session_ticket(body: bytes) -> bytes:
    """The ticket of a NewSessionTicket (RFC 5077 section 3.3)."""
    reader = Reader(body)
    reader.uint(4)  # lifetime hint
    return reader.vector(2)


def encrypted_premaster(body: bytes, version: int) -> bytes:
    """The encrypted premaster secret of a ClientKeyExchange with RSA.

    SSL 3.0 has no length before it (RFC 5246 section 7.4.7.1 tells of it); some old clients of later versions neither.
    """
    if version > 0x0300 and len(body) >= 2 and int.from_bytes(body[:2], "big") == len(body) - 2:
        return body[2:]
    return body


def _uint16s(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))
