"""Real TLS bytes without a network: recorded connections of OpenSSL (Python's ssl) and of tlslite-ng with themselves.

`TlsPeer` gives what OpenSSL supports today, TLS 1.0 to 1.3; `record_tlslite` what it dropped: SSL 3.0, RC4, 3DES,
NULL. Both give a `Recording`, whose flights are in causal order.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import tempfile
import threading
import warnings
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

# Made for these tests and used nowhere else; a fixed key keeps the tests quick and their failures repeatable.
SERVER_KEY_PEM = """\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCg9Cy+g7/l43jE
Evab20StxwAuamO9tvFZb8JjvqLHrob01bRIvYRH0F3HeECJvObYMtV0gBgrXunr
YzY2hwcKJ5/akaoZtWZN0AVMyyl5RPpixiUR28UZX54Rseh4+g2Jcj994skDEnhb
AX0Aov++qK1fX0K8uxS0q3s2kXhQSw0GhfoCpy0QGP27CuHVw5SmbC8XNcI+sLD7
OEUcFlZGUtrCKWbAW49Re2sJMnupnZSAripiCUn1af93dpVFdFrEpb0JwY7iq1A2
mhHR733ZHdt6T5crPkEQzpaGWFtfJ8cENZGhmnNxPT6wDR3L/7E3rA9Z+32Ea7FJ
p9BGBKDxAgMBAAECggEAAgpidFZhhRG7ltnKMlrm7aCVoCEFa3Lxr6F2+JKCyA8O
gzVf5CGx9wKdY8FiqRRh5VkMo33ZwJgDFXLELdALru1mbYwV+N43wjIKVSlIuPK+
zWiHcQjlIG+Zxo3nvXvnFshh5W/N/lnaOIYl7m+CmElVbF198DxbdHhtlxkkSjlK
MKnMtW07L8SAfsMPOSxC/ngO2Jl4fCmEGLM62mo7AavpahPAR6a4aTslxA/WxB1J
SWslxgjs1IDa1PSPGpzr2qBNFiXMxkuEig032baOaxMul8k1Ddez0lOfL7dqvKn9
BuN7ppEWHTNhVCXi4QCXUnqmOrYXcOujGKrtY8yRAQKBgQDf2PhWAx9+VmyuX3FZ
rvpxE8/SXk2yIQM069vSdToOEL3jhyaH7tp8afcfF5umnYXkrrMAk3Y0gOEkrpTB
qwAWPYPR0f1LwHNsDAVr2aY/2zpia+DU+TVfJRPx7m1sfWY/9nnGXdugpGT2ylvt
Du5QnYuEK2CUHMi7SyP3Ud3ogQKBgQC4Eo7zdYQG/7W0EQ8eUk+J3u3CitLau9Bz
yj6BoKJOBDuMlvghcEHakuw+8Ek0CUPQuYuRlVvvdt2O7tArSMwqemANgr/HtPEx
XWC5P3MQ4/AhcqEvBQKhmBhN1WRhgw7/I3PC7iwRwi2oDpq6iTzf8eiOxKu71uq0
46nrcpEAcQKBgEZFuQBXjqV8wDWlpNIAyoKBM7bZAA8xqe4NNT9GqekMfHBXV1NJ
OrHgGkJaiPSvcv8tkOhXYr5sz0FSxURfSHGy8hUGlTwYuKNsyq7m7vgQ/K01LKnv
aj/qRe6naRar71OZLvWFNZOiyEdpk55CF7KbItdlPraAqsuRdUMJIl8BAoGAY1FY
IlKY/zG/t72wm5qr4ecQAHTpGi5WZfOM0GJ80H2GJ/BZR6mLTsURhVAfH12UYq2K
ee3N4iIPn4yJc6Fez9ihtQiEM9wUe583jhyHGGj0awevonAgoFIxYuWtuNN/JvjZ
ACeETbyo59GheN6NowOiiE3jn4FxuFJSn4B8bnECgYEAvA8muj9OujIauBoD9Onx
J2ahDRZphuYGBaEvKoFSMOkmnzZbiXauOrtbkXgRTzupCThGu2R6qyVxydfBLNw7
I9Ie1cpH5WPgV628caK73l9I13XXPl6qO/tH9g99vpEM9IDC0PNPDwO7nV4+/4uq
6Kch/V5ciGarYeZmhSv4vOg=
-----END PRIVATE KEY-----
"""
SERVER_CERTIFICATE_PEM = """\
-----BEGIN CERTIFICATE-----
MIIC5zCCAc+gAwIBAgICEmcwDQYJKoZIhvcNAQELBQAwHDEaMBgGA1UEAwwRbWFp
bC5leGFtcGxlLnRlc3QwIBcNMTAwMTAxMDAwMDAwWhgPMjExMDAxMDEwMDAwMDBa
MBwxGjAYBgNVBAMMEW1haWwuZXhhbXBsZS50ZXN0MIIBIjANBgkqhkiG9w0BAQEF
AAOCAQ8AMIIBCgKCAQEAoPQsvoO/5eN4xBL2m9tErccALmpjvbbxWW/CY76ix66G
9NW0SL2ER9Bdx3hAibzm2DLVdIAYK17p62M2NocHCief2pGqGbVmTdAFTMspeUT6
YsYlEdvFGV+eEbHoePoNiXI/feLJAxJ4WwF9AKL/vqitX19CvLsUtKt7NpF4UEsN
BoX6AqctEBj9uwrh1cOUpmwvFzXCPrCw+zhFHBZWRlLawilmwFuPUXtrCTJ7qZ2U
gK4qYglJ9Wn/d3aVRXRaxKW9CcGO4qtQNpoR0e992R3bek+XKz5BEM6WhlhbXyfH
BDWRoZpzcT0+sA0dy/+xN6wPWft9hGuxSafQRgSg8QIDAQABozEwLzAPBgNVHRMB
Af8EBTADAQH/MBwGA1UdEQQVMBOCEW1haWwuZXhhbXBsZS50ZXN0MA0GCSqGSIb3
DQEBCwUAA4IBAQAEx8HlTZtUlSDafjKklIa1xVjMoZqkFMeuy/YyrOtqDWDBOciY
5suKGhzren8v15GElYGH2hc7TnQLNwEuTu/abNhJtgA2fafKXatAbZAEF96qk99D
hLwXQ06sIs4yXvpAC75e1IyjUFPrFhD7kZeT62LPBLw3BhoEBExdpQSM2GjM5X8/
52zloHChkBcMg04OyiU0Hs2Ebl8A/iSmhta6kjgfq/NlfsDSEhHXyCQTMP8CnaG4
VN+XRdFZOmsV+gNvxaheXcKsF0CxD8+8uGJuQD9iZxuMJh7IqROleMHEhSXK5b/b
vj3Hddcead4/fwIPvWzfPeELbcUOTNY2wm7w
-----END CERTIFICATE-----
"""

VERSIONS = {
    0x0301: ssl.TLSVersion.TLSv1,
    0x0302: ssl.TLSVersion.TLSv1_1,
    0x0303: ssl.TLSVersion.TLSv1_2,
    0x0304: ssl.TLSVersion.TLSv1_3,
}
# SSL_OP_NO_EXTENDED_MASTER_SECRET and SSL_OP_NO_ENCRYPT_THEN_MAC, which Python does not name
_NO_EXTENDED_MASTER_SECRET, _NO_ENCRYPT_THEN_MAC = 1 << 0, 1 << 19


def server_key_pem() -> bytes:
    """The server's RSA-2048 private key, PKCS #8."""
    return SERVER_KEY_PEM.encode()


