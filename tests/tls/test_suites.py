"""What the value of a cipher suite says about it."""

from __future__ import annotations

import pytest

from easpcap.tls.suites.registry import DEPLOYED, REGISTERED
from easpcap.tls.suites.suite import CIPHERS, EXPORT_KEYS, MAC_SIZES, suite, suite_named


@pytest.mark.parametrize(
    ("value", "name", "key_exchange", "cipher", "mac", "prf_hash"),
    [
        (0x0000, "TLS_NULL_WITH_NULL_NULL", "NULL", "NULL", "NULL", "sha256"),
        (0x0002, "TLS_RSA_WITH_NULL_SHA", "RSA", "NULL", "SHA", "sha256"),
        (0x0004, "TLS_RSA_WITH_RC4_128_MD5", "RSA", "RC4_128", "MD5", "sha256"),
        (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", "RSA_EXPORT", "RC4_40", "MD5", "sha256"),
        (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "RSA", "3DES_EDE_CBC", "SHA", "sha256"),
        (0x001B, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA", "DH_anon", "3DES_EDE_CBC", "SHA", "sha256"),
        (0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA", "RSA", "AES_128_CBC", "SHA", "sha256"),
        (0x009D, "TLS_RSA_WITH_AES_256_GCM_SHA384", "RSA", "AES_256_GCM", "AEAD", "sha384"),
        (0x00BA, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256", "RSA", "CAMELLIA_128_CBC", "SHA256", "sha256"),
        (0xC024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ECDHE_ECDSA", "AES_256_CBC", "SHA384", "sha384"),
        (0xC0A0, "TLS_RSA_WITH_AES_128_CCM_8", "RSA", "AES_128_CCM_8", "AEAD", "sha256"),
        (0xC0AA, "TLS_PSK_DHE_WITH_AES_128_CCM_8", "PSK_DHE", "AES_128_CCM_8", "AEAD", "sha256"),
        (0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE_RSA", "CHACHA20_POLY1305", "AEAD", "sha256"),
        (0x1302, "TLS_AES_256_GCM_SHA384", "TLS13", "AES_256_GCM", "AEAD", "sha384"),
        (0x1305, "TLS_AES_128_CCM_8_SHA256", "TLS13", "AES_128_CCM_8", "AEAD", "sha256"),
        (0xC050, "TLS_RSA_WITH_ARIA_128_GCM_SHA256", "RSA", "ARIA_128_GCM", "AEAD", "sha256"),
    ],
)
def test_a_suite_name_is_split_into_its_parts(value, name, key_exchange, cipher, mac, prf_hash):
    found = suite(value)
    assert (found.value, found.name) == (value, name)
    assert (found.key_exchange, found.cipher, found.mac, found.prf_hash) == (key_exchange, cipher, mac, prf_hash)


@pytest.mark.parametrize("value", [0xC0FE, 0x0A0A, 0xFFFF, 0xCC13])
def test_an_unknown_value_keeps_its_number_as_name(value):
    found = suite(value)
    assert found.name == f"0x{value:04x}"
    assert found.key_exchange == found.cipher == found.mac == "unknown"
    assert not found.decryptable
    assert not found.rsa_key_transport


def test_every_value_gives_a_suite():
    assert all(suite(value).value == value for value in range(0x10000))


def test_a_suite_is_found_by_the_name_that_it_has():
    for name in (REGISTERED | DEPLOYED).values():
        assert suite_named(name).name == name
    assert suite_named("0xc0fe") is suite_named("") is suite_named(None) is None


def test_a_signalling_value_is_not_decryptable():
    assert suite(0x00FF).name == "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
    assert not suite(0x00FF).decryptable


def test_only_rsa_key_transport_can_be_decrypted_with_a_private_key_alone():
    opened = {found.name.partition("_WITH_")[0] for found in map(suite, REGISTERED) if found.rsa_key_transport}
    assert opened == {"TLS_RSA", "TLS_RSA_EXPORT"}


@pytest.mark.parametrize(
    ("value", "forward_secret"), [(0x002F, False), (0xC013, True), (0x0033, True), (0x0034, True), (0x0031, False)]
)
def test_ephemeral_key_exchanges_are_forward_secret(value, forward_secret):
    assert suite(value).forward_secret is forward_secret


@pytest.mark.parametrize("value", [0xC03C, 0xC07A, 0x00C6, 0xC100])
def test_exotic_ciphers_are_not_decryptable_but_named(value):
    assert not suite(value).decryptable
    assert suite(value).name.startswith("TLS_")


@pytest.mark.parametrize("value", [value for value in REGISTERED | DEPLOYED if "EXPORT" in suite(value).name])
def test_every_export_suite_is_decryptable(value):
    found = suite(value)
    assert found.decryptable
    assert found.export
    assert EXPORT_KEYS[found.cipher] <= CIPHERS[found.cipher].key


def test_every_decryptable_suite_has_its_sizes():
    found = [one for one in map(suite, REGISTERED | DEPLOYED) if one.decryptable]
    assert len(found) > 200
    assert all(one.cipher in CIPHERS and one.mac in MAC_SIZES for one in found)
    assert all((one.mac == "AEAD") == (CIPHERS[one.cipher].kind == "aead") for one in found)
