"""Key files of every form are loaded; a file that holds no RSA key is recognised, and the reason is given."""

from __future__ import annotations

import os
from base64 import b64encode, encodebytes
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)

from easpcap import limits
from easpcap.key_problems import KeyProblem, UnusableLines
from easpcap.keyfiles import load_keys
from easpcap.tls.secrets.certificate import certificate_fingerprint
from tests.support.tls_peer import (
    TlsPeer,
    server_certificate_der,
    server_certificate_pem,
    server_key_pem,
    server_private_key,
)

PASSWORD = b"open sesame"
KEY = server_private_key()
FINGERPRINT = certificate_fingerprint(server_certificate_der())
CERTIFICATE = x509.load_der_x509_certificate(server_certificate_der())
KEY_LOG = f"CLIENT_RANDOM {'a1' * 32} {'b2' * 48}\n".encode()
LAB_KEYS = Path(__file__).parents[3] / "shared" / "captures" / "lab" / "keys"


def private(encoding, form, password=None):
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return KEY.private_bytes(encoding, form, encryption)


def p12(password=None, *, key=KEY):
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"name", key, CERTIFICATE, None, encryption)


@pytest.fixture
def load(tmp_path):
    """Write bytes to a file and load it; the KeyFile and the ring."""

    def load(data, password=None, *, as_log=False):
        path = tmp_path / "file"
        path.write_bytes(data)
        ring, [file] = load_keys([] if as_log else [path], key_logs=[path] if as_log else [], password=password)
        assert file.path == str(path)
        return ring, file

    return load


USABLE = {
    "PKCS #8 PEM": (server_key_pem(), None),
    "PKCS #1 PEM": (private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL), None),
    "PKCS #8 DER": (private(Encoding.DER, PrivateFormat.PKCS8), None),
    "PKCS #1 DER": (private(Encoding.DER, PrivateFormat.TraditionalOpenSSL), None),
    "encrypted PKCS #8 PEM": (private(Encoding.PEM, PrivateFormat.PKCS8, PASSWORD), PASSWORD),
    "encrypted PKCS #1 PEM": (private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PASSWORD), PASSWORD),
    "encrypted PKCS #8 DER": (private(Encoding.DER, PrivateFormat.PKCS8, PASSWORD), PASSWORD),
    "PKCS #12": (p12(PASSWORD), PASSWORD),
    "PKCS #12 without password": (p12(), None),
    "a password that is not needed": (server_key_pem(), PASSWORD),
    "a password that a PKCS #12 does not need": (p12(), PASSWORD),
    "certificate and key": (server_certificate_pem() + server_key_pem(), None),
    "text around": (b"Bag Attributes\n    friendlyName: x\n" + server_key_pem() + b"-- \nthe end", None),
    "indented": (b"\n".join(b"    " + line for line in server_key_pem().splitlines()), None),
    "CRLF": (server_key_pem().replace(b"\n", b"\r\n"), None),
    "CR": (server_key_pem().replace(b"\n", b"\r"), None),
    "one line": (server_key_pem().replace(b"\n", b" "), None),
    "blank lines": (server_key_pem().replace(b"\n", b"\r\n\r\n"), None),
    "quoted mail": (b"\n".join(b"> " + line for line in server_key_pem().splitlines()), None),
    "JSON": (b'{"key": "' + server_key_pem().replace(b"\n", b"\\n") + b'"}', None),
    "XML": (b"<k>" + server_key_pem().replace(b"\n", b"&#13;\n") + b"</k>", None),
    "base64 of PKCS #8 DER": (encodebytes(private(Encoding.DER, PrivateFormat.PKCS8)), None),
    "base64 of PKCS #12": (encodebytes(p12(PASSWORD)), PASSWORD),
    "UTF-8 with BOM": (b"\xef\xbb\xbf" + server_key_pem(), None),
    "UTF-16": (server_key_pem().decode().encode("utf-16"), None),
    "UTF-16 big-endian": (b"\xfe\xff" + server_key_pem().decode().encode("utf-16-be"), None),
    "UTF-16 without BOM": (server_key_pem().decode().encode("utf-16-le"), None),
}


