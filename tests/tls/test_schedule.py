"""From premaster secret to keys and Finished, checked by known answers, another implementation and real handshakes."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.protection.choose import UnsupportedSuite, protection
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.schedule import (
    EpochKeys,
    epoch_keys,
    extended_master_secret,
    master_secret,
    prf,
    verify_data,
)
from easpcap.tls.suites.suite import suite
from tests.support.tls_peer import TlsPeer, import_tlslite, record_tlslite, server_certificate_der, server_private_key

import_tlslite()
from tlslite.mathtls import PRF, PRF_1_2, PRF_1_2_SHA384, PRF_SSL  # noqa: E402 (needs the line before)

SHA256_SUITE, SHA384_SUITE = suite(0x002F), suite(0x009D)

# The vectors for the TLS 1.2 PRF that the TLS working group passed around (tls mailing list, 2009).
PRF_SHA256 = (
    "9bbe436ba940f017b17652849a71db35",
    "a0ba9f936cda311827a6f796ffd5198c",
    (
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
        "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
        "87347b66"
    ),
)
PRF_SHA384 = (
    "b80b733d6ceefcdc71566ea48e5567df",
    "cd665cf6a8447dd6ff8b27555edb7465",
    (
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0"
        "e534cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425"
        "9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e099070"
        "3d73e56f"
    ),
)


@pytest.mark.parametrize(("vector", "used"), [(PRF_SHA256, SHA256_SUITE), (PRF_SHA384, SHA384_SUITE)])
def test_the_prf_of_tls_1_2_gives_the_known_answers(vector, used):
    secret, seed, output = map(bytes.fromhex, vector)
    assert prf(0x0303, used, secret, b"test label", seed, len(output)) == output


@pytest.mark.parametrize("size", [1, 12, 48, 104, 136])
@pytest.mark.parametrize("secret", [b"", b"s", b"odd", bytes(range(48))])
def test_every_prf_agrees_with_another_implementation(secret, size):
    seed = b"seed" * 16
    oracles = [
        (prf(0x0301, SHA256_SUITE, secret, b"label", seed, size), PRF(secret, b"label", seed, size)),
        (prf(0x0302, SHA384_SUITE, secret, b"label", seed, size), PRF(secret, b"label", seed, size)),
        (prf(0x0303, SHA256_SUITE, secret, b"label", seed, size), PRF_1_2(secret, b"label", seed, size)),
        (prf(0x0303, SHA384_SUITE, secret, b"label", seed, size), PRF_1_2_SHA384(secret, b"label", seed, size)),
    ]
    assert all(ours == bytes(theirs) for ours, theirs in oracles)


def test_the_master_secret_of_ssl_3_agrees_with_another_implementation():
    premaster, client, server = b"p" * 48, b"c" * 32, b"s" * 32
    ours = master_secret(0x0300, SHA256_SUITE, premaster, client, server)
    assert ours == bytes(PRF_SSL(premaster, client + server, 48))


def test_the_master_secret_is_bound_to_both_randoms():
    results = {
        master_secret(version, SHA256_SUITE, b"p" * 48, client * 32, server * 32)
        for version in (0x0300, 0x0301, 0x0303)
        for client, server in ((b"a", b"b"), (b"b", b"a"), (b"a", b"a"))
    }
    assert len(results) == 9


def test_the_key_block_is_divided_in_the_order_of_the_rfc():
    master, client, server = b"m" * 48, b"c" * 32, b"s" * 32
    block = bytes(PRF(master, b"key expansion", server + client, 2 * (20 + 16 + 16)))
    client_keys, server_keys = epoch_keys(0x0301, suite(0x002F), master, client, server)
    assert client_keys.mac_key + server_keys.mac_key == block[:40]
    assert client_keys.key + server_keys.key == block[40:72]
    assert client_keys.iv + server_keys.iv == block[72:]


@pytest.mark.parametrize(
    ("version", "value", "sizes"),
    [
        (0x0300, 0x0004, (16, 16, 0)),
        (0x0300, 0x000A, (20, 24, 8)),
        (0x0301, 0x0035, (20, 32, 16)),
        (0x0302, 0x0035, (20, 32, 0)),  # RFC 4346: each record carries the IV
        (0x0303, 0x003D, (32, 32, 0)),
        (0x0303, 0x009C, (0, 16, 4)),
        (0x0303, 0xCCA8, (0, 32, 12)),
        (0x0303, 0x0002, (20, 0, 0)),
    ],
)
def test_keys_have_the_sizes_of_suite_and_version(version, value, sizes):
    for keys in epoch_keys(version, suite(value), bytes(48), bytes(32), bytes(32)):
        assert tuple(map(len, keys)) == sizes


@pytest.mark.parametrize("value", [0xC0FE, 0xC050])
def test_epoch_keys_refuses_an_unsupported_suite_by_name(value):
    with pytest.raises(UnsupportedSuite, match=suite(value).name):
        epoch_keys(0x0303, suite(value), bytes(48), bytes(32), bytes(32))


def test_no_repr_shows_keys():
    assert repr(EpochKeys(b"m", b"k", b"i")) == "EpochKeys(...)"


# --- real handshakes -------------------------------------------------------------------------------------------------


@dataclass
class Walk:
    """Reads a recorded full handshake with the server's private key, the plainest way the RFCs allow."""

    recording: object
    transcript: bytes = b""
    client_random: bytes = b""
    server_random: bytes = b""
    version: int = 0
    suite: object = None
    extended: bool = False
    encrypt_then_mac: bool = False
    master: bytes = b""
    finished: dict[int, bool] = field(default_factory=dict)
    plaintext: list[bytes] = field(default_factory=lambda: [b"", b""])

    def run(self):
        self._open = [None, None]
        pending = [b"", b""]
        for direction, data in self.recording.flights:
            pending[direction] += data
            while len(pending[direction]) >= 5:
                kind, version, size = struct.unpack(">BHH", pending[direction][:5])
                fragment = pending[direction][5 : 5 + size]
                pending[direction] = pending[direction][5 + size :]
                self._record(direction, kind, version, fragment)
        return self

    def _record(self, direction, kind, version, fragment):
        if self._open[direction] is not None:
            fragment = self._open[direction].open(kind, version, memoryview(fragment))
            assert fragment is not None
        if kind == 20:
            keys = epoch_keys(self.version, self.suite, self.master, self.client_random, self.server_random)
            self._open[direction] = protection(
                self.version, self.suite, keys[direction], encrypt_then_mac=self.encrypt_then_mac
            )
        elif kind == 22:
            while fragment:
                size = 4 + int.from_bytes(fragment[1:4], "big")
                self._handshake(direction, fragment[0], fragment[:size])
                fragment = fragment[size:]
        elif kind == 23:
            self.plaintext[direction] += fragment

    def _handshake(self, direction, kind, message):
        if kind == 20:
            wanted = verify_data(self.version, self.suite, self.master, direction == TO_SERVER, self.transcript)
            self.finished[direction] = message[4:] == wanted
        self.transcript += message
        if kind == 1:
            self.client_random = message[6:38]
        elif kind == 2:
            self._server_hello(message)
        elif kind == 16:
            self._client_key_exchange(message)

    def _server_hello(self, message):
        self.version, self.server_random = int.from_bytes(message[4:6], "big"), message[6:38]
        at = 39 + message[38]
        self.suite = suite(int.from_bytes(message[at : at + 2], "big"))
        extensions = message[at + 5 :]
        while extensions:
            number, size = struct.unpack(">HH", extensions[:4])
            self.encrypt_then_mac |= number == 22
            self.extended |= number == 23
            extensions = extensions[4 + size :]

    def _client_key_exchange(self, message):
        ring = KeyRing()
        ring.add_private_key(server_private_key(), 0)
        encrypted = message[4:] if self.version == 0x0300 else message[6:]
        [(premaster, _)] = ring.premasters(encrypted, server_certificate_der())
        if self.extended:
            self.master = extended_master_secret(self.version, self.suite, premaster, self.transcript)
        else:
            self.master = master_secret(self.version, self.suite, premaster, self.client_random, self.server_random)


