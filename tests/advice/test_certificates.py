"""Certificates as administrators look for them. Expected values of the fixture are what OpenSSL prints of it."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from easpcap.advice.certificates import certificate_facts

FIXTURE = Path(__file__).parents[2] / "fixtures" / "keys" / "server.crt"
DER = x509.load_pem_x509_certificate(FIXTURE.read_bytes()).public_bytes(Encoding.DER)


def made(key, *, serial: int = 0x80FF, names: list[x509.NameAttribute] | None = None, alternatives=()) -> bytes:
    """A self-signed certificate."""
    name = x509.Name(names or [x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial)
    builder = builder.not_valid_before(datetime(2010, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2011, 1, 1, tzinfo=UTC))
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def test_a_certificate_is_read_as_openssl_prints_it():
    facts = certificate_facts(DER)
    assert facts.subject == "CN=mail.contoso.com, O=easpcap fixtures"
    assert facts.issuer == "CN=Contoso Lab CA, O=easpcap fixtures"
    assert facts.serial == "7C755F6987A30AA8C03709E86219E34896A4F6FD"
    assert facts.sha1 == "2580ED2AD338FD7B8A7DB14FB396A0D8DA6C880A"
    assert facts.sha256 == "E6ADD5318ED97FD7761B591B1BCF2CDCD8FB7AF2DC03479494C90C3DBC0168B0"
    assert facts.not_before == int(datetime(2026, 11, 22, 19, 50, 41, tzinfo=UTC).timestamp()) * 10**9
    assert facts.not_after == int(datetime(2046, 8, 9, 19, 50, 41, tzinfo=UTC).timestamp()) * 10**9
    assert (facts.key_type, facts.key_bits) == ("RSA", 2048)
    assert facts.names == ("mail.contoso.com",)
    assert facts.readable


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (ec.generate_private_key(ec.SECP384R1()), ("EC", 384)),
        (ed25519.Ed25519PrivateKey.generate(), ("Ed25519", None)),
    ],
)
def test_keys_that_only_sign_are_recognised(key, kind):
    facts = certificate_facts(made(key))
    assert (facts.key_type, facts.key_bits) == kind
    assert facts.fingerprint is not None


def test_a_serial_number_keeps_the_zero_that_windows_shows():
    key = ec.generate_private_key(ec.SECP256R1())
    assert certificate_facts(made(key, serial=0x80FF)).serial == "0080FF"
    assert certificate_facts(made(key, serial=0x7FFF)).serial == "7FFF"


def test_names_are_those_of_windows_and_alternatives_are_listed():
    names = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso, Ltd."),
        x509.NameAttribute(NameOID.COMMON_NAME, "mail.contoso.com"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "it@contoso.com"),
    ]
    alternatives = [x509.DNSName("autodiscover.contoso.com"), x509.RFC822Name("it@contoso.com")]
    facts = certificate_facts(made(ec.generate_private_key(ec.SECP256R1()), names=names, alternatives=alternatives))
    assert facts.subject == "E=it@contoso.com, CN=mail.contoso.com, O=Contoso\\, Ltd., C=DE"
    assert facts.names == ("autodiscover.contoso.com",)


@pytest.mark.parametrize("data", [b"", b"\x30", b"certificate", bytes(64), DER[:-1], DER[:100], DER + b"\x00"])
def test_bytes_that_are_not_a_certificate_still_have_thumbprints(data):
    facts = certificate_facts(data)
    assert not facts.readable
    assert len(facts.sha1) == 40
    assert len(facts.sha256) == 64
    assert (facts.subject, facts.serial, facts.not_after, facts.names) == (None, None, None, ())


def test_no_changed_byte_raises_or_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for place in range(len(DER)):
            for value in (0x00, 0x7F, 0x80, 0xFF, DER[place] ^ 1):
                facts = certificate_facts(DER[:place] + bytes([value]) + DER[place + 1 :])
                assert len(facts.sha1) == 40
