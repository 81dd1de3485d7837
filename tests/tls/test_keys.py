"""Secrets found by what a connection shows: certificate, encrypted premaster secret, client random, session id."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.tls.secrets.certificate import certificate_fingerprint, certificate_public_key
from easpcap.tls.secrets.key_log import decode_text, looks_like_key_log
from easpcap.tls.secrets.keyring import KeyRing
from tests.support.tls_peer import TlsPeer, record_session, server_certificate_der, server_private_key

KEY = server_private_key()
PREMASTER = b"\x03\x03" + bytes(range(46))
RANDOM, MASTER = "a1" * 32, "b2" * 48


@pytest.fixture(scope="module")
def other_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def ring():
    ring = KeyRing()
    ring.add_private_key(KEY, 7)
    return ring


def encrypted(key, premaster=PREMASTER):
    return key.public_key().encrypt(premaster, padding.PKCS1v15())


def certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    start = datetime.datetime(2020, 1, 1)  # noqa: DTZ001 (the builder takes UTC without a zone)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2100))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


# --- private keys ----------------------------------------------------------------------------------------------------


def test_the_key_of_the_certificate_decrypts_the_premaster_secret(ring):
    assert ring.premasters(encrypted(KEY), server_certificate_der()) == [(PREMASTER, 7)]


def test_a_key_that_does_not_match_the_certificate_is_not_tried(ring, other_key):
    assert ring.premasters(encrypted(other_key), certificate(other_key)) == []


def test_the_certificate_selects_among_several_keys(ring, other_key):
    ring.add_private_key(other_key, 8)
    assert ring.premasters(encrypted(other_key), certificate(other_key)) == [(PREMASTER, 8)]
    assert ring.premasters(encrypted(KEY), server_certificate_der()) == [(PREMASTER, 7)]


def test_without_a_certificate_every_key_of_the_right_size_is_tried(ring, other_key):
    ring.add_private_key(other_key, 8)
    ring.add_private_key(rsa.generate_private_key(65537, 1024), 9)
    for unknown in (None, b"", b"no certificate"):
        candidates = ring.premasters(encrypted(other_key), unknown)
        assert (PREMASTER, 8) in candidates
        assert {source for _, source in candidates} <= {7, 8}


def test_every_candidate_has_the_size_of_a_premaster_secret(ring):
    for size in (0, 47, 49, 200):
        candidates = ring.premasters(encrypted(KEY, bytes(size)), server_certificate_der())
        assert all(len(premaster) == 48 for premaster, _ in candidates)


def test_leading_zero_bytes_of_the_ciphertext_may_be_missing(ring):
    ciphertext = next(c for c in iter(lambda: encrypted(KEY), None) if c[0] == 0)
    assert ring.premasters(ciphertext.lstrip(b"\0"), server_certificate_der()) == [(PREMASTER, 7)]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.one_of(st.none(), st.binary(max_size=80)))
def test_a_key_ring_never_raises_on_any_bytes(ciphertext, certificate_bytes):
    ring = KeyRing()
    ring.add_private_key(KEY, 0)
    ring.premasters(ciphertext, certificate_bytes)
    ring.premasters(b"\xff" * 256, server_certificate_der())
    assert ring.source_for_certificate(certificate_bytes or b"") is None


class CountingKey:
    """A private key that counts how often it decrypts."""

    key_size = KEY.key_size

    def __init__(self):
        self.decryptions = 0

    def public_key(self):
        return KEY.public_key()

    def decrypt(self, *arguments):
        self.decryptions += 1
        return KEY.decrypt(*arguments)


@pytest.fixture
def counting_key():
    return CountingKey()


@pytest.fixture
def counting_ring(counting_key):
    ring = KeyRing()
    ring.add_private_key(counting_key, 7)
    return ring


def test_the_same_ciphertext_is_decrypted_once(counting_ring, counting_key):
    ciphertext = encrypted(KEY)
    with_any_key = counting_ring.premasters(ciphertext, None)
    assert with_any_key == counting_ring.premasters(ciphertext, server_certificate_der()) == [(PREMASTER, 7)]
    assert counting_key.decryptions == 1


def test_only_the_latest_decryptions_are_remembered(counting_ring, counting_key, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CACHED_PREMASTERS", 5)
    ciphertexts = [number.to_bytes(256, "big") for number in range(1, 7)]
    for ciphertext in ciphertexts:
        counting_ring.premasters(ciphertext, None)
    for ciphertext in ciphertexts[1:]:
        counting_ring.premasters(ciphertext, None)
    assert counting_key.decryptions == 6
    counting_ring.premasters(ciphertexts[0], None)
    assert counting_key.decryptions == 7


def test_a_fingerprint_is_the_sha256_of_the_public_key(ring):
    import hashlib

    info = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = ring.add_private_key(KEY, 9)
    assert fingerprint == hashlib.sha256(info).hexdigest() == certificate_fingerprint(server_certificate_der())


def test_a_key_given_twice_counts_once(ring):
    ring.add_private_key(KEY, 9)
    assert len(ring.premasters(encrypted(KEY), None)) == 1
    assert ring.source_for_certificate(server_certificate_der()) == 7


# --- certificates ----------------------------------------------------------------------------------------------------


def test_a_certificates_numbers_are_read(other_key):
    numbers = other_key.public_key().public_numbers()
    found = certificate_public_key(certificate(other_key))
    assert (found.modulus, found.exponent) == (numbers.n, numbers.e)


def test_a_certificate_without_an_rsa_key_matches_no_rsa_key(ring):
    der = certificate(ec.generate_private_key(ec.SECP256R1()))
    assert certificate_public_key(der).modulus == 0
    assert ring.source_for_certificate(der) is None


def test_a_version_1_certificate_is_read():
    # the same without its [0] version, its extensions left as they are: no signature is checked
    der = server_certificate_der()
    at = der.index(b"\xa0\x03\x02\x01\x02")
    inner = der[at + 5 :]
    rebuilt = b"\x30\x82" + len(inner).to_bytes(2, "big") + inner
    rebuilt = b"\x30\x82" + len(rebuilt).to_bytes(2, "big") + rebuilt
    assert certificate_public_key(rebuilt).modulus == KEY.public_key().public_numbers().n


def test_a_truncated_certificate_is_none():
    der = server_certificate_der()
    assert all(certificate_public_key(der[:size]) is None for size in range(len(der)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_certificate_matches_a_key_only_if_its_public_key_is_unchanged(data):
    original = certificate_public_key(server_certificate_der())
    der = bytearray(server_certificate_der())
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    found = certificate_public_key(bytes(der))
    assert found is None or (found.fingerprint == original.fingerprint) == (found == original)
    assert found is None or found.modulus.bit_length() + found.exponent.bit_length() <= 8 * len(der)
    ring = KeyRing()
    ring.add_private_key(KEY, 7)
    fits = found is not None and found[1:] == original[1:]
    assert ring.source_for_certificate(bytes(der)) == (7 if fits else None)


# --- key logs --------------------------------------------------------------------------------------------------------


def test_a_real_key_log_gives_the_master_secret_by_the_client_random():
    recording = record_session(0x0303, "AES128-SHA")
    ring = KeyRing()
    usable, bad = ring.add_key_log(recording.key_log.encode(), 3)
    client_random = recording.stream(0)[11:43]
    logged = next(line for line in recording.key_log.splitlines() if line.startswith("CLIENT_RANDOM"))
    assert (usable, bad) == (2, [])  # OpenSSL writes the premaster secret as well
    assert ring.master_secrets(client_random) == ((bytes.fromhex(logged.split()[2]), 3),)


def test_a_real_key_log_of_tls_1_3_is_kept_by_label():
    recording = TlsPeer(0x0304).record([])
    ring = KeyRing()
    assert ring.add_key_log(recording.key_log.encode(), 3) == (5, [])
    [(secret, source)] = ring.secrets(recording.stream(0)[11:43], "CLIENT_TRAFFIC_SECRET_0")
    assert (len(secret), source) == (48, 3)
    assert ring.secrets(bytes(32), "CLIENT_TRAFFIC_SECRET_0") == ()
    assert ring.secrets(bytes(32), "SOMETHING_ELSE") == ()


def test_every_form_of_key_log_line_is_accepted():
    ring = KeyRing()
    lines = [
        f"CLIENT_RANDOM {RANDOM} {MASTER}",
        f"RSA {'c3' * 8} {'d4' * 48}",
        f"RSA Session-ID:{'e5' * 32} Master-Key:{'f6' * 48}",
        f"EXPORTER_SECRET {RANDOM} {'07' * 32}",
    ]
    assert ring.add_key_log("\n".join(lines).encode(), 1) == (4, [])
    assert ring.master_secrets(b"\xa1" * 32) == ((b"\xb2" * 48, 1),)
    assert ring.premasters(b"\xc3" * 256, None) == [(b"\xd4" * 48, 1)]
    assert ring.master_secrets_by_session_id(b"\xe5" * 32) == ((b"\xf6" * 48, 1),)
    assert ring.secrets(b"\xa1" * 32, "EXPORTER_SECRET") == ((b"\x07" * 32, 1),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_text_encodings_and_line_ends_of_any_system_are_accepted(encoding, newline):
    text = newline.join(["# comment", "", f"  CLIENT_RANDOM {RANDOM.upper()} {MASTER}  ", ""])
    data = text.encode(encoding)
    ring = KeyRing()
    assert ring.add_key_log(data, 0) == (1, [])
    assert ring.master_secrets(b"\xa1" * 32)
    assert looks_like_key_log(data)


@pytest.mark.parametrize(
    "line",
    [
        f"CLIENT_RANDOM {RANDOM} {MASTER[:-2]}", f"CLIENT_RANDOM {RANDOM[2:]} {MASTER}", f"CLIENT_RANDOM {RANDOM}",
        f"CLIENT_RANDOM {RANDOM} {MASTER}00ff", f"XCLIENT_RANDOM {RANDOM} {MASTER}",
        f"CLIENT_RANDOM {RANDOM} {'zz' * 48}", "CLIENT_RANDOM",
        f"SOMETHING {RANDOM} {MASTER}", "RSA Session-ID:00", "RSA Session-ID: Master-Key:", "\x00\xff",
        f"RSA {'00' * 7} {MASTER}", f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} ",
    ],
)  # fmt: skip
def test_an_unusable_line_is_named_by_its_number_and_not_quoted(line):
    ring = KeyRing()
    usable, [unusable] = ring.add_key_log(f"# first\n{line}\nCLIENT_RANDOM {RANDOM} {MASTER}\n".encode(), 0)
    assert (usable, unusable.number) == (1, 2)
    assert not any(len(word) >= 6 and word in repr(unusable) for word in line.split()[1:])
    assert "SOMETHING" not in repr(unusable)


def test_different_secrets_for_one_connection_are_all_kept_up_to_a_limit():
    ring = KeyRing()
    lines = [f"CLIENT_RANDOM {RANDOM} {number:096x}" for number in range(limits.MAX_SECRETS_PER_IDENTIFIER + 5)]
    assert ring.add_key_log("\n".join([lines[0], *lines]).encode(), 0) == (len(lines) + 1, [])
    kept = ring.master_secrets(b"\xa1" * 32)
    assert kept == tuple((number.to_bytes(48), 0) for number in range(limits.MAX_SECRETS_PER_IDENTIFIER))


def test_the_number_of_reported_lines_is_limited():
    _, bad = KeyRing().add_key_log(b"nonsense\n" * (limits.MAX_KEY_LOG_COMPLAINTS + 50), 0)
    assert len(bad) == limits.MAX_KEY_LOG_COMPLAINTS


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_every_line_of_any_bytes_is_usable_or_a_complaint_or_empty(data):
    for log in (data, b"CLIENT_RANDOM " + data):
        ring = KeyRing()
        usable, complaints = ring.add_key_log(log, 0)
        lines = [line.strip() for line in decode_text(log).splitlines()]
        numbers = [number for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
        complained = [line.number for line in complaints]
        assert usable + len(complained) == len(numbers)
        assert complained == sorted(set(complained) & set(numbers))


def test_a_good_line_is_usable_whatever_lines_are_around_it():
    good = f"CLIENT_RANDOM {RANDOM} {MASTER}".encode()
    for around in (b"\xff\xfe\xfd", b"\x00", b"CLIENT_RANDOM", b"RSA", b"#"):
        ring = KeyRing()
        ring.add_key_log(b"xx" + around + b"\n" + good + b"\n" + around, 4)
        assert ring.master_secrets(b"\xa1" * 32) == ((b"\xb2" * 48, 4),)


def test_a_key_ring_says_which_kinds_of_key_it_has(ring):
    assert (KeyRing().has_private_keys, KeyRing().has_key_log) == (False, False)
    assert (ring.has_private_keys, ring.has_key_log) == (True, False)
    ring.add_key_log(b"", 0)
    assert ring.has_key_log


def test_no_repr_shows_a_secret(ring):
    ring.add_key_log(f"CLIENT_RANDOM {RANDOM} {MASTER}".encode(), 0)
    assert repr(ring) == "KeyRing(1 private keys, 1 secrets)"
    assert MASTER not in repr(vars(ring)["_private"])
