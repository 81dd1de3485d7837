"""A PKCS #12 file may hold any number of keys, in safes that are encrypted or not: all are loaded (RFC 7292)."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from easpcap import limits
from easpcap.key_problems import KeyProblem
from easpcap.keyfiles import load_keys
from tests.keyfiles.test_cost import (
    AES256_CBC,
    DATA,
    HMAC_SHA256,
    PBES2,
    PBKDF2,
    SCRYPT,
    SHROUDED_KEY_BAG,
    der,
    integer,
    octets,
    oid,
    sequence,
)
from tests.keyfiles.test_forms import LEGACY, needs_openssl
from tests.support.tls_peer import server_certificate_der, server_key_pem, server_private_key

PASSWORD = b"secret"
SERVER = server_private_key()
SMALL = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
KEY_BAG = bytes.fromhex("2a864886f70d010c0a0101")
CERTIFICATE_BAG = bytes.fromhex("2a864886f70d010c0a0103")
SAFE_BAG = bytes.fromhex("2a864886f70d010c0a0106")
X509 = bytes.fromhex("2a864886f70d01091601")
ENCRYPTED_DATA = bytes.fromhex("2a864886f70d010706")
FRIENDLY_NAME = bytes.fromhex("2a864886f70d010914")


# -- building ----------------------------------------------------------------------------------------------------------


def bag(kind, value):
    name = der(0x31, sequence(oid(FRIENDLY_NAME), der(0x31, der(0x1E, "x".encode("utf-16-be")))))
    return sequence(oid(kind), der(0xA0, value), name)


def clear(key):
    return bag(KEY_BAG, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def shrouded(key, password=PASSWORD):
    encryption = BestAvailableEncryption(password)
    return bag(SHROUDED_KEY_BAG, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, encryption))


def certificate():
    return bag(CERTIFICATE_BAG, sequence(oid(X509), der(0xA0, octets(server_certificate_der()))))


def nested(*bags):
    return bag(SAFE_BAG, sequence(*bags))


def safe(*bags):
    return sequence(oid(DATA), der(0xA0, octets(sequence(*bags))))


def encrypted_safe(*bags, password=PASSWORD, scrypt=False, pieces=False):
    """A safe that is encrypted as a whole, by PBES2 (RFC 8018 section 6.2)."""
    salt, iv = os.urandom(8), os.urandom(16)
    if scrypt:
        key = Scrypt(salt, 32, 16, 8, 1).derive(password)
        derivation = sequence(oid(SCRYPT), sequence(octets(salt), integer(16), integer(8), integer(1)))
    else:
        key = PBKDF2HMAC(hashes.SHA256(), 32, salt, 1000).derive(password)
        prf = sequence(oid(HMAC_SHA256), der(5))
        derivation = sequence(oid(PBKDF2), sequence(octets(salt), integer(1000), prf))
    padder = PKCS7(128).padder()
    plain = padder.update(sequence(*bags)) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(plain) + encryptor.finalize()
    algorithm = sequence(oid(PBES2), sequence(derivation, sequence(oid(AES256_CBC), octets(iv))))
    content = der(0xA0, octets(encrypted[:99]), octets(encrypted[99:])) if pieces else der(0x80, encrypted)
    return sequence(oid(ENCRYPTED_DATA), der(0xA0, sequence(integer(0), sequence(oid(DATA), algorithm, content))))


def pfx(*safes, indefinite=False):
    """Without a MAC. With ``indefinite``: in BER, and the safes in pieces, as some programs write it."""
    contents = sequence(*safes)
    inner = der(0x24, octets(contents[:50]), octets(contents[50:]), indefinite=True) if indefinite else octets(contents)
    info = der(0x30, oid(DATA), der(0xA0, inner, indefinite=indefinite), indefinite=indefinite)
    return der(0x30, integer(3), info, indefinite=indefinite)


@pytest.fixture
def load(tmp_path):
    def load(data, password=PASSWORD):
        path = tmp_path / "file"
        path.write_bytes(data)
        ring, [file] = load_keys([path], password=password)
        return ring, file

    return load


# -- several keys ------------------------------------------------------------------------------------------------------

FILES = {
    "in one safe": pfx(safe(shrouded(SMALL), shrouded(SERVER))),
    "in one safe, with certificates": pfx(safe(certificate(), shrouded(SMALL), certificate(), shrouded(SERVER))),
    "in two safes": pfx(safe(shrouded(SMALL)), encrypted_safe(certificate()), safe(shrouded(SERVER))),
    "in the clear": pfx(safe(clear(SMALL), clear(SERVER))),
    "in the clear and encrypted": pfx(safe(clear(SMALL), shrouded(SERVER))),
    "in a nested safe": pfx(safe(shrouded(SMALL), nested(certificate(), nested(shrouded(SERVER))))),
    "in an encrypted safe": pfx(encrypted_safe(clear(SMALL), certificate(), clear(SERVER))),
    "encrypted twice": pfx(encrypted_safe(shrouded(SMALL), shrouded(SERVER))),
    "in a safe under scrypt": pfx(encrypted_safe(clear(SMALL), clear(SERVER), scrypt=True)),
    "in an encrypted safe in pieces": pfx(encrypted_safe(clear(SMALL), clear(SERVER), pieces=True)),
    "in BER": pfx(safe(shrouded(SMALL)), encrypted_safe(shrouded(SERVER), pieces=True), indefinite=True),
    "with bytes after it": pfx(safe(shrouded(SMALL), shrouded(SERVER))) + b"\r\n",
}


@pytest.mark.parametrize("form", FILES)
def test_every_key_is_loaded(load, form):
    ring, file = load(FILES[form])
    assert (file.kind, sorted(file.rsa_bits), file.problem) == ("rsa-private-key", [1024, 2048], None)
    assert ring.source_for_certificate(server_certificate_der()) == 0


@pytest.mark.parametrize("form", [form for form in FILES if form != "in the clear"])
def test_without_the_password_only_keys_in_the_clear_are_loaded(load, form):
    _, file = load(FILES[form], None)
    if form == "in the clear and encrypted":
        assert (file.rsa_bits, file.problem) == ((1024,), KeyProblem("password-missing", "pkcs12"))
    else:
        assert file.problem == KeyProblem("password-missing", "pkcs12")
        assert load(FILES[form], b"guess")[1].problem == KeyProblem("password-wrong", "pkcs12")


def test_a_key_under_another_password_is_reported_beside_the_one_that_opened(load):
    _, file = load(pfx(safe(shrouded(SMALL, b"another"), shrouded(SERVER))))
    assert (file.rsa_bits, file.problem) == ((2048,), KeyProblem("password-wrong", "pkcs12"))


def test_certificates_under_another_password_do_not_matter(load):
    _, file = load(pfx(encrypted_safe(certificate(), password=b"another"), safe(shrouded(SERVER))))
    assert (file.rsa_bits, file.problem) == ((2048,), None)


def test_a_key_that_is_not_rsa_is_reported_beside_the_others(load):
    for keys in ((EC, SERVER), (SERVER, EC)):
        _, file = load(pfx(safe(*map(shrouded, keys))))
        assert (file.rsa_bits, file.problem) == ((2048,), KeyProblem("other-contents", "ec-private-key"))
    assert load(pfx(safe(shrouded(EC))))[1].problem == KeyProblem("other-contents", "ec-private-key")


def test_a_damaged_key_is_reported_beside_the_others(load):
    broken = bag(KEY_BAG, sequence(integer(0), octets(b"no key")))
    _, file = load(pfx(safe(broken, shrouded(SERVER))))
    assert (file.rsa_bits, file.problem) == ((2048,), KeyProblem("damaged"))
    assert load(pfx(safe(broken)))[1].problem == KeyProblem("damaged")
    assert load(pfx(safe(bag(SHROUDED_KEY_BAG, octets(b"no key")))))[1].problem == KeyProblem("damaged")


@pytest.mark.parametrize("known", [AES256_CBC, PBES2, PBKDF2, HMAC_SHA256])
def test_a_scheme_that_nobody_knows_leaves_the_password_without_effect(load, known):
    unknown = FILES["in one safe"].replace(known, known[:-1] + b"\x7f")
    assert load(unknown)[1].problem == KeyProblem("password-wrong", "pkcs12")


def test_only_so_many_keys_are_loaded(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_BLOCKS", 3)
    assert len(load(pfx(safe(*[clear(SMALL)] * 5)))[1].rsa_bits) == 3


def test_a_file_without_a_key_says_so(load):
    made = pkcs12.serialize_key_and_certificates(
        b"x", None, x509.load_der_x509_certificate(server_certificate_der()), None, BestAvailableEncryption(PASSWORD)
    )
    assert load(made)[1].problem == KeyProblem("no-private-key")
    assert load(made, b"guess")[1].problem == KeyProblem("password-wrong", "pkcs12")


@pytest.mark.parametrize("form", ["encrypted twice", "in BER", "in the clear"])
def test_a_file_cut_or_damaged_anywhere_gives_an_answer(load, form):
    data = FILES[form]
    for at in range(0, len(data), 29):
        assert load(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])[1].kind in {"rsa-private-key", "unusable"}
        assert load(data[:at])[1].kind in {"rsa-private-key", "unusable"}


# -- files of OpenSSL --------------------------------------------------------------------------------------------------

SCHEMES = [
    "PBE-SHA1-RC4-128", "PBE-SHA1-RC4-40", "PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-128", "PBE-SHA1-RC2-40",
    "aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des-ede3-cbc", "camellia-256-cbc",
]  # fmt: skip
BY_LIBRARY = {"PBE-SHA1-RC2-40", "camellia-256-cbc"}


def exported(tmp_path, *options, password="secret"):
    pem, path = tmp_path / "server.pem", tmp_path / "server.pfx"
    pem.write_bytes(server_key_pem())
    command = ["openssl", "pkcs12", "-export", "-nocerts", "-in", pem, "-out", path, "-passout", f"pass:{password}"]
    subprocess.run([*map(str, command), *options, *LEGACY], check=True, capture_output=True)
    return path.read_bytes()


@needs_openssl
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("password", ["secret", "", "gr\u00fc\u00df \u20ac \U0001f511", "x" * 100])
def test_a_key_under_every_scheme_of_openssl_is_loaded(load, tmp_path, scheme, password):
    data = exported(tmp_path, "-keypbe", scheme, password=password)
    assert load(data, password.encode() or None)[1].rsa_bits == (2048,)
    assert load(data, b"guess")[1].problem == KeyProblem("password-wrong", "pkcs12") if password else True


def elements(data):
    """The elements in DER, as (tag, contents, whole)."""
    at = 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[at + 2 : start], "big")
        yield data[at], data[start : start + size], data[at : start + size]
        at = start + size


def inside(data, *path):
    """The contents of the element at a path of places."""
    for place in path:
        data = list(elements(data))[place][1]
    return data


@needs_openssl
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("password", ["secret", ""])
def test_the_second_key_is_loaded_whatever_scheme_encrypts_it(load, tmp_path, scheme, password):
    if (scheme, password) == ("PBE-SHA1-RC2-40", ""):
        pytest.skip("without its MAC the library takes an empty password for none")
    data = exported(tmp_path, "-keypbe", scheme, password=password)
    infos = inside(data, 0, 1, 1, 0)  # of the AuthenticatedSafe
    first = sequence(oid(DATA), der(0xA0, octets(sequence(clear(SMALL)))))
    both = pfx(first, *(whole for _, _, whole in elements(inside(infos, 0))))
    assert load(both, password.encode())[1].rsa_bits == (1024, 2048)


@needs_openssl
@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme not in BY_LIBRARY])
def test_a_safe_of_certificates_is_opened_under_every_scheme(tmp_path, scheme):
    """What encrypts certificates may encrypt keys too; that it was opened shows in what the file is said to hold."""
    from easpcap.keyfiles.asn1 import BerReader
    from easpcap.keyfiles.pbe import decrypt

    path, made = tmp_path / "server.crt", tmp_path / "made.pfx"
    path.write_bytes(x509.load_der_x509_certificate(server_certificate_der()).public_bytes(Encoding.PEM))
    command = ["openssl", "pkcs12", "-export", "-nokeys", "-in", path, "-out", made, "-passout", "pass:secret"]
    subprocess.run([*map(str, command), "-certpbe", scheme, *LEGACY], check=True, capture_output=True)
    [encrypted_info] = [
        info for _, _, info in elements(inside(inside(made.read_bytes(), 0, 1, 1, 0), 0)) if ENCRYPTED_DATA in info
    ]
    _, algorithm, encrypted = elements(inside(encrypted_info, 0, 1, 0, 1))
    [parsed] = BerReader().elements(algorithm[2])
    assert server_certificate_der() in decrypt(parsed, encrypted[1], PASSWORD)
    with pytest.raises(ValueError, match="wrong password"):
        decrypt(parsed, encrypted[1], b"guess")


def test_openssl_is_there_where_it_should_be():
    """The tests above say something only where they run."""
    assert shutil.which("openssl") or os.name != "posix"
