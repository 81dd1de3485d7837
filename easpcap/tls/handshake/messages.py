"""Parsers of handshake messages: hellos, Certificate, NewSessionTicket, ClientKeyExchange."""

from __future__ import annotations

from struct import Struct, unpack
from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.tls.codepoints import SSL3, TLS13
from easpcap.tls.handshake import extensions as ext
from easpcap.wire import Reader

if TYPE_CHECKING:
    from easpcap.tls.handshake.extensions import Extensions

#: The oldest draft of TLS 1.3 that easpcap can decrypt: earlier ones derive keys differently.
OLDEST_DRAFT: Final = 18

#: The random of a ServerHello that is a HelloRetryRequest (RFC 8446 section 4.1.3).
RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

_version_and_random: Final = Struct(">H32s").unpack  # RFC 5246 section 7.4.1.2


class ClientHello(NamedTuple):
    """What a client offers (RFC 5246 section 7.4.1.2). ``random`` has 32 bytes."""

    version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    extensions: Extensions

    @property
    def ticket(self) -> bytes:
        """The session ticket that the client offers; empty if it offers none."""
        return self.extensions.get(ext.SESSION_TICKET, b"")


class ServerHello(NamedTuple):
    """What the server chose (RFC 5246 section 7.4.1.3). ``version`` is the negotiated one, also in TLS 1.3."""

    version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: Extensions
    draft: int = 0  # number of the TLS 1.3 draft; 0: no draft

    @property
    def is_retry(self) -> bool:
        """Whether this is a HelloRetryRequest (RFC 8446 section 4.1.4)."""
        return self.random == RETRY_RANDOM


def parse_client_hello(body: bytes) -> ClientHello:
    """A ClientHello of SSL 3.0 or later."""
    reader = Reader(body)
    version, random = _version_and_random(reader.take(34))
    session_id = reader.vector(1)
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
    version, random = _version_and_random(reader.take(34))
    if version >> 8 == 0x7F:
        return ServerHello(TLS13, random, b"", reader.uint(2), 0, ext.parse_extensions(reader), version & 0xFF)
    session_id, suite, compression = reader.vector(1), reader.uint(2), reader.uint(1)
    extensions = ext.parse_extensions(reader)
    chosen = ext.chosen_version(extensions)
    draft = ext.draft_of(chosen or 0)
    if chosen is not None:
        version = TLS13 if draft else chosen
    return ServerHello(version, random, session_id, suite, compression, extensions, draft)


def parse_certificates(body: bytes) -> list[bytes]:
    """The DER certificates of a Certificate message, the sender's own first; empty if the list is."""
    outer = Reader(body)
    chain = Reader(outer.vector(3))
    certificates = []
    while len(chain):
        certificates.append(chain.vector(3))
    return certificates


def parse_new_session_ticket(body: bytes) -> bytes:
    """The ticket of a NewSessionTicket (RFC 5077 section 3.3)."""
    reader = Reader(body)
    reader.uint(4)  # lifetime hint
    return reader.vector(2)


def encrypted_premaster(body: bytes, version: int) -> bytes:
    """The encrypted premaster secret of a ClientKeyExchange with RSA.

    SSL 3.0 has no length before it (see RFC 5246 section 7.4.7.1), and some old clients of later versions omit it.
    """
    if version > SSL3 and len(body) >= 2 and int.from_bytes(body[:2], "big") == len(body) - 2:
        return body[2:]
    return body


def _uint16s(data: bytes) -> tuple[int, ...]:
    count = len(data) // 2
    return unpack(f">{count}H", data[: 2 * count])
