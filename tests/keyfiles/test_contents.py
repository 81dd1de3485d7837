"""The contents of a file decide what it is: not the label of PEM, not the text around it, not the bytes after it."""

from __future__ import annotations

import json
from base64 import b64encode, encodebytes
from textwrap import indent

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.key_problems import KeyProblem
from easpcap.keyfiles import load_keys
from easpcap.keyfiles.asn1 import structures
from easpcap.keyfiles.pem import decoded_base64
from tests.keyfiles.test_load_keys import FINGERPRINT, KEY_LOG, PASSWORD, ec_key, p12, private
from tests.support.tls_peer import server_certificate_der, server_certificate_pem, server_key_pem

PKCS8 = private(Encoding.DER, PrivateFormat.PKCS8)
PKCS1 = private(Encoding.DER, PrivateFormat.TraditionalOpenSSL)
ENCRYPTED = private(Encoding.DER, PrivateFormat.PKCS8, PASSWORD)
PFX = p12(PASSWORD)
FORMS = {"PKCS #8": PKCS8, "PKCS #1": PKCS1, "encrypted PKCS #8": ENCRYPTED, "PFX": PFX}
LABELS = ["RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "CERTIFICATE", "PKCS12", "X"]


@pytest.fixture
def load(tmp_path):
    def load(data, password=PASSWORD):
        path = tmp_path / "file"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return load_keys([path], password=password)[1][0]

    return load


def assert_is_the_key(file):
    assert (file.kind, file.fingerprint, file.problem) == ("rsa-private-key", FINGERPRINT, None)


def armoured(label, der, end=None):
    return f"-----BEGIN {label}-----\n{encodebytes(der).decode()}-----END {end or label}-----\n"


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_read_under_any_label(load, form, label):
    assert_is_the_key(load(armoured(label, FORMS[form])))


def test_the_label_of_the_end_line_may_be_another(load):
    assert_is_the_key(load(armoured("RSA PRIVATE KEY", PKCS8, end="PRIVATE KEY")))


def test_a_whole_key_needs_no_end_line(load):
    text = server_key_pem().decode()
    assert_is_the_key(load(text[: text.index("-----END")]))
    assert load(text[: text.index("-----END") - 40]).problem == KeyProblem("end-missing")


@pytest.mark.parametrize("label", ["RSA PRIVATE KEY", "PRIVATE KEY", "CERTIFICATE"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_ec_key_is_named_under_any_label(load, label, form):
    assert load(armoured(label, ec_key(Encoding.DER, form))).problem == KeyProblem("other-contents", "ec-private-key")


def test_a_certificate_is_named_under_the_label_of_a_key(load):
    file = load(armoured("RSA PRIVATE KEY", server_certificate_der()))
    assert (file.problem, file.fingerprint) == (KeyProblem("other-contents", "certificate"), FINGERPRINT)


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("RSA PRIVATE KEY", KeyProblem("damaged")),
        ("CERTIFICATE", KeyProblem("other-contents", "certificate")),
        ("X509 CRL", KeyProblem("other-contents", "revocation-list")),
        ("EC PARAMETERS", KeyProblem("other-contents", "ec-parameters")),
        ("SOMETHING", KeyProblem("other-contents", "other-pem")),
    ],
)
def test_where_the_contents_say_nothing_the_label_explains_them(load, label, problem):
    assert load(armoured(label, b"\x06\x01\x2a")).problem == problem


@pytest.mark.parametrize(
    ("label", "password", "problem"),
    [
        ("CERTIFICATE", None, KeyProblem("password-missing", "pkcs12")),
        ("CERTIFICATE", b"guess", KeyProblem("password-wrong", "pkcs12")),
    ],
)
def test_a_pfx_under_the_label_of_a_certificate_asks_for_its_password(load, label, password, problem):
    assert load(armoured(label, PFX) + server_certificate_pem().decode(), password).problem == problem


def test_an_encrypted_ec_key_needs_no_password_to_be_named(load):
    pem = private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PASSWORD).replace(b"RSA PRIVATE", b"EC PRIVATE")
    assert load(pem, None).problem == KeyProblem("other-contents", "ec-private-key")
    assert_is_the_key(load(pem))  # with the password it turns out to be an RSA key