@pytest.mark.parametrize("form", USABLE)
def test_a_private_key_is_loaded_in_every_form(load, form):
    ring, file = load(*USABLE[form])
    assert (file.kind, file.fingerprint, file.rsa_bits) == ("rsa-private-key", FINGERPRINT, (2048,))
    assert file.problem is None
    assert ring.source_for_certificate(server_certificate_der()) == 0


def ec_key(encoding=Encoding.PEM, form=PrivateFormat.PKCS8, key=None):
    return (key or ec.generate_private_key(ec.SECP256R1())).private_bytes(encoding, form, NoEncryption())


def request():
    builder = x509.CertificateSigningRequestBuilder(CERTIFICATE.subject)
    return builder.sign(KEY, hashes.SHA256())


def chain():
    return pkcs7.serialize_certificates([CERTIFICATE], Encoding.DER)


UNUSABLE = {
    "certificate PEM": (server_certificate_pem, "certificate"),
    "certificate DER": (server_certificate_der, "certificate"),
    "two certificates": (lambda: server_certificate_pem() * 2, "certificate"),
    "request PEM": (lambda: request().public_bytes(Encoding.PEM), "certificate-request"),
    "request DER": (lambda: request().public_bytes(Encoding.DER), "certificate-request"),
    "chain": (chain, "certificate-chain"),
    "public key PEM": (
        lambda: KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "public-key",
    ),
    "public key DER": (
        lambda: KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "public-key",
    ),
    "EC key": (ec_key, "ec-private-key"),
    "EC key SEC1": (lambda: ec_key(form=PrivateFormat.TraditionalOpenSSL), "ec-private-key"),
    "EC key DER": (lambda: ec_key(Encoding.DER), "ec-private-key"),
    "EC key SEC1 DER": (lambda: ec_key(Encoding.DER, PrivateFormat.TraditionalOpenSSL), "ec-private-key"),
    "Ed25519 key": (lambda: ec_key(key=ed25519.Ed25519PrivateKey.generate()), "ed25519-private-key"),
    "Ed25519 key DER": (lambda: ec_key(Encoding.DER, key=ed25519.Ed25519PrivateKey.generate()), "ed25519-private-key"),
    "PKCS #12 of certificates": (lambda: p12(key=None), "no-private-key"),
    "OpenSSH key": (lambda: private(Encoding.PEM, PrivateFormat.OpenSSH), "openssh-private-key"),
    "SSH public key": (lambda: KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), "ssh-public-key"),
    "PuTTY key": (lambda: b"PuTTY-User-Key-File-3: ssh-rsa\r\n", "putty-key"),
    "Java keystore": (lambda: b"\xfe\xed\xfe\xed\0\0\0\2" + bytes(50), "java-keystore"),
    "pcap": (lambda: b"\xd4\xc3\xb2\xa1\x02\0\x04\0" + bytes(16), "capture"),
    "pcapng": (lambda: b"\x0a\x0d\x0d\x0a" + bytes(24), "capture"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(24), "gzip"),
    "empty": (lambda: b"", "empty"),
    "blank": (lambda: b" \r\n\n", "empty"),
    "one digit": (lambda: b"0", "unrecognised"),
    "text": (lambda: b"0 hello\nworld\n", "unrecognised"),
    "long text": (lambda: b"0 hello, world\n" * 10, "unrecognised"),
    "bytes": (lambda: bytes(range(256)), "unrecognised"),
    "cut PEM": (lambda: server_key_pem()[:700], "end-missing"),
    "damaged PEM": (lambda: server_key_pem().replace(b"MII", b"MIJ", 1), "damaged"),
    "cut DER": (lambda: private(Encoding.DER, PrivateFormat.PKCS8)[:900], "damaged"),
    "cut PKCS #12": (lambda: p12()[:900], "password-missing"),
    "CRL": (lambda: b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "revocation-list"),
    "another PEM": (lambda: b"-----BEGIN MESSAGE-----\nAAAA\n-----END MESSAGE-----\n", "other-pem"),
    "PVK": (lambda: b"\x1e\xf1\xb5\xb0" + bytes(50), "pvk-key"),
    "key blob": (lambda: b"\x07\x02\x00\x00\x00\xa4\x00\x00RSA2" + bytes(50), "key-blob"),
    "XML key": (lambda: b"<RSAKeyValue><Modulus>AA==</Modulus></RSAKeyValue>", "xml-key"),
    "base64 of a certificate": (lambda: b64encode(server_certificate_der()), "certificate"),
}


