"""Keys as OpenSSL has written them since the nineties, keys of every size, folders of keys, and hostile files."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.key_problems import FolderContents, KeyProblem
from easpcap.keyfiles import load_keys
from easpcap.tls.secrets.certificate import certificate_fingerprint
from tests.support.tls_peer import import_tlslite, server_certificate_der, server_certificate_pem, server_key_pem

FINGERPRINT = certificate_fingerprint(server_certificate_der())
KEY_LOG = f"CLIENT_RANDOM {'a1' * 32} {'b2' * 48}\n".encode()
LEGACY = ["-provider", "legacy", "-provider", "default"]
PUBLIC = Path(__file__).parents[3] / "shared" / "captures" / "public" / "files"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl: install it")


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "server.pem"
    path.write_bytes(server_key_pem() + server_certificate_pem())
    return path


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def only(path, password=None):
    _, [file] = load_keys([path], password=password)
    return file


def assert_opens(path, password):
    file = only(path, password)
    assert (file.kind, file.fingerprint, file.problem) == ("rsa-private-key", FINGERPRINT, None)


TRADITIONAL = ["des", "des3", "aes128", "aes192", "aes256", "camellia128", "camellia256", "idea", "seed"]


@needs_openssl
@pytest.mark.parametrize("cipher", TRADITIONAL)
def test_the_traditional_form_is_opened_under_every_cipher(cipher, pem, tmp_path):
    path = tmp_path / "old.pem"
    try:
        openssl("rsa", "-traditional", f"-{cipher}", "-in", pem, "-out", path, "-passout", "pass:secret", *LEGACY)
    except subprocess.CalledProcessError:
        pytest.skip(f"needs an openssl that knows {cipher}, with its legacy provider")
    assert_opens(path, b"secret")
    assert only(path, b"wrong").problem == KeyProblem("password-wrong", "private-key")
    assert only(path).problem == KeyProblem("password-missing", "private-key")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert_opens(path, b"secret")


@needs_openssl
@pytest.mark.parametrize("scheme", ["PBE-MD5-DES", "PBE-SHA1-3DES", "PBE-SHA1-RC2-40", "PBE-SHA1-RC4-128"])
def test_the_first_schemes_of_pkcs8_are_opened(scheme, pem, tmp_path):
    path = tmp_path / "old.pem"
    openssl("pkcs8", "-topk8", "-v1", scheme, "-in", pem, "-out", path, "-passout", "pass:secret", *LEGACY)
    assert_opens(path, b"secret")
    assert only(path, b"wrong").problem == KeyProblem("password-wrong", "private-key")


@needs_openssl
@pytest.mark.parametrize("scheme", ["PBE-SHA1-DES", "PBE-SHA1-RC2-128"])
def test_an_unsupported_cipher_is_not_called_a_wrong_password(scheme, pem, tmp_path):
    path = tmp_path / "old.pem"
    openssl("pkcs8", "-topk8", "-v1", scheme, "-in", pem, "-out", path, "-passout", "pass:secret", *LEGACY)
    assert only(path, b"secret").problem == KeyProblem("cipher-unsupported", "private-key")


PFX = {
    "RC2-40 and 3DES": ["-legacy"],
    "3DES": ["-legacy", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"],
    "RC4": ["-legacy", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC4-128"],
    "AES": [],
    "no MAC": ["-nomac"],
    "nothing encrypted": ["-keypbe", "NONE", "-certpbe", "NONE"],
}


@needs_openssl
@pytest.mark.parametrize("form", PFX)
@pytest.mark.parametrize("password", ["secret", "", "gr\u00fc\u00df \u20ac"])
def test_pfx_files_old_and_new_are_opened(form, password, pem, tmp_path):
    path = tmp_path / "server.pfx"
    openssl("pkcs12", "-export", "-in", pem, "-out", path, "-passout", f"pass:{password}", *PFX[form])
    assert_opens(path, password.encode() or None)


@needs_openssl
def test_a_password_with_umlauts_may_have_been_typed_on_windows(pem, tmp_path):
    path = tmp_path / "encrypted.pem"
    password = tmp_path / "password"
    password.write_bytes("gr\u00fc\u00df".encode("cp1252") + b"\n")
    openssl("pkcs8", "-topk8", "-in", pem, "-out", path, "-passout", f"file:{password}")
    assert_opens(path, "gr\u00fc\u00df".encode())


# -- keys of every size ------------------------------------------------------------------------------------------------


@needs_openssl
@pytest.mark.parametrize(("bits", "exponent"), [(512, 65537), (512, 3), (1024, 2**65 + 3)])
def test_rsa_keys_of_every_size_open_what_was_encrypted_for_them(bits, exponent, tmp_path):
    path = tmp_path / "key.pem"
    options = ["-pkeyopt", f"rsa_keygen_bits:{bits}", "-pkeyopt", f"rsa_keygen_pubexp:{exponent}"]
    openssl("genpkey", "-algorithm", "RSA", *options, "-out", path)
    assert only(path).rsa_bits == (bits,)
    assert_decrypts(path)


def test_a_key_of_8192_bits_opens_what_was_encrypted_for_it(tmp_path):
    """Its primes are those of RFC 3526 group 16 and RFC 7919 ffdhe4096: to find two takes too long."""
    import_tlslite()
    from tlslite.mathtls import FFDHE4096, RFC3526_GROUP16

    p, q = int(RFC3526_GROUP16[1]), int(FFDHE4096[1])
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public)
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert only(path).rsa_bits == (8192,)
    assert_decrypts(path)


def test_the_primes_may_be_in_either_order(tmp_path):
    numbers = rsa.generate_private_key(65537, 1024).private_numbers()
    for swap in (False, True):
        p, q, dp, dq = numbers.p, numbers.q, numbers.dmp1, numbers.dmq1
        if (p < q) is swap:
            p, q, dp, dq = q, p, dq, dp
        changed = rsa.RSAPrivateNumbers(p, q, numbers.d, dp, dq, rsa.rsa_crt_iqmp(p, q), numbers.public_numbers)
        key = changed.private_key(unsafe_skip_rsa_key_validation=True)
        path = tmp_path / f"{swap}.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        assert (key.private_numbers().p < key.private_numbers().q) is not swap
        assert_decrypts(path)


def assert_decrypts(path):
    """A premaster secret encrypted by the arithmetic of RFC 8017 section 7.2.1 comes out."""
    ring, [file] = load_keys([path])
    assert file.kind == "rsa-private-key"
    private = ring._private[0]
    premaster = b"\3\3" + bytes(range(46))
    padded = b"\0\2" + b"\xaa" * (private.size - 51) + b"\0" + premaster
    number = pow(int.from_bytes(padded, "big"), private.public.exponent, private.public.modulus)
    encrypted = number.to_bytes(private.size, "big")
    assert private.key.decrypt(encrypted, PKCS1v15()) == premaster
    assert ring.premasters(encrypted, None) == [(premaster, 0)]


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "keys"
    (folder / "old").mkdir(parents=True)
    (folder / "a.crt").write_bytes(server_certificate_pem())
    (folder / "b.pem").write_bytes(server_key_pem())
    (folder / "c.log").write_bytes(KEY_LOG)
    (folder / "capture.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(20))
    (folder / "old" / "z.pem").write_bytes(server_key_pem())
    return folder


def test_of_a_folder_every_usable_file_is_loaded_and_the_others_are_counted(folder):
    ring, files = load_keys([folder])
    assert [file.kind for file in files] == ["folder", "rsa-private-key", "key-log"]
    assert [Path(file.path).name for file in files] == ["keys", "b.pem", "c.log"]
    assert files[0].folder == FolderContents(files=4, usable=2, locked=0)
    assert [file.problem for file in files] == [None] * 3
    assert ring.source_for_certificate(server_certificate_der()) == 1
    assert ring.master_secrets(b"\xa1" * 32) == ((b"\xb2" * 48, 2),)


def test_files_named_beside_a_folder_keep_their_places(folder):
    ring, files = load_keys([folder, folder / "c.log"], key_logs=[folder])
    assert [file.kind for file in files][:4] == ["folder", "rsa-private-key", "key-log", "key-log"]
    assert len(files) == 7
    assert [source for _, source in ring.master_secrets(b"\xa1" * 32)] == [2]


def test_a_folder_without_a_usable_file_is_unusable(folder):
    for name in ("b.pem", "c.log"):
        (folder / name).unlink()
    file = only(folder)
    assert file.kind == "unusable"
    assert file.problem == KeyProblem("no-usable-file", folder=FolderContents(files=2, usable=0, locked=0))


def test_encrypted_keys_in_a_folder_are_counted(folder):
    from tests.keyfiles.test_load_keys import PASSWORD, USABLE

    (folder / "d.pem").write_bytes(USABLE["encrypted PKCS #8 PEM"][0])
    assert load_keys([folder])[1][0].folder == FolderContents(files=5, usable=2, locked=1)
    assert load_keys([folder], password=b"guess")[1][0].folder == FolderContents(files=5, usable=2, locked=1)
    assert load_keys([folder], password=PASSWORD)[1][0].folder == FolderContents(files=5, usable=3, locked=0)
    (folder / "e.p12").write_bytes(USABLE["PKCS #12"][0])
    assert load_keys([folder])[1][0].folder == FolderContents(files=6, usable=2, locked=2)


def test_a_folder_of_too_many_files_is_refused(folder, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_FOLDER_FILES", 3)
    assert only(folder).problem == KeyProblem("too-many-files", limit=3)
    monkeypatch.setattr(limits, "MAX_KEY_FOLDER_FILES", 4)
    assert load_keys([folder])[1][0].kind == "folder"


# -- hostile files -----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_its_bytes_a_file_holds_keys_or_secrets_or_has_a_problem(data, tmp_path_factory):
    from tests.keyfiles.test_load_keys import UNUSABLE, USABLE

    forms = [form for form, _ in USABLE.values()] + [make() for make, _ in UNUSABLE.values()][:12]
    damaged = bytearray(data.draw(st.sampled_from(forms)))
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    path = tmp_path_factory.mktemp("hostile") / "file"
    path.write_bytes(damaged)
    file = only(path, b"secret")
    assert file.kind in {"rsa-private-key", "key-log", "unusable"}
    assert (file.kind == "unusable") <= (file.problem is not None)
    assert (file.kind == "rsa-private-key") == bool(file.rsa_bits)
    assert (file.kind == "key-log") == (file.secrets > 0)


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN PRIVATE KEY-----\n" * 200_000,
        b"MI" + b" " * 4_000_000 + b"!",
        b"-----BEGIN PRIVATE KEY-----\nDEK-Info: AES-128-CBC,00\n\n" + b"\n" * 1_000_000 + b"-----END PRIVATE KEY-----",
        b"CLIENT_RANDOM\n" * 200_000,
    ],
)
def test_a_large_file_of_nonsense_is_refused(data, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert only(path, b"secret").kind == "unusable"


# -- warnings of the library -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs the published captures in ../shared/captures/public")
def test_warnings_of_the_library_are_suppressed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = only(PUBLIC / "ws-dmgr.p12", b"WebAS")
    assert (file.kind, file.problem) == ("rsa-private-key", None)