def test_a_key_too_long_for_any_server_is_refused(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_RSA_BITS", 2047)
    assert load(PKCS8).problem == KeyProblem("key-too-long", limit=2047)


# -- DER ---------------------------------------------------------------------------------------------------------------


AFTER = {
    "a line break": b"\r\n",
    "zeros": bytes(3000),
    "the end of a DOS file": b"\x1a",
    "a certificate": server_certificate_der(),
    "a line break and a certificate": b"\n" + server_certificate_der(),
    "text": b"the end",
    "an EC key that is no key": b"\x30\x82",
}


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("form", FORMS)
def test_bytes_after_der_do_not_matter(load, form, after):
    assert_is_the_key(load(FORMS[form] + AFTER[after]))


@pytest.mark.parametrize("before", [b"\n", b"\0\0", b"  \r\n"])
def test_space_before_der_does_not_matter(load, before):
    assert_is_the_key(load(before + PKCS8))


def test_every_structure_of_a_file_is_read(load):
    other = rsa.generate_private_key(65537, 1024).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    file = load(server_certificate_der() + ec_key(Encoding.DER) + other + b"\n" + PKCS1)
    assert file.rsa_bits == (1024, 2048)
    assert file.problem == KeyProblem("other-contents", "ec-private-key")


def test_bytes_after_der_in_pem_do_not_matter(load):
    assert_is_the_key(load(armoured("PRIVATE KEY", PKCS8 + b"\r\n")))
    assert_is_the_key(load(armoured("PRIVATE KEY", PKCS8 + server_certificate_der())))


def test_a_key_shorter_than_128_bytes_is_recognised(load):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    short = ec_key(Encoding.DER, key=Ed25519PrivateKey.generate())
    assert short[1] < 0x80
    for after in (b"", b"\r\n", bytes(5)):
        assert load(short + after).problem == KeyProblem("other-contents", "ed25519-private-key")


@given(st.lists(st.sampled_from([PKCS8, PFX, server_certificate_der()]), min_size=1, max_size=5), st.binary(max_size=9))
def test_structures_are_the_parts_whatever_space_is_between(parts, space):
    between = bytes(byte for byte in space if byte in b"\0\t\n\r \x1a")
    assert structures(between + between.join(parts) + between) == parts


@given(st.binary(max_size=400))
def test_structures_of_any_bytes_are_pieces_of_them(data):
    found = structures(b"\x30\x82" + data)
    assert sum(map(len, found)) <= len(data) + 2
    assert all(part in b"\x30\x82" + data for part in found)


# -- text --------------------------------------------------------------------------------------------------------------


PEM = server_key_pem().decode()
TRADITIONAL = private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PASSWORD).decode()
BASE64 = b64encode(PKCS8).decode()
CERTIFICATE_BASE64 = b64encode(server_certificate_pem()).decode()


def secret(value, key="tls.key"):
    """A secret as a cluster stores it."""
    return f"apiVersion: v1\ndata:\n  tls.crt: {CERTIFICATE_BASE64}\n  {key}: {value}\nkind: Secret\ntype: tls\n"


def wrapped(text, width=76):
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