@pytest.mark.parametrize("form", UNUSABLE)
@pytest.mark.parametrize("as_log", [False, True])
def test_a_file_without_an_rsa_key_is_recognised(load, form, as_log):
    make, found = UNUSABLE[form]
    if as_log:
        found = {"unrecognised": "unusable-lines", "empty": "empty-key-log"}.get(found, found)
    ring, file = load(make(), as_log=as_log)
    assert file.kind == "unusable"
    assert file.problem.contents == found if file.problem.code == "other-contents" else file.problem.code == found
    assert not ring.has_private_keys


ENCRYPTED = [form for form, (_, password) in USABLE.items() if password and "not need" not in form]


@pytest.mark.parametrize("form", ["certificate PEM", "certificate DER", "two certificates", "base64 of a certificate"])
def test_a_certificate_without_its_key_has_the_fingerprint_of_that_key(load, form):
    make, _ = UNUSABLE[form]
    info = CERTIFICATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert load(make())[1].fingerprint == sha256(info).hexdigest()


@pytest.mark.parametrize("form", ["request PEM", "public key PEM", "EC key", "chain", "cut PEM"])
def test_a_file_without_a_certificate_has_no_fingerprint(load, form):
    make, _ = UNUSABLE[form]
    assert load(make())[1].fingerprint is None


@pytest.mark.parametrize("form", ENCRYPTED)
def test_a_missing_password_is_reported(load, form):
    contents = "pkcs12" if "PKCS #12" in form else "private-key"
    _, file = load(USABLE[form][0])
    assert (file.kind, file.problem) == ("unusable", KeyProblem("password-missing", contents))


@pytest.mark.parametrize("form", ENCRYPTED)
def test_a_wrong_password_is_not_called_a_missing_one(load, form):
    contents = "pkcs12" if "PKCS #12" in form else "private-key"
    _, file = load(USABLE[form][0], b"guess")
    assert (file.kind, file.problem) == ("unusable", KeyProblem("password-wrong", contents))


def test_a_dsa_key_is_recognised(load):
    _, file = load(ec_key(key=dsa.generate_private_key(1024)))
    assert file.problem == KeyProblem("other-contents", "dsa-private-key")


def test_several_keys_in_one_file_are_all_loaded(load):
    other = rsa.generate_private_key(65537, 1024)
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ring, file = load(server_certificate_pem() + pem + server_key_pem())
    assert file.rsa_bits == (1024, 2048)
    assert ring.source_for_certificate(server_certificate_der()) == 0


def test_a_key_beside_one_that_cannot_be_used_is_loaded(load):
    ring, file = load(ec_key() + server_key_pem())
    assert (file.kind, file.rsa_bits) == ("rsa-private-key", (2048,))
    assert file.problem == KeyProblem("other-contents", "ec-private-key")
    assert ring.has_private_keys


def test_a_key_that_cannot_be_used_matters_more_than_the_certificate_beside_it(load):
    _, file = load(server_certificate_pem() + ec_key())
    assert file.problem == KeyProblem("other-contents", "ec-private-key")
    assert file.fingerprint == FINGERPRINT