def check(recording):
    walk = Walk(recording).run()
    assert walk.finished == {TO_SERVER: True, TO_CLIENT: True}
    assert tuple(walk.plaintext) == recording.plaintext
    return walk


OPENSSL_SUITES = [
    "AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-CCM", "AES256-CCM8", "NULL-SHA256",
    "CAMELLIA256-SHA", "CAMELLIA128-SHA256",
]  # fmt: skip


@pytest.mark.parametrize("ciphers", OPENSSL_SUITES)
def test_a_real_handshake_of_tls_1_2_finishes_as_computed(ciphers):
    assert check(TlsPeer(0x0303, ciphers).record(SCRIPT)).extended


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303])
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_extended_master_secret_and_encrypt_then_mac_in_all_combinations(version, encrypt_then_mac, extended):
    peer = TlsPeer(version, "AES256-SHA", extended_master_secret=extended, encrypt_then_mac=encrypt_then_mac)
    walk = check(peer.record(SCRIPT))
    assert (walk.version, walk.extended, walk.encrypt_then_mac) == (version, extended, encrypt_then_mac)


@pytest.mark.parametrize(
    ("version", "cipher", "mac"),
    [
        (0x0300, "rc4", "md5"), (0x0300, "rc4", "sha"), (0x0300, "3des", "sha"), (0x0300, "aes256", "sha"),
        (0x0301, "rc4", "sha"), (0x0301, "3des", "sha"), (0x0302, "null", "sha"), (0x0303, "rc4", "md5"),
        (0x0303, "null", "md5"), (0x0303, "3des", "sha"), (0x0303, "aes128ccm_8", "aead"),
    ],
)  # fmt: skip
def test_a_real_handshake_with_a_suite_that_openssl_dropped_finishes_as_computed(version, cipher, mac):
    walk = check(record_tlslite(version, cipher, mac, SCRIPT))
    assert walk.version == version


def test_the_master_secret_computed_is_the_one_the_client_logged():
    recording = TlsPeer(0x0303, "AES128-SHA").record(SCRIPT)
    walk = check(recording)
    assert f"CLIENT_RANDOM {walk.client_random.hex()} {walk.master.hex()}" in recording.key_log.splitlines()


SCRIPT = [
    (TO_SERVER, b"POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\n"),
    (TO_SERVER, hashlib.shake_128(b"body").digest(3000)),
    (TO_CLIENT, b"HTTP/1.1 200 OK\r\n\r\n"),
    (TO_SERVER, b"x"),
]
