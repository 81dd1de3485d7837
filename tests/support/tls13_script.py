"""A TLS 1.3 connection written message by message, for what no library does on demand.

The secrets are random numbers, written to the key log; only what is derived from them (keys, Finished, the secrets
after a KeyUpdate) is computed, with HKDF of `cryptography`. It plays both ends; `flights` has the bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import aead
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.support.tls_peer import server_certificate_der

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()

#: Hash, key size, cipher (RFC 8446 appendix B.4).
SUITES = {
    0x1301: ("sha256", 16, aead.AESGCM),
    0x1302: ("sha384", 32, aead.AESGCM),
    0x1303: ("sha256", 32, aead.ChaCha20Poly1305),
    0x1304: ("sha256", 16, aead.AESCCM),
    0x1305: ("sha256", 16, lambda key: aead.AESCCM(key, tag_length=8)),
}

LABELS = (
    ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"),
    ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"),
)
EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"


class Tls13Script:
    """Both ends of one connection. ``random_bytes`` gives the random numbers; with a seed the flights are the same."""

    def __init__(self, suite=0x1301, *, draft=0, fragment_size=2**14, random_bytes=os.urandom):
        self.suite, self.draft, self.fragment_size = suite, draft, fragment_size
        self.random_bytes = random_bytes
        self.hash, self.key_size, self.cipher = SUITES[suite]
        self.client_random = self.random_bytes(32)
        size = hashlib.new(self.hash).digest_size
        self.secrets = {label: self.random_bytes(size) for label in (EARLY, *LABELS[0], *LABELS[1])}
        self.present = [None, None]  # the secret each direction writes under
        self.sequence = [0, 0]
        self.flights, self.plaintext = [], [bytearray(), bytearray()]
        self.offsets = [0, 0]
        self.sent = [[], []]  # start and content of all application data, early data included
        self.records = [[], []]  # start, end, inner type of every record
        self.transcript = b""
        self.padding = 0

    # -- secrets -------------------------------------------------------------------------------------------------------

    def key_log(self, *omitted):
        lines = [f"{k} {self.client_random.hex()} {s.hex()}\n" for k, s in self.secrets.items() if k not in omitted]
        return "".join(lines)

    def expand(self, secret, label, size):
        name = (b"TLS 1.3, " if 0 < self.draft < 20 else b"tls13 ") + label
        info = struct.pack(">HB", size, len(name)) + name + b"\0"
        algorithm = hashes.SHA384() if self.hash == "sha384" else hashes.SHA256()
        return HKDFExpand(algorithm, size, info).derive(secret)

    def under(self, direction, secret):
        self.present[direction], self.sequence[direction] = secret, 0

    # -- records -------------------------------------------------------------------------------------------------------

    def send(self, direction, content_type, content):
        """One or more records; returns the TCP offset of the first."""
        start = self.offsets[direction]
        if content_type == APPLICATION_DATA:
            self.sent[direction].append((start, content))
        for at in range(0, max(len(content), 1), self.fragment_size):
            self._record(direction, content_type, content[at : at + self.fragment_size])
        return start

    def _record(self, direction, content_type, fragment):
        secret = self.present[direction]
        outer, version = content_type, 0x0303
        if secret is not None and content_type != CHANGE_CIPHER_SPEC:
            outer, version = APPLICATION_DATA, 0x0301 if 0 < self.draft < 22 else 0x0303
            inner = fragment + bytes([content_type]) + bytes(self.padding)
            key = self.expand(secret, b"key", self.key_size)
            iv = self.expand(secret, b"iv", 12)
            number = self.sequence[direction].to_bytes(12, "big")
            self.sequence[direction] += 1
            tag = 8 if self.suite == 0x1305 else 16
            header = struct.pack(">BHH", outer, version, len(inner) + tag)
            nonce = bytes(a ^ b for a, b in zip(iv, number, strict=True))
            fragment = self.cipher(key).encrypt(nonce, inner, b"" if 0 < self.draft < 25 else header)
        self.raw(direction, struct.pack(">BHH", outer, version, len(fragment)) + fragment, content_type)

    def raw(self, direction, wire, content_type=0):
        self.flights.append((direction, wire))
        self.records[direction].append((self.offsets[direction], self.offsets[direction] + len(wire), content_type))
        self.offsets[direction] += len(wire)

    def data(self, direction, content):
        self.plaintext[direction] += content
        return self.send(direction, APPLICATION_DATA, content)

    def alert(self, direction, level, description):
        return self.send(direction, ALERT, bytes([level, description]))

    def close(self):
        self.alert(TO_SERVER, 1, 0)
        self.alert(TO_CLIENT, 1, 0)
        return self

    def compatible(self, direction):
        """A ChangeCipherSpec for middleboxes."""
        return self.send(direction, CHANGE_CIPHER_SPEC, b"\1")

    # -- messages ------------------------------------------------------------------------------------------------------

    def message(self, direction, kind, body, *, recorded=True):
        raw = bytes([kind]) + vector(3, body)
        if recorded:
            self.transcript += raw
        return self.send(direction, HANDSHAKE, raw)

    def client_hello(self, *, early=False, offers=False, suites=None):
        version = 0x7F00 + self.draft if self.draft else 0x0304
        extensions = extension(43, vector(1, struct.pack(">H", version))) + extension(0, SERVER_NAME)
        extensions += (extension(42, b"") if early else b"") + (extension(49, b"") if offers else b"")
        listed = b"".join(struct.pack(">H", value) for value in suites or [self.suite])
        body = b"\x03\x03" + self.client_random + b"\0" + vector(2, listed) + b"\1\0" + vector(2, extensions)
        self.message(TO_SERVER, 1, body)
        return self

    def early_data(self, content):
        """Data before the ServerHello; it counts as sent only if the server accepts it."""
        if self.present[TO_SERVER] is None:
            self.under(TO_SERVER, self.secrets[EARLY])
        self.send(TO_SERVER, APPLICATION_DATA, content)

    def server_hello(self, *, psk=False, random=None):
        extensions = extension(41, b"\0\0") if psk else b""
        random = random or self.random_bytes(32)
        suite = struct.pack(">H", self.suite)
        if 0 < self.draft < 22:
            body = struct.pack(">H", 0x7F00 + self.draft) + random + suite + vector(2, extensions)
        else:
            version = 0x7F00 + self.draft if self.draft else 0x0304
            extensions += extension(43, struct.pack(">H", version))
            body = b"\x03\x03" + random + b"\0" + suite + b"\0" + vector(2, extensions)
        self.message(TO_CLIENT, 2, body)
        return self

    def retry(self):
        hashed = hashlib.new(self.hash, self.transcript).digest()
        self.transcript = b"\xfe\0\0" + bytes([len(hashed)]) + hashed
        return self.server_hello(random=RETRY_RANDOM)

    def server_flight(self, *, early=False, ask=False, certificate=True):
        """From EncryptedExtensions to Finished; application data may follow."""
        self.under(TO_CLIENT, self.secrets[LABELS[TO_CLIENT][0]])
        self.message(TO_CLIENT, 8, vector(2, extension(42, b"") if early else b""))
        if ask:
            self.message(TO_CLIENT, 13, b"\0" + vector(2, extension(13, vector(2, b"\x08\x04"))))
        if certificate:
            self.message(TO_CLIENT, 11, b"\0" + vector(3, entry(server_certificate_der())))
            self.message(TO_CLIENT, 15, b"\x08\x04" + vector(2, self.random_bytes(256)))
        self.finished(TO_CLIENT)
        return self

    def client_flight(self, *, certificates=None, early=False):
        if early:
            self.message(TO_SERVER, 5, b"")
        self.under(TO_SERVER, self.secrets[LABELS[TO_SERVER][0]])
        if certificates is not None:
            self.message(TO_SERVER, 11, b"\0" + vector(3, entry(server_certificate_der()) * certificates))
        self.finished(TO_SERVER)
        return self

    def finished(self, direction):
        size = hashlib.new(self.hash).digest_size
        key = self.expand(self.present[direction], b"finished", size)
        contents = hmac.new(key, hashlib.new(self.hash, self.transcript).digest(), self.hash).digest()
        self.message(direction, 20, contents)
        self.under(direction, self.secrets[LABELS[direction][1]])

    def handshake(self, **options):
        """A whole handshake."""
        certificates = options.pop("certificates", None)
        ask = certificates is not None
        return (
            self.client_hello(**options).server_hello().server_flight(ask=ask).client_flight(certificates=certificates)
        )

    def ticket(self):
        body = bytes(8) + vector(1, b"\0") + vector(2, self.random_bytes(200)) + vector(2, b"")
        return self.message(TO_CLIENT, 4, body, recorded=False)

    def key_update(self, direction):
        start = self.message(direction, 24, b"\0", recorded=False)
        label = b"application traffic secret" if 0 < self.draft < 20 else b"traffic upd"
        self.under(direction, self.expand(self.present[direction], label, hashlib.new(self.hash).digest_size))
        return start

    def ask_late(self):
        """The CertificateRequest of post-handshake authentication."""
        body = vector(1, b"late") + vector(2, extension(13, vector(2, b"\x08\x04")))
        return self.message(TO_CLIENT, 13, body, recorded=False)

    def answer_late(self, certificates=1):
        self.message(TO_SERVER, 11, vector(1, b"late") + vector(3, entry(server_certificate_der()) * certificates))
        self.message(TO_SERVER, 20, self.random_bytes(32))


def vector(prefix, data):
    return len(data).to_bytes(prefix, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + vector(2, data)


def entry(certificate):
    return vector(3, certificate) + vector(2, b"")


SERVER_NAME = vector(2, b"\0" + vector(2, b"mail.example.test"))
