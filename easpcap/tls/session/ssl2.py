"""SSL 2.0, as far as it is in the clear: the server's certificate and the cipher; nothing of it is decrypted.

Source: K. Hickman, "The SSL Protocol" (Netscape 1995), chapter "SSL Handshake Protocol Specification".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.errors import DecodeError
from easpcap.stream import TO_SERVER
from easpcap.tls.codepoints import SSL2, SSL2_CLIENT_MASTER_KEY
from easpcap.tls.suites.suite import CipherSuite
from easpcap.wire import Reader

if TYPE_CHECKING:
    from easpcap.tls.handshake.summary import Summary
    from easpcap.tls.session.direction import Direction

_MASTER_KEY_HEAD: Final = 6  # record header, message type, cipher kind
_KINDS: Final[dict[int, str]] = {
    0x010080: "SSL_CK_RC4_128_WITH_MD5",
    0x020080: "SSL_CK_RC4_128_EXPORT40_WITH_MD5",
    0x030080: "SSL_CK_RC2_128_CBC_WITH_MD5",
    0x040080: "SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5",
    0x050080: "SSL_CK_IDEA_128_CBC_WITH_MD5",
    0x060040: "SSL_CK_DES_64_CBC_WITH_MD5",
    0x0700C0: "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
}


def see_server_hello(summary: Summary, body: bytes) -> None:
    """Note what an SSL 2.0 ServerHello, from its message type on, says of the connection. No bytes make it raise."""
    summary.version, summary.server_hello_seen = SSL2, True
    try:
        certificate, kinds = _server_hello(body)
    except DecodeError:
        return
    summary.server_certificate = certificate or None
    if len(kinds) == 1:
        summary.suite = _suite(kinds[0])


def pass_over(summary: Summary, reader: Direction) -> None:
    """Count the bytes after the hellos. The client's first ones may be its ClientMasterKey, which names the cipher."""
    direction = reader.direction
    if direction == TO_SERVER and not summary.opaque_bytes[direction]:
        begin = reader.peek(_MASTER_KEY_HEAD)
        if not begin:
            return
        kind = int.from_bytes(begin[3:], "big")
        if begin[0] & 0x80 and begin[2] == SSL2_CLIENT_MASTER_KEY and kind in _KINDS:
            summary.suite = _suite(kind)
    summary.opaque_bytes[direction] += reader.drop()
    summary.opaque_records[direction] |= 1


def _server_hello(body: bytes) -> tuple[bytes, list[int]]:
    """The certificate and the cipher kinds, which are those that both sides have; both are absent on a resumption."""
    reader = Reader(body)
    reader.take(5)  # message type, whether the session is resumed, certificate type, version
    sizes = [reader.uint(2) for _ in range(3)]
    certificate, specs = reader.take(sizes[0]), reader.take(sizes[1])
    return certificate, [int.from_bytes(specs[at : at + 3], "big") for at in range(0, len(specs) - 2, 3)]


def _suite(kind: int) -> CipherSuite:
    return CipherSuite(kind, _KINDS.get(kind, f"0x{kind:06x}"), "RSA", "unknown", "unknown", "unknown")
