"""A TLS connection written message by message, for what no library does on demand: renegotiation at any byte.

It is built on `schedule` for the secrets and on `RecordWriter` for the records, and plays both ends. Every step
appends to `flights`; between any two steps a test may send application data, alerts, HelloRequests.
"""

from __future__ import annotations

import os
import struct
import zlib

from cryptography.hazmat.primitives.asymmetric import padding

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.secrets.schedule import epoch_keys, extended_master_secret, master_secret, verify_data
from easpcap.tls.suites.suite import suite
from tests.support.record_writer import RecordWriter
from tests.support.tls_peer import server_certificate_der, server_private_key

HANDSHAKE, CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA = 22, 20, 21, 23


class TlsScript:
    """Both ends of one connection. `suite_value` needs RSA key exchange unless `key_log` is used to open it."""

    def __init__(self, version=0x0303, suite_value=0x002F, *, extended_master=False, encrypt_then_mac=False):
        self.version, self.suite = version, suite(suite_value)
        self.extended_master, self.encrypt_then_mac = extended_master, encrypt_then_mac
        self.key = server_private_key()
        self.certificates = [server_certificate_der()]
        self.compression = 0  # 1: DEFLATE (RFC 3749)
        self.compressors = [None, None]
        self.short_lived_key = None  # an RSA key for a ServerKeyExchange, as export suites have it
        self.flights = []
        self.plaintext = [bytearray(), bytearray()]
        self.key_log = ""
        self.premaster = b""
        self.premaster_line = ""
        self.writers = [None, None]
        self.master = b""
        self.fragment_size = 2**14
        self.offsets = [0, 0]

    # -- records -----------------------------------------------------------------------------------------------------

    def send(self, direction, content_type, content):
        """One or more records; returns the TCP offset of the first."""
        start = self.offsets[direction]
        wire = b""
        for at in range(0, max(len(content), 1), self.fragment_size):
            fragment, writer = content[at : at + self.fragment_size], self.writers[direction]
            if self.compressors[direction]:
                deflate = self.compressors[direction]
                fragment = deflate.compress(fragment) + deflate.flush(zlib.Z_SYNC_FLUSH)
            if writer:
                wire += writer.record(content_type, fragment)
            else:
                wire += struct.pack(">BHH", content_type, self.version, len(fragment)) + fragment
        self.flights.append((direction, wire))
        self.offsets[direction] += len(wire)
        return start

    def data(self, direction, content):
        self.plaintext[direction] += content
        return self.send(direction, APPLICATION_DATA, content)

    def alert(self, direction, level, description):
        return self.send(direction, ALERT, bytes([level, description]))

    def close(self):
        self.alert(TO_SERVER, 1, 0)
        self.alert(TO_CLIENT, 1, 0)

    def hello_request(self):
        return self.send(TO_CLIENT, HANDSHAKE, b"\0\0\0\0")

    # -- handshakes --------------------------------------------------------------------------------------------------

    def full(self, *, ask_certificate=False, client_certificates=1, session_id=b"", ticket=b""):
        """Run a full handshake; see `full_steps`."""
        for _ in self.full_steps(
            ask_certificate=ask_certificate,
            client_certificates=client_certificates,
            session_id=session_id,
            ticket=ticket,
        ):
            pass
        return self

    def full_steps(self, *, ask_certificate=False, client_certificates=1, session_id=b"", ticket=b""):
        """A full handshake, one step per iteration; yields the names of the steps."""
        self._client_hello(offer_ticket=b"")
        yield "client-hello"
        self._server_hello(session_id, ticket=bool(ticket))
        certificate = server_certificate_der()
        if self.certificates is not None:
            chain = _vector(3, b"".join(_vector(3, each) for each in self.certificates))
            self._message(TO_CLIENT, 11, chain)
        if self.short_lived_key is not None:
            self._message(TO_CLIENT, 12, _rsa_parameters(self.short_lived_key))
        elif not self.suite.rsa_key_transport:
            self._message(TO_CLIENT, 12, b"\3\0\x17" + _vector(1, os.urandom(65)) + _vector(2, os.urandom(256)))
        if ask_certificate:
            self._message(TO_CLIENT, 13, _vector(1, b"\1") + _vector(2, b""))
        self._message(TO_CLIENT, 14, b"")
        yield "server-flight"
        if ask_certificate:
            self._message(TO_SERVER, 11, _vector(3, _vector(3, certificate) * client_certificates))
        self._key_exchange()
        yield "client-key-exchange"
        self._finish(TO_SERVER)
        yield "client-finished"
        if ticket:
            self._message(TO_CLIENT, 4, b"\0\0\1\0" + _vector(2, ticket))
        self._finish(TO_CLIENT)
        yield "done"

    def abbreviated(self, master, **options):
        """Run an abbreviated handshake; see `abbreviated_steps`."""
        for _ in self.abbreviated_steps(master, **options):
            pass
        return self

    def abbreviated_steps(self, master, *, session_id=b"", ticket=b"", new_ticket=b"", echo=True):
        """An abbreviated handshake by id or ticket, one step per iteration."""
        made_up = session_id or os.urandom(32)
        self._client_hello(session_id=made_up, offer_ticket=ticket)
        yield "client-hello"
        self._server_hello(made_up if echo else b"", ticket=bool(new_ticket))
        self.master = master
        self._log()
        if new_ticket:
            self._message(TO_CLIENT, 4, b"\0\0\1\0" + _vector(2, new_ticket))
        self._finish(TO_CLIENT)
        yield "server-finished"
        self._finish(TO_SERVER)
        yield "done"

    def _client_hello(self, *, session_id=b"", offer_ticket=b""):
        self.transcript = b""
        self.client_random = os.urandom(32)
        extensions = _extension(0, _vector(2, b"\0" + _vector(2, b"mail.example.test"))) + _extension(35, offer_ticket)
        extensions += (_extension(23, b"") if self.extended_master else b"") + (
            _extension(22, b"") if self.encrypt_then_mac else b""
        )
        body = struct.pack(">H", self.version) + self.client_random + _vector(1, session_id)
        body += _vector(2, struct.pack(">H", self.suite.value)) + _vector(1, bytes(range(self.compression + 1)))
        self._message(TO_SERVER, 1, body + (_vector(2, extensions) if self.version > 0x0300 else b""))

    def _server_hello(self, session_id, *, ticket):
        self.server_random = os.urandom(32)
        extensions = _extension(35, b"") if ticket else b""
        extensions += (_extension(23, b"") if self.extended_master else b"") + (
            _extension(22, b"") if self.encrypt_then_mac else b""
        )
        body = struct.pack(">H", self.version) + self.server_random + _vector(1, session_id)
        body += struct.pack(">HB", self.suite.value, self.compression)
        self._message(TO_CLIENT, 2, body + (_vector(2, extensions) if extensions else b""))

    def _key_exchange(self):
        premaster = struct.pack(">H", self.version) + os.urandom(46)
        if self.suite.rsa_key_transport:
            key = self.short_lived_key or self.key
            body = key.public_key().encrypt(premaster, padding.PKCS1v15())
            self.premaster_line = f"RSA {body[:8].hex()} {premaster.hex()}\n"
            body = body if self.version == 0x0300 else _vector(2, body)
        else:
            body = _vector(1, os.urandom(65))
        self.premaster = premaster
        self._message(TO_SERVER, 16, body)
        if self.extended_master:
            self.master = extended_master_secret(self.version, self.suite, premaster, self.transcript)
        else:
            self.master = master_secret(self.version, self.suite, premaster, self.client_random, self.server_random)
        self._log()

    def _log(self):
        self.key_log += f"CLIENT_RANDOM {self.client_random.hex()} {self.master.hex()}\n"

    def _finish(self, direction):
        self.send(direction, CHANGE_CIPHER_SPEC, b"\1")
        keys = epoch_keys(self.version, self.suite, self.master, self.client_random, self.server_random)[direction]
        self.writers[direction] = RecordWriter(
            self.version, self.suite, keys, encrypt_then_mac=self.encrypt_then_mac and "CBC" in self.suite.cipher
        )
        self.compressors[direction] = zlib.compressobj() if self.compression else None
        client = direction == TO_SERVER
        self._message(direction, 20, verify_data(self.version, self.suite, self.master, client, self.transcript))

    def _message(self, direction, message_type, body):
        raw = bytes([message_type]) + _vector(3, body)
        self.transcript += raw
        self.send(direction, HANDSHAKE, raw)


def _rsa_parameters(key):
    """A ServerKeyExchange with an RSA key (RFC 2246 section 7.4.3); its signature is not valid."""
    numbers = key.public_key().public_numbers()
    modulus, exponent = (n.to_bytes((n.bit_length() + 7) // 8, "big") for n in (numbers.n, numbers.e))
    return _vector(2, modulus) + _vector(2, exponent) + _vector(2, bytes(256))


def _vector(prefix, data):
    return len(data).to_bytes(prefix, "big") + data


def _extension(kind, data):
    return struct.pack(">H", kind) + _vector(2, data)
