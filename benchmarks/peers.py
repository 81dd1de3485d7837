"""TLS peers of the generator: OpenSSL at both ends, joined by memory, no socket.

Their randomness can be seeded (``seed_openssl``), so that a capture can be made again byte for byte.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import random
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = Path(__file__).resolve().parent.parent / "fixtures" / "keys"
SERVER_KEY = KEYS / "server.pem"

TO_SERVER, TO_CLIENT = 0, 1

#: openssl/ssl.h: options that Python's ssl module has no name for.
SSL_OP_NO_EXTENDED_MASTER_SECRET = 1 << 0
SSL_OP_NO_ENCRYPT_THEN_MAC = 1 << 19


@dataclass(frozen=True)
class Suite:
    """One way to protect a connection, in OpenSSL's words."""

    name: str
    ciphers: str
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    extensions: bool = True  # extended master secret and encrypt-then-MAC


SUITES = {
    suite.name: suite
    for suite in (
        Suite("aes128-sha", "AES128-SHA", extensions=False),
        Suite("aes128-sha-etm", "AES128-SHA"),
        Suite("aes128-gcm", "AES128-GCM-SHA256"),
        Suite("aes256-gcm", "AES256-GCM-SHA384"),
        Suite("aes256-sha256", "AES256-SHA256", extensions=False),
        Suite("tls10-aes128-sha", "AES128-SHA", ssl.TLSVersion.TLSv1, extensions=False),
    )
}


class Peers:
    """The client and server contexts of one suite, and the sessions that can be resumed."""

    def __init__(self, suite: Suite) -> None:
        self.server = _context(ssl.PROTOCOL_TLS_SERVER, suite)
        self.server.load_cert_chain(KEYS / "server.crt", SERVER_KEY)
        self.client = _context(ssl.PROTOCOL_TLS_CLIENT, suite)
        self.client.check_hostname = False
        self.client.load_verify_locations(KEYS / "ca.crt")
        self.session: ssl.SSLSession | None = None

    def connect(self, *, resume: bool) -> Link:
        """A new pair of peers; ``resume`` offers the newest session by its id."""
        return Link(self, self.session if resume else None)


def _context(protocol: int, suite: Suite) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some of these captures use TLS 1.0
        context.minimum_version = context.maximum_version = suite.version
    # Tickets hold the time of day, session ids do not: captures are to be the same every time.
    context.options |= ssl.OP_NO_TICKET
    if not suite.extensions:
        context.options |= SSL_OP_NO_EXTENDED_MASTER_SECRET | SSL_OP_NO_ENCRYPT_THEN_MAC
    context.set_ciphers(f"{suite.ciphers}:@SECLEVEL=0")
    return context


class Link:
    """One connection: what each side writes comes back as the bytes that would be on the wire."""

    def __init__(self, peers: Peers, session: ssl.SSLSession | None) -> None:
        self._peers = peers
        self._wires = ssl.MemoryBIO(), ssl.MemoryBIO()  # by direction
        to_server, to_client = self._wires
        self._client = peers.client.wrap_bio(to_client, to_server, session=session, server_hostname="mail.contoso.com")
        self._server = peers.server.wrap_bio(to_server, to_client, server_side=True)

    def handshake(self) -> Iterator[tuple[int, bytes]]:
        """Flights of the first handshake, in order; the session is kept for connections to come."""
        waiting = True
        while waiting:
            waiting = False
            for direction, side in ((TO_SERVER, self._client), (TO_CLIENT, self._server)):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    waiting = True
                flight = self._wires[direction].read()
                if flight:
                    yield direction, flight
                    self._wires[direction].write(flight)  # the bytes read for the capture must still arrive
        self._peers.session = self._client.session

    def write(self, direction: int, data: bytes | memoryview) -> bytes:
        """The records that carry ``data``; nobody reads them, which costs nothing and changes no byte of them."""
        side = self._server if direction == TO_CLIENT else self._client
        side.write(data)
        return self._wires[direction].read()

    def close(self, direction: int) -> bytes:
        """The close_notify of one side."""
        side = self._server if direction == TO_CLIENT else self._client
        with contextlib.suppress(ssl.SSLWantReadError):  # do not wait for the other side's close_notify
            side.unwrap()
        return self._wires[direction].read()


def seeded(seed: int) -> random.Random:
    """A source of numbers that are always the same: for the shape of a capture, never for its secrecy."""
    return random.Random(seed)  # noqa: S311 - captures must be reproducible


class _RandMethod(ctypes.Structure):
    """RAND_METHOD of openssl/rand.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("seed", "bytes", "cleanup", "add", "pseudorand", "status")]


_KEPT: list[object] = []  # OpenSSL holds pointers to these


def seed_openssl(seed: int) -> bool:
    """Make OpenSSL's randomness follow from ``seed``, in this process; False where Python's OpenSSL is out of reach."""
    name = ctypes.util.find_library("crypto")
    if name is None:
        return False
    source = seeded(seed)

    def fill(buffer: int, count: int) -> int:
        ctypes.memmove(buffer, source.randbytes(count), count)
        return 1

    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(fill)
    status = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)
    as_pointer = ctypes.cast(function, ctypes.c_void_p)
    method = _RandMethod(None, as_pointer, None, None, as_pointer, ctypes.cast(status, ctypes.c_void_p))
    _KEPT.extend((function, status, method))
    ctypes.CDLL(name).RAND_set_rand_method(ctypes.byref(method))
    expected = seeded(seed).randbytes(8)
    return ssl.RAND_bytes(8) == expected
