"""How long a protected record is: by hand from the RFCs, and as the records that easpcap opens have it."""

from __future__ import annotations

import pytest

from easpcap.tls.handshake.negotiation import Agreement
from easpcap.tls.protection.choose import protection
from easpcap.tls.secrets.schedule import epoch_keys
from easpcap.tls.session.record_sizes import plain_bounds
from easpcap.tls.suites.record_layout import record_layout
from easpcap.tls.suites.registry import DEPLOYED, REGISTERED
from easpcap.tls.suites.suite import suite, suite_named
from tests.support.record_writer import RecordWriter
from tests.tls.test_protection import CASES

SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
HEADER = 5


def layout(version, name):
    return record_layout(version, suite_named(name))


def agreed(version, name):
    return Agreement(version, suite_named(name), 0, bytes(32), bytes(32), encrypt_then_mac=False, extended_master=False)


@pytest.mark.parametrize(
    ("version", "name", "plaintext", "size", "size_encrypt_then_mac"),
    [
        # stream and NULL: content, MAC
        (SSL3, "TLS_RSA_WITH_RC4_128_MD5", 100, 100 + 16, 116),
        (TLS12, "TLS_RSA_WITH_RC4_128_SHA", 100, 100 + 20, 120),
        (TLS10, "TLS_RSA_WITH_NULL_SHA", 0, 20, 20),
        (TLS12, "TLS_RSA_WITH_NULL_SHA256", 4, 4 + 32, 36),
        (TLS12, "TLS_ECDHE_PSK_WITH_NULL_SHA384", 4, 4 + 48, 52),
        (TLS12, "TLS_NULL_WITH_NULL_NULL", 4, 4, 4),
        # CBC with a chained IV: (content, MAC, padding), or (content, padding), MAC
        (SSL3, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 4, 32, 8 + 20),  # 4 + 20 is whole blocks: one more, of padding
        (TLS10, "TLS_RSA_WITH_AES_128_CBC_SHA", 11, 32, 16 + 20),  # 11 + 20 + 1 is two blocks
        (TLS10, "TLS_RSA_WITH_AES_128_CBC_SHA", 12, 48, 16 + 20),
        (TLS10, "TLS_RSA_WITH_AES_128_CBC_SHA", 15, 48, 16 + 20),
        (TLS10, "TLS_RSA_WITH_AES_128_CBC_SHA", 16, 48, 32 + 20),
        (TLS10, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5", 4, 24, 8 + 16),
        (TLS10, "TLS_RSA_WITH_SEED_CBC_SHA", 4, 32, 16 + 20),
        # CBC with an explicit IV
        (TLS11, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 4, 8 + 32, 8 + 8 + 20),
        (TLS12, "TLS_RSA_WITH_AES_256_CBC_SHA256", 4, 16 + 48, 16 + 16 + 32),
        (TLS12, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", 4, 16 + 32, 16 + 16 + 20),
        (TLS12, "TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384", 4, 16 + 64, 16 + 16 + 48),
        (TLS12, "TLS_RSA_WITH_ARIA_128_CBC_SHA256", 4, 16 + 48, 16 + 16 + 32),
        (TLS12, "TLS_ECDHE_RSA_WITH_ARIA_256_CBC_SHA384", 4, 16 + 64, 16 + 16 + 48),
        (TLS12, "TLS_RSA_WITH_AES_128_CBC_SHA", 2**14, 16 + 2**14 + 32, 16 + 2**14 + 16 + 20),
        # AEAD: explicit nonce (except ChaCha20), content, tag
        (TLS12, "TLS_RSA_WITH_AES_128_GCM_SHA256", 100, 8 + 100 + 16, 124),
        (TLS12, "TLS_RSA_WITH_CAMELLIA_256_GCM_SHA384", 100, 8 + 100 + 16, 124),
        (TLS12, "TLS_RSA_WITH_ARIA_128_GCM_SHA256", 100, 8 + 100 + 16, 124),
        (TLS12, "TLS_RSA_WITH_AES_256_CCM", 100, 8 + 100 + 16, 124),
        (TLS12, "TLS_ECCPWD_WITH_AES_128_CCM_SHA256", 100, 8 + 100 + 16, 124),
        (TLS12, "TLS_RSA_WITH_AES_128_CCM_8", 100, 8 + 100 + 8, 116),
        (TLS12, "TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", 100, 8 + 100 + 8, 116),
        (TLS12, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 100, 100 + 16, 116),
    ],
)
def test_the_size_of_a_fragment(version, name, plaintext, size, size_encrypt_then_mac):
    found = layout(version, name)
    assert found.fragment_size(plaintext) == size
    assert found.fragment_size(plaintext, encrypt_then_mac=True) == size_encrypt_then_mac


@pytest.mark.parametrize(
    ("version", "name", "least", "most"),
    [
        (TLS12, "TLS_RSA_WITH_AES_128_GCM_SHA256", 24, 24),
        (TLS12, "TLS_RSA_WITH_RC4_128_SHA", 20, 20),
        (TLS12, "TLS_RSA_WITH_AES_128_CBC_SHA", 16 + 20 + 1, 16 + 20 + 256),
        (TLS10, "TLS_RSA_WITH_AES_128_CBC_SHA", 20 + 1, 20 + 256),
        (SSL3, "TLS_RSA_WITH_AES_128_CBC_SHA", 20 + 1, 20 + 16),  # RFC 6101 section 5.2.3.2
        (SSL3, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 20 + 1, 20 + 8),
    ],
)
def test_padding_leaves_the_plaintext_between_two_limits(version, name, least, most):
    assert layout(version, name).overhead() == (least, most)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (0x0002, "TLS_RSA_WITH_AES_128_CBC_SHA"),
        (TLS13, "TLS_RSA_WITH_AES_128_CBC_SHA"),
        (TLS13, "TLS_AES_128_GCM_SHA256"),
        (TLS12, "TLS_AES_128_GCM_SHA256"),  # only TLS 1.3 has it
        (TLS11, "TLS_RSA_WITH_AES_128_GCM_SHA256"),  # only TLS 1.2 has it
        (TLS11, "TLS_RSA_WITH_ARIA_128_GCM_SHA256"),
        (TLS12, "TLS_GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC"),
        (TLS12, "TLS_GOSTR341001_WITH_NULL_GOSTR3411"),
        (TLS12, "SSL_FORTEZZA_KEA_WITH_FORTEZZA_CBC_SHA"),
        (TLS12, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
    ],
)
def test_records_that_cannot_be_measured_have_no_layout(version, name):
    assert layout(version, name) is None


UNKNOWN_TO_MEASURE = ("GOSTR3", "FORTEZZA_CBC", "_SCSV", "SM4", "TLS_SHA256_SHA256", "TLS_SHA384_SHA384")


def test_every_other_suite_up_to_tls_1_2_has_a_layout():
    for found in map(suite, REGISTERED | DEPLOYED):
        known = found.key_exchange != "TLS13" and not any(part in found.name for part in UNKNOWN_TO_MEASURE)
        assert (record_layout(TLS12, found) is not None) == known, found.name


SIZES = [*range(70), 255, 256, 1460, 2**14]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]:x}-{suite(case[1]).name[4:]}{'-etm' * case[2]}")
def test_a_record_that_easpcap_opens_has_exactly_that_size(case):
    version, value, encrypt_then_mac = case
    keys, _ = epoch_keys(version, suite(value), bytes(range(48)), b"c" * 32, b"s" * 32)
    writer = RecordWriter(version, suite(value), keys, encrypt_then_mac=encrypt_then_mac)
    reader = protection(version, suite(value), keys, encrypt_then_mac=encrypt_then_mac)
    found = record_layout(version, suite(value))
    least, most = found.overhead()
    for size in SIZES:
        fragment = writer.fragment(23, bytes(size))
        assert reader.open(23, version, fragment) == bytes(size)
        assert len(fragment) == found.fragment_size(size, encrypt_then_mac=encrypt_then_mac)
        assert least <= len(fragment) - size <= most


