"""Export suites: keys cut short and expanded again, and server keys that exist for one handshake only."""

from __future__ import annotations

from functools import cache
from hashlib import md5

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.schedule import epoch_keys
from easpcap.tls.suites.suite import suite
from tests.support.tls_peer import import_tlslite
from tests.support.tls_runs import ring_with_key, ring_with_log, run
from tests.support.tls_script import TlsScript

import_tlslite()
from tlslite.mathtls import PRF, PRF_SSL  # noqa: E402 (after its warnings were silenced)

RSA_EXPORT = {
    0x0003: "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
    0x0006: "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5",
    0x0008: "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA",
    0x0060: "TLS_RSA_EXPORT1024_WITH_RC4_56_MD5",
    0x0061: "TLS_RSA_EXPORT1024_WITH_RC2_CBC_56_MD5",
    0x0062: "TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA",
    0x0064: "TLS_RSA_EXPORT1024_WITH_RC4_56_SHA",
}
OTHER_EXPORT = [0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019, 0x0026, 0x0027, 0x0028, 0x0029, 0x002A, 0x002B]
VERSIONS = [0x0300, 0x0301, 0x0302]
SENT = (b"POST / HTTP/1.1\r\n\r\n" * 20, b"HTTP/1.1 200 OK\r\n\r\n")


@cache
def short_lived_key():
    return rsa.generate_private_key(65537, 1024)


def talk(version, value, *, short_lived=False):
    script = TlsScript(version, value)
    script.short_lived_key = short_lived_key() if short_lived else None
    script.full()
    script.data(TO_SERVER, SENT[0])
    script.data(TO_CLIENT, SENT[1])
    script.data(TO_SERVER, b"more")
    return script


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("value", RSA_EXPORT)
def test_the_server_key_decrypts_an_export_suite_without_a_short_lived_key(version, value):
    outcome = run(talk(version, value).flights)
    assert outcome.plaintext == (SENT[0] + b"more", SENT[1])
    assert outcome.session.suite.name == RSA_EXPORT[value]
    assert outcome.verdict() == ("decrypted", None)
    assert outcome.codes == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("value", [*RSA_EXPORT, *OTHER_EXPORT])
def test_a_key_log_decrypts_every_export_suite(version, value):
    script = talk(version, value, short_lived=value in RSA_EXPORT)
    outcome = run(script.flights, ring_with_log(script.key_log))
    assert outcome.plaintext == (SENT[0] + b"more", SENT[1])


@pytest.mark.parametrize("value", [0x0003, 0x0008, 0x0060])
def test_the_server_key_does_not_decrypt_a_handshake_with_a_short_lived_key(value):
    script = talk(0x0301, value, short_lived=True)
    outcome = run(script.flights)
    assert outcome.plaintext == (b"", b"")
    assert outcome.verdict() == ("opaque", "forward-secrecy")


@pytest.mark.parametrize("value", [0x0003, 0x0008, 0x0060])
def test_a_logged_premaster_secret_decrypts_a_handshake_with_a_short_lived_key(value):
    script = talk(0x0301, value, short_lived=True)
    keyring = ring_with_key_and_log(script.premaster_line)
    outcome = run(script.flights, keyring)
    assert outcome.plaintext == (SENT[0] + b"more", SENT[1])
    assert outcome.session.key_sources == {7}


def ring_with_key_and_log(text):
    keyring = KeyRing()
    keyring.add_private_key(ring_with_key()._private[0].key, 0)
    keyring.add_key_log(text.encode(), 7)
    return keyring


def test_ssl_3_export_keys_are_derived_as_in_rfc_6101():
    """RFC 6101 section 6.2.2.1, computed step by step for RC2_CBC_40 and DES40."""
    master, client, server = b"m" * 48, b"c" * 32, b"s" * 32
    for value, mac, size in ((0x0006, 16, 16), (0x0008, 20, 8)):
        block = bytes(PRF_SSL(bytearray(master), bytearray(server + client), 2 * (mac + 5 + 8)))
        write_keys = block[2 * mac : 2 * mac + 5], block[2 * mac + 5 : 2 * mac + 10]
        to_server, to_client = epoch_keys(0x0300, suite(value), master, client, server)
        assert to_server.mac_key + to_client.mac_key == block[: 2 * mac]
        assert to_server.key == md5(write_keys[0] + client + server).digest()[:size]
        assert to_client.key == md5(write_keys[1] + server + client).digest()[:size]
        assert to_server.iv == md5(client + server).digest()[:8]
        assert to_client.iv == md5(server + client).digest()[:8]


@pytest.mark.parametrize(
    ("value", "mac", "cut", "size"), [(0x0006, 16, 5, 16), (0x0061, 16, 7, 16), (0x0062, 20, 8, 8)]
)
def test_tls_1_0_export_keys_are_derived_as_in_rfc_2246(value, mac, cut, size):
    """RFC 2246 section 6.3.1."""
    master, client, server = b"m" * 48, b"c" * 32, b"s" * 32
    block = bytes(PRF(bytearray(master), b"key expansion", bytearray(server + client), 2 * (mac + cut + 8)))
    write_keys = [block[2 * mac + at : 2 * mac + at + cut] for at in (0, cut)]
    ivs = bytes(PRF(bytearray(b""), b"IV block", bytearray(client + server), 16))
    for keys, label, write_key, iv in zip(
        epoch_keys(0x0301, suite(value), master, client, server),
        (b"client write key", b"server write key"),
        write_keys,
        (ivs[:8], ivs[8:]),
        strict=True,
    ):
        assert keys.key == bytes(PRF(bytearray(write_key), label, bytearray(client + server), size))
        assert keys.iv == iv