def test_only_so_many_blocks_of_a_file_are_read(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_BLOCKS", 2)
    assert load(server_key_pem() * 3)[1].rsa_bits == (2048, 2048)


@pytest.mark.parametrize("as_log", [False, True])
def test_keys_and_key_logs_are_recognised_whichever_way_they_are_given(load, as_log):
    ring, file = load(KEY_LOG, as_log=as_log)
    assert (file.kind, file.secrets, file.problem) == ("key-log", 1, None)
    assert ring.master_secrets(b"\xa1" * 32) == ((b"\xb2" * 48, 0),)
    ring, file = load(server_key_pem(), as_log=as_log)
    assert file.kind == "rsa-private-key"


def test_a_real_key_log_is_loaded(load):
    _, file = load(TlsPeer(0x0303, "AES128-SHA").record([]).key_log.encode(), as_log=True)
    assert (file.kind, file.secrets) == ("key-log", 2)


def test_a_key_log_with_cut_lines_is_used_and_they_are_reported(load):
    _, file = load(KEY_LOG + KEY_LOG[:100] + b"\n")
    assert (file.kind, file.secrets) == ("key-log", 1)
    lines = UnusableLines(1, 2, "not-hexadecimal", "CLIENT_RANDOM")
    assert file.problem == KeyProblem("unusable-lines", lines=lines)


def test_a_key_log_without_secrets_is_unusable(load):
    _, file = load(b"# SSL/TLS secrets log file, generated by NSS\n", as_log=True)
    assert (file.kind, file.problem) == ("unusable", KeyProblem("no-secrets"))


def test_a_file_that_cannot_be_read_is_reported(tmp_path):
    _, files = load_keys([tmp_path / "absent", "nul\0byte", tmp_path / ("long" * 100)])
    assert [file.kind for file in files] == ["unusable"] * 3
    assert [file.problem.code for file in files] == ["no-such-file", "not-a-file-name", "unreadable"]
    assert "too long" in files[2].problem.system_error


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0,
    reason="needs a POSIX system and a user other than root, who can read every file",
)
def test_a_file_without_read_permission_is_reported(tmp_path):
    (tmp_path / "server.pem").write_bytes(server_key_pem())
    (tmp_path / "server.pem").chmod(0)
    _, [file] = load_keys([tmp_path / "server.pem"])
    assert file.problem == KeyProblem("permission-denied")


def test_a_file_too_large_is_not_read_to_its_end(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_FILE", 1000)
    assert load(server_key_pem())[1].problem == KeyProblem("file-too-large", limit=1000)
    assert load(KEY_LOG * 10)[1].kind == "key-log"
    monkeypatch.setattr(limits, "MAX_KEY_LOG", 1500)
    assert load(KEY_LOG * 10)[1].problem == KeyProblem("file-too-large", limit=1500)


@pytest.mark.parametrize(("excess", "kind"), [(0, "rsa-private-key"), (1, "unusable")])
def test_a_file_of_exactly_the_largest_size_is_read(load, monkeypatch, excess, kind):
    large = server_key_pem() + b"\n" * 100_000
    monkeypatch.setattr(limits, "MAX_KEY_FILE", len(large) - excess)
    assert load(large)[1].kind == kind


def test_one_bad_file_does_not_stop_the_others_and_order_is_kept(tmp_path):
    (tmp_path / "a").write_bytes(b"nothing")
    (tmp_path / "b").write_bytes(server_key_pem())
    (tmp_path / "c").write_bytes(KEY_LOG)
    ring, files = load_keys([tmp_path / "a", tmp_path / "b"], key_logs=[tmp_path / "c"])
    assert [file.kind for file in files] == ["unusable", "rsa-private-key", "key-log"]
    assert ring.source_for_certificate(server_certificate_der()) == 1
    assert ring.master_secrets(b"\xa1" * 32) == ((b"\xb2" * 48, 2),)


def test_a_key_file_result_holds_no_key_material(load):
    for data, password in USABLE.values():
        _, file = load(data[: len(data) // 2] + data[len(data) // 2 + 8 :], password)
        said = f"{file!r}"
        assert not any(line.decode() in said for line in server_key_pem().splitlines()[1:-1])


@pytest.mark.skipif(not LAB_KEYS.is_dir(), reason="needs the lab keys in ../shared/captures/lab/keys")
def test_the_forms_that_servers_export_are_all_one_key():
    names = sorted(path for path in LAB_KEYS.iterdir() if path.name.startswith("server") and path.suffix != ".crt")
    _, files = load_keys(names, password=b"secret")
    assert len(files) >= 9
    assert {(file.kind, file.problem) for file in files} == {("rsa-private-key", None)}
    assert len({file.fingerprint for file in files}) == 1