@pytest.mark.parametrize("encrypt_then_mac", [False, True])
@pytest.mark.parametrize("version", [TLS10, TLS12])
def test_records_with_the_most_padding_are_within_the_limits(version, encrypt_then_mac):
    chosen = suite_named("TLS_RSA_WITH_AES_128_CBC_SHA")
    keys, _ = epoch_keys(version, chosen, bytes(48), bytes(32), bytes(32))
    writer = RecordWriter(version, chosen, keys, encrypt_then_mac=encrypt_then_mac, padding=15)
    overheads = {len(writer.fragment(23, bytes(size))) - size for size in range(64)}
    least, most = record_layout(version, chosen).overhead()
    assert max(overheads) == most
    assert max(overheads) - least == 255


def test_the_null_cipher_with_an_unknown_mac_sets_no_limits():
    """Its MAC's size is not in the table; any part of the lost bytes may be data."""
    assert plain_bounds(agreed(TLS12, "TLS_GOSTR341001_WITH_NULL_GOSTR3411"), 300, 2) == (0, 300)


def test_the_limits_of_lost_records_leave_their_headers_out():
    assert plain_bounds(agreed(TLS12, "TLS_RSA_WITH_AES_128_GCM_SHA256"), 300, 2) == (242, 242)
    bounds = plain_bounds(agreed(TLS12, "TLS_RSA_WITH_AES_128_CBC_SHA"), 1000, 2)
    assert bounds == (1000 - 2 * (HEADER + 292), 1000 - 2 * (HEADER + 37))