TEXTS = {
    "PEM with other headers": PEM.replace("\n", "\nComment: a key\nX-Other: y\n\n", 1),
    "PEM without its END line, in YAML": f"key: |\n{indent(PEM, '  ').partition('-----END')[0]}\nother: value\nz: y\n",
    "encrypted PEM of old, in JSON": json.dumps({"key": TRADITIONAL}),
    "encrypted PEM of old, in one line": TRADITIONAL.replace("\n", " "),
    "encrypted PEM of old, in a mail": "".join(f"> {line}\n" for line in TRADITIONAL.splitlines()),
    "PEM in a YAML block": "key: |\n" + indent(PEM, "    ") + "other: value\n",
    "PEM in a folded YAML block": "key: >-\n" + indent(PEM.replace("\n", "\n\n"), "  ") + "other: value\n",
    "PEM in quotes": "key: '" + PEM.replace("\n", "\n\n  ") + "'\n",
    "PEM in double quotes, wrapped": 'key: "'
    + PEM.replace("\n", "\\n\\\n  ").replace("PRIVATE KEY", "PRIVATE\\\n  \\ KEY")
    + '"\n',
    "PEM in JSON in JSON": json.dumps({"inner": json.dumps({"key": PEM})}),
    "PEM in JSON with escaped slashes": json.dumps({"key": PEM}).replace("/", "\\/"),
    "base64 of PEM in YAML": secret(b64encode(PEM.encode()).decode()),
    "base64 of PEM with text before it": secret(b64encode(b"Bag Attributes\n  x: y\n" + PEM.encode()).decode()),
    "base64 of PEM in UTF-16": secret(b64encode(PEM.encode("utf-16")).decode()),
    "base64 of PEM in a YAML block": "key: |\n"
    + indent(wrapped(b64encode(PEM.encode()).decode()), "    ")
    + "\nz: 1\n",
    "base64 of PEM in quotes": secret('"' + b64encode(PEM.encode()).decode() + '"'),
    "base64 of base64 of PEM": secret(b64encode(b64encode(PEM.encode())).decode()),
    "base64 of DER in YAML": secret(BASE64, key="server.der"),
    "base64 of DER in a folded YAML block": "key: >\n" + indent(wrapped(BASE64), "  ") + "\nnext: 1\n",
    "base64 of DER, then a word": wrapped(BASE64) + "\nend\n",
    "base64 of a PFX in JSON": json.dumps({"value": b64encode(PFX).decode(), "contentType": "application/x-pkcs12"}),
    "base64 of a PFX in JSON with line breaks": json.dumps({"value": encodebytes(PFX).decode()}),
    "base64 of a PFX with escaped slashes": json.dumps({"value": b64encode(PFX).decode()}).replace("/", "\\/"),
    "base64 of a PFX in XML": f"<pfx>{encodebytes(PFX).decode()}</pfx>",
    "base64 of a PFX in XML with character references": "<pfx>"
    + encodebytes(PFX).decode().replace("\n", "&#xD;\n")
    + "</pfx>",
    "base64 of a PFX with words before": "The file that you asked for:\n\n" + encodebytes(PFX).decode(),
    "PFX under the label of a certificate": armoured("CERTIFICATE", PFX),
    "PFX under its label": armoured("PKCS12", PFX),
    "a certificate, and the key in base64": server_certificate_pem().decode() + "key: " + BASE64,
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", TEXTS)
def test_a_key_is_found_in_a_text(load, form, encoding):
    for newline in ("\n", "\r\n"):
        assert_is_the_key(load(TEXTS[form].replace("\n", newline).encode(encoding)))


def test_keys_side_by_side_in_a_text_are_all_found(load):
    other = rsa.generate_private_key(65537, 1024).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for text in (json.dumps({"a": b64encode(other).decode(), "b": BASE64}), f"{b64encode(other).decode()}\n{BASE64}\n"):
        assert load(text).rsa_bits == (1024, 2048)


def test_a_text_in_two_encodings_is_read(load):
    """PowerShell appends UTF-16 to a file that is not; other programs append to a file of PowerShell."""
    for before, after in (("utf-8", "utf-16-le"), ("utf-16", "utf-8")):
        assert_is_the_key(load("first line\n".encode(before) + PEM.encode(after)))
    assert load("# a log\n".encode("utf-16") + KEY_LOG).secrets == 1


def test_base64_of_something_else_is_not_a_key(load):
    for inside in (b"hello, world " * 20, bytes(range(256)), b"\x30\x82\xff\xff" + bytes(range(256))):
        assert load("value: " + b64encode(inside).decode()).problem == KeyProblem("unrecognised")


def test_base64_is_undone_only_so_often(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BASE64_DEPTH", 2)
    once = b64encode(PEM.encode())
    assert_is_the_key(load(b64encode(once)))
    assert load(b64encode(b64encode(once))).problem == KeyProblem("unrecognised")


def test_keys_in_a_text_are_limited(load, monkeypatch):
    monkeypatch.setattr(limits, "MAX_KEY_BLOCKS", 3)
    assert len(load(f"key: {BASE64}\n" * 5).rsa_bits) == 3


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=300), st.integers(1, 80), st.sampled_from(["\n", "\r\n", "\\n", "\n  ", "\n> "]))
def test_base64_is_decoded_however_it_is_wrapped(data, width, separator):
    text = b64encode(data).decode()
    assert decoded_base64(separator.join(text[at : at + width] for at in range(0, len(text), width))) == data


@pytest.mark.parametrize(
    "data",
    [
        b"A" * 16 + b" " * 4_000_000 + b"!",
        (b"A" * 15 + b" ") * 250_000,
        (b"A" * 64 + b"!") * 60_000,
        (b"MIIA" * 16 + b"!") * 60_000,
        b"A" * 8_000_000,
        b"-----BEGIN" * 400_000,
        b"\x30\x80" * 1_000_000,
        b"\x30\x03\x02\x01\x00" * 400_000,
        b"\0" * 8_000_000,
    ],
)
def test_a_large_file_without_a_key_is_refused_in_no_time(load, data):
    from time import process_time

    began = process_time()
    assert load(data).kind == "unusable"
    assert process_time() - began < 10


def test_no_repr_shows_a_key():
    from easpcap.keyfiles.blocks import key_blocks

    assert BASE64[40:60] not in repr(key_blocks(PEM.encode()))
    assert str(PKCS8[40:60]) not in repr(key_blocks(PKCS8))