def server_certificate_pem() -> bytes:
    """Its self-signed certificate."""
    return SERVER_CERTIFICATE_PEM.encode()


def server_certificate_der() -> bytes:
    return ssl.PEM_cert_to_DER_cert(SERVER_CERTIFICATE_PEM)


def server_private_key():
    """The key as a `cryptography` object, for KeyRing.add_private_key."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(server_key_pem(), None)


@dataclass
class Recording:
    """What one connection put on the wire, and what its ends know about it."""

    flights: list[tuple[int, bytes]]  # (direction, bytes) in the order they were sent
    plaintext: tuple[bytes, bytes]  # application data to the server, to the client
    key_log: str = ""
    cipher: str = ""
    resumed: bool = False

    def stream(self, direction: int) -> bytes:
        """All bytes of one direction."""
        return b"".join(data for sent, data in self.flights if sent == direction)


class TlsPeer:
    """A client and a server of OpenSSL that remember their sessions from one recording to the next.

    ``ciphers`` is an OpenSSL cipher string; ``tickets`` False resumes by session id (up to TLS 1.2).
    """

    def __init__(
        self,
        version: int = 0x0303,
        ciphers: str = "AES128-SHA",
        *,
        tickets: bool = True,
        extended_master_secret: bool = True,
        encrypt_then_mac: bool = True,
        client_certificate: bool = False,
    ) -> None:
        options = 0 if tickets else ssl.OP_NO_TICKET
        options |= 0 if extended_master_secret else _NO_EXTENDED_MASTER_SECRET
        options |= 0 if encrypt_then_mac else _NO_ENCRYPT_THEN_MAC
        folder = Path(tempfile.mkdtemp(prefix="tls-peer-"))
        # errors are ignored: an SSLContext keeps its key log open until it dies, and Windows deletes no open file
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._log = folder / "keys.log"
        pem = folder / "server.pem"
        pem.write_text(SERVER_KEY_PEM + SERVER_CERTIFICATE_PEM)
        self._server = self._context(ssl.PROTOCOL_TLS_SERVER, version, ciphers, options)
        self._server.load_cert_chain(pem)
        self._client = self._context(ssl.PROTOCOL_TLS_CLIENT, version, ciphers, options)
        self._client.keylog_filename = str(self._log)
        if client_certificate:
            self._client.load_cert_chain(pem)
            self._server.load_verify_locations(pem)
            self._server.verify_mode = ssl.CERT_REQUIRED
        self._session: ssl.SSLSession | None = None

    @staticmethod
    def _context(protocol: int, version: int, ciphers: str, options: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if version < 0x0304:
            context.set_ciphers(ciphers + ":@SECLEVEL=0")
        context.options |= options
        return context

    def record(self, script: list[tuple[int, bytes]], *, resume: bool = False, close: bool = True) -> Recording:
        """One connection: handshake, the script's writes (direction, bytes) in order, close_notify both ways.

        ``resume`` offers the session of the recording before.
        """
        logged = len(self._log.read_text()) if self._log.exists() else 0
        wires = (ssl.MemoryBIO(), ssl.MemoryBIO())  # by direction
        server = self._server.wrap_bio(wires[TO_SERVER], wires[TO_CLIENT], server_side=True)
        session = self._session if resume else None
        client = self._client.wrap_bio(
            wires[TO_CLIENT], wires[TO_SERVER], session=session, server_hostname="mail.example.test"
        )
        connection = _Connection(client, server, wires)
        connection.shake_hands()
        for direction, data in script:
            connection.write(direction, data)
        cipher = client.cipher()[0]
        if close:
            connection.close()
        self._session = client.session
        key_log = self._log.read_text()[logged:] if self._log.exists() else ""
        plaintext = tuple(b"".join(d for to, d in script if to == direction) for direction in (TO_SERVER, TO_CLIENT))
        return Recording(connection.flights, plaintext, key_log, cipher, bool(client.session_reused))


class _Connection:
    """Two SSLObjects and taps on the wires between them."""

    def __init__(
        self, client: ssl.SSLObject, server: ssl.SSLObject, wires: tuple[ssl.MemoryBIO, ssl.MemoryBIO]
    ) -> None:
        self._ends = {TO_SERVER: client, TO_CLIENT: server}  # by the direction they write to
        self._wires = wires
        self.flights: list[tuple[int, bytes]] = []

    @contextlib.contextmanager
    def _tap(self, direction: int) -> Iterator[None]:
        """Record what an end writes, and leave it on the wire after what is not read yet."""
        wire = self._wires[direction]
        before = wire.pending
        try:
            yield
        finally:
            data = wire.read()
            wire.write(data)
            if data[before:]:
                self.flights.append((direction, data[before:]))

    def shake_hands(self) -> None:
        waiting = {TO_SERVER, TO_CLIENT}
        while waiting:
            for direction in (TO_SERVER, TO_CLIENT):
                with contextlib.suppress(ssl.SSLWantReadError), self._tap(direction):
                    self._ends[direction].do_handshake()
                    waiting.discard(direction)

    def write(self, direction: int, data: bytes) -> None:
        with self._tap(direction):
            self._ends[direction].write(data)
        self._drain(1 - direction, len(data))

    def _drain(self, reader: int, size: int) -> None:
        """Let an end read; without this the other end's tickets and the wire fill up."""
        while size > 0:
            size -= len(self._ends[reader].read(size))

    def close(self) -> None:
        for direction in (TO_SERVER, TO_CLIENT):
            # the other end's close_notify is still to come
            with contextlib.suppress(ssl.SSLError), self._tap(direction):
                self._ends[direction].unwrap()


