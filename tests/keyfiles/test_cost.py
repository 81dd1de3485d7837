"""A key file says how much work its password costs; a hostile one that would take hours is refused before the work."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.hazmat.primitives.serialization import pkcs12 as library

from easpcap import limits
from easpcap.key_problems import KeyProblem
from easpcap.keyfiles import load_keys
from easpcap.keyfiles.cost import WorkBudget

KEY = rsa.generate_private_key(65537, 1024)
PASSWORD = b"secret"
HUGE = 2**31 - 1

SHA1 = bytes.fromhex("2b0e03021a")
PBES2 = bytes.fromhex("2a864886f70d01050d")
PBKDF2 = bytes.fromhex("2a864886f70d01050c")
PBE_SHA1_3DES = bytes.fromhex("2a864886f70d010c0103")
HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
AES256_CBC = bytes.fromhex("60864801650304012a")
SCRYPT = bytes.fromhex("2b06010401da47040b")
SHROUDED_KEY_BAG = bytes.fromhex("2a864886f70d010c0a0102")
DATA = bytes.fromhex("2a864886f70d010701")


def der(tag, *parts, indefinite=False):
    contents = b"".join(parts)
    if indefinite:
        return bytes([tag, 0x80]) + contents + b"\0\0"
    size = len(contents)
    octets = b"" if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets) if octets else size]) + octets + contents


def sequence(*parts):
    return der(0x30, *parts)


def oid(value):
    return der(6, value)


def octets(value):
    return der(4, value)


def integer(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pkcs8(kdf):
    """An EncryptedPrivateKeyInfo (RFC 5958 section 3) under PBES2 (RFC 8018 section 6.2)."""
    cipher = sequence(oid(AES256_CBC), octets(bytes(16)))
    return sequence(sequence(oid(PBES2), sequence(kdf, cipher)), octets(bytes(64)))


def pbkdf2(rounds):
    prf = sequence(oid(HMAC_SHA256), der(5))
    return pkcs8(sequence(oid(PBKDF2), sequence(octets(b"salt" * 2), integer(rounds), prf)))


def pbes1(rounds):
    return sequence(sequence(oid(PBE_SHA1_3DES), sequence(octets(b"salt" * 2), integer(rounds))), octets(bytes(64)))


def scrypt(n, r, p):
    return pkcs8(sequence(oid(SCRYPT), sequence(octets(b"salt" * 2), integer(n), integer(r), integer(p))))


def pfx(mac_rounds, key=b"", *, pieces=1, indefinite=False):
    """A PKCS #12 file (RFC 7292 section 4) of one encrypted key; with ``indefinite`` in BER, its safe in ``pieces``."""
    bag = sequence(oid(SHROUDED_KEY_BAG), der(0xA0, key)) if key else b""
    safe = sequence(sequence(oid(DATA), der(0xA0, octets(sequence(bag)))))
    step = -(-len(safe) // pieces)
    parts = [octets(safe[at : at + step]) for at in range(0, len(safe), step)]
    contents = parts[0] if pieces == 1 else der(0x24, *parts, indefinite=indefinite)
    info = der(0x30, oid(DATA), der(0xA0, contents, indefinite=indefinite), indefinite=indefinite)
    mac = sequence(sequence(sequence(oid(SHA1), der(5)), octets(bytes(20))), octets(b"salt"), integer(mac_rounds))
    return der(0x30, integer(3), info, mac, indefinite=indefinite)


HOSTILE = {
    "PBKDF2": (pbkdf2(HUGE), "private-key"),
    "the first scheme of PKCS #5": (pbes1(HUGE), "private-key"),
    "scrypt over much memory": (scrypt(2**24, 8, 1), "private-key"),
    "scrypt many times": (scrypt(2**14, 8, 2**10), "private-key"),
    "the MAC of a PKCS #12 file": (pfx(HUGE), "pkcs12"),
    "a key in a PKCS #12 file": (pfx(1, pbes1(HUGE)), "pkcs12"),
    "a key in BER": (pfx(1, pbes1(HUGE), indefinite=True), "pkcs12"),
    "a key in pieces": (pfx(1, pbes1(HUGE), pieces=20, indefinite=True), "pkcs12"),
}


@pytest.fixture
def load(tmp_path):
    def load(data):
        path = tmp_path / "file"
        path.write_bytes(data)
        return load_keys([path], password=PASSWORD)[1][0]

    return load


@pytest.mark.parametrize("form", HOSTILE)
def test_a_password_that_would_take_hours_is_refused(load, form):
    data, contents = HOSTILE[form]
    assert load(data).problem == KeyProblem("password-too-slow", contents)


def test_a_pem_file_is_refused_likewise(load):
    from base64 import encodebytes

    body = encodebytes(pbkdf2(HUGE))
    pem = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + body + b"-----END ENCRYPTED PRIVATE KEY-----\n"
    assert load(pem).problem == KeyProblem("password-too-slow", "private-key")


@pytest.mark.parametrize(("make", "keys"), [(pbkdf2, 1), (pbes1, 3)])
def test_exactly_as_many_rounds_as_allowed_are_done(load, monkeypatch, make, keys):
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", keys * 1000)
    assert load(make(1000)).problem.code == "password-wrong"
    assert load(make(1001)).problem.code == "password-too-slow"


def test_exactly_as_much_scrypt_as_allowed_is_done(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_SCRYPT_BYTES", 128 * 16 * 8 * 2)
    assert load(scrypt(16, 8, 2)).problem.code == "password-wrong"
    assert load(scrypt(16, 8, 3)).problem.code == "password-too-slow"
    assert load(scrypt(32, 8, 2)).problem.code == "password-too-slow"


def test_all_keys_of_one_file_share_the_limit(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", 4096)  # the library writes 2048 rounds
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD))
    assert load(pem * 2).rsa_bits == (1024, 1024)
    third = load(pem * 3)
    assert (third.rsa_bits, third.problem) == ((1024, 1024), KeyProblem("password-too-slow", "private-key"))


def test_all_keys_of_a_pkcs12_file_share_the_limit(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", 3000)
    assert load(pfx(1, pbkdf2(1000))).problem.code == "password-wrong"  # three spellings: the password, none, empty
    assert load(pfx(1, pbkdf2(2000))).problem.code == "password-wrong"  # one is enough to say so
    assert load(pfx(1, pbkdf2(3001))).problem.code == "password-too-slow"


def test_every_spelling_of_a_password_is_paid_for(tmp_path, monkeypatch):
    """A file is not tried with the second spelling of the password where the work was used up by the first."""
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", 4095)  # the library writes 2048 rounds
    path = tmp_path / "file"
    windows = "gr\u00fc\u00df".encode("cp1252")
    path.write_bytes(KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(windows)))
    assert load_keys([path], password="gr\u00fc\u00df".encode())[1][0].problem.code == "password-wrong"
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", 4096)
    assert load_keys([path], password="gr\u00fc\u00df".encode())[1][0].kind == "rsa-private-key"


def test_all_files_share_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", 1000)
    monkeypatch.setattr("easpcap.keyfiles.WorkBudget", partial(WorkBudget, 2500, 128 * 16 * 8 * 3))
    for number in range(3):
        (tmp_path / f"pbkdf2 {number}").write_bytes(pbkdf2(1000))
        (tmp_path / f"scrypt {number}").write_bytes(scrypt(16, 8, 2))
    for name, last in (("pbkdf2", 2), ("scrypt", 1)):
        files = load_keys([tmp_path / f"{name} {number}" for number in range(3)], password=PASSWORD)[1]
        codes = [file.problem.code for file in files]
        assert codes[:last] == ["password-wrong"] * last
        assert codes[last] == "password-too-slow"


def test_a_key_that_is_not_encrypted_costs_nothing(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_ROUNDS", 0)
    from cryptography.hazmat.primitives.serialization import NoEncryption

    assert load(KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).kind == "rsa-private-key"


def test_a_careful_administrators_file_is_opened(load):
    strong = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(100_000).build(PASSWORD)
    assert load(library.serialize_key_and_certificates(b"name", KEY, None, None, strong)).kind == "rsa-private-key"


def test_a_file_of_endless_elements_is_refused(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_ELEMENTS", 1000)
    endless, short = (der(0x30, *[sequence(*[der(5)] * 10)] * count) for count in (200, 20))
    assert load(pfx(1, sequence(endless, octets(bytes(64))))).problem == KeyProblem("password-too-slow", "pkcs12")
    assert load(pfx(1, sequence(short, octets(bytes(64))))).problem.code == "password-wrong"


@pytest.mark.parametrize("data", [pbkdf2(2048), pfx(2048, pbes1(2048)), pfx(1, pbes1(1), pieces=9, indefinite=True)])
def test_a_file_cut_anywhere_is_only_unusable(load, data):
    for size in range(1, len(data)):
        assert load(data[:size]).kind == "unusable"


def test_deep_nesting_is_only_unusable(load):
    nested = der(5)
    for _ in range(3000):
        nested = sequence(nested)
    assert load(pfx(1, nested)).kind == "unusable"


def test_what_the_limit_lets_through_is_what_the_library_reads():
    """The files of this module are well formed: with few rounds the library finds only the password wrong."""
    for data in (pbkdf2(1), pbes1(1), scrypt(16, 8, 1)):
        with pytest.raises(ValueError, match=r"[Ii]ncorrect password|could not"):
            load_der_private_key(data, PASSWORD)


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to a whole group of processes")
def test_ctrl_c_is_answered_while_passwords_are_tried(tmp_path):
    capture, keys = tmp_path / "empty.pcap", tmp_path / "keys"
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    keys.mkdir()
    for number in range(30):  # half a minute of work
        made = pbkdf2(limits.MAX_KEY_ROUNDS) if number % 2 else pfx(1, pbes1(limits.MAX_KEY_ROUNDS // 3))
        (keys / f"{number:02}").write_bytes(made)
    # A process that was started in the background of a shell ignores SIGINT, and so would its children.
    listen = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    listen += "runpy.run_module('easpcap', run_name='__main__')"
    command = [sys.executable, "-c", listen, "keys", str(capture), "--key", str(keys)]
    environment = {**os.environ, "EASPCAP_PASSWORD": "secret"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=15)
    assert process.returncode == 130
    assert b"Traceback" not in complaint