def record_session(
    version: int = 0x0303, ciphers: str = "AES128-SHA", script: list[tuple[int, bytes]] | None = None, **options: bool
) -> Recording:
    """One full session of `TlsPeer`; ``script`` defaults to a small request and answer."""
    return TlsPeer(version, ciphers, **options).record(script if script is not None else SMALL_SCRIPT)


SMALL_SCRIPT = [
    (TO_SERVER, b"POST /Microsoft-Server-ActiveSync?Cmd=Ping HTTP/1.1\r\nContent-Length: 4\r\n\r\n"),
    (TO_SERVER, b"ping"),
    (TO_CLIENT, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
]


def import_tlslite() -> None:
    """Load tlslite-ng, which imports modules that Python calls deprecated; later imports of it are quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import tlslite.api  # noqa: F401 (loaded for later imports)


def record_tlslite(
    version: int, cipher: str, mac: str, script: list[tuple[int, bytes]] | None = None, *, key_exchange: str = "rsa"
) -> Recording:
    """One full session of tlslite-ng; names as in its HandshakeSettings, e.g. (0x0300, "rc4", "md5")."""
    import_tlslite()
    from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey

    script = script if script is not None else SMALL_SCRIPT
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (version >> 8, version & 0xFF)
    settings.cipherNames, settings.macNames, settings.keyExchangeNames = [cipher], [mac], [key_exchange]
    chain = X509CertChain()
    chain.parsePemList(SERVER_CERTIFICATE_PEM)
    key = parsePEMKey(SERVER_KEY_PEM, private=True, implementations=["python"])
    flights: list[tuple[int, bytes]] = []
    ends = socket.socketpair()
    client = TLSConnection(_Tap(ends[0], TO_SERVER, flights))
    server = TLSConnection(_Tap(ends[1], TO_CLIENT, flights))
    thread = threading.Thread(
        target=server.handshakeServer, kwargs={"certChain": chain, "privateKey": key, "settings": settings}, daemon=True
    )
    try:
        thread.start()
        client.handshakeClientCert(settings=settings)
        thread.join(10)
        by_direction = {TO_SERVER: client, TO_CLIENT: server}
        for direction, data in script:
            by_direction[direction].write(data)
            by_direction[1 - direction].read(min=len(data), max=len(data))
        plaintext = tuple(b"".join(d for to, d in script if to == direction) for direction in (TO_SERVER, TO_CLIENT))
        return Recording(flights, plaintext, cipher=client.getCipherName())
    finally:
        for end in ends:
            end.close()


class _Tap:
    """A socket that notes what is sent through it."""

    def __init__(self, inner: socket.socket, direction: int, flights: list[tuple[int, bytes]]) -> None:
        self._inner, self._direction, self._flights = inner, direction, flights

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        self._flights.append((self._direction, bytes(data)))  # noted first: the other thread answers at once
        self._inner.sendall(data)

    def __getattr__(self, name: str):
        return getattr(self._inner, name)
