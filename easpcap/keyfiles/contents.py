"""Recognises what a file holds that is no RSA private key: by its PEM label, or by its first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from easpcap.key_problems import Contents, KeyProblem


class UnusableKeyError(Exception):
    """A key file, or one key in it, that cannot be used; caught by ``load_keys``, which never raises."""

    def __init__(self, problem: KeyProblem) -> None:
        super().__init__(problem)
        self.problem = problem


#: PEM labels of blocks that hold no RSA private key.
PEM_LABELS: Final[dict[str, Contents]] = {
    "CERTIFICATE": "certificate",
    "X509 CERTIFICATE": "certificate",
    "TRUSTED CERTIFICATE": "certificate",
    "CERTIFICATE REQUEST": "certificate-request",
    "NEW CERTIFICATE REQUEST": "certificate-request",
    "X509 CRL": "revocation-list",
    "PKCS7": "certificate-chain",
    "CMS": "certificate-chain",
    "PUBLIC KEY": "public-key",
    "RSA PUBLIC KEY": "public-key",
    "EC PARAMETERS": "ec-parameters",
    "DH PARAMETERS": "dh-parameters",
    "EC PRIVATE KEY": "ec-private-key",
    "DSA PRIVATE KEY": "dsa-private-key",
    "OPENSSH PRIVATE KEY": "openssh-private-key",
    "SSH2 PUBLIC KEY": "ssh-public-key",
    "PGP PRIVATE KEY BLOCK": "pgp-key",
    "PGP PUBLIC KEY BLOCK": "pgp-key",
}

#: First bytes of files that are no keys, or keys in a form that easpcap does not read.
_FIRST_BYTES: Final[dict[bytes, Contents]] = {
    b"\xd4\xc3\xb2\xa1": "capture",
    b"\xa1\xb2\xc3\xd4": "capture",
    b"\x4d\x3c\xb2\xa1": "capture",
    b"\xa1\xb2\x3c\x4d": "capture",
    b"\x0a\x0d\x0d\x0a": "capture",
    b"GMBU": "capture",
    b"RTSS": "capture",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\xfe\xed\xfe\xed": "java-keystore",
    b"\xce\xce\xce\xce": "java-keystore",
    b"\x1e\xf1\xb5\xb0": "pvk-key",
    b"\x07\x02\x00\x00": "key-blob",
    b"PuTTY-User-Key-File": "putty-key",
    b"ssh-": "ssh-public-key",
    b"ecdsa-sha2-": "ssh-public-key",
    b"<RSAKeyValue": "xml-key",
}


def recognised_by_first_bytes(data: bytes) -> Contents | None:
    """What a file holds, where its first bytes say so."""
    return next((contents for magic, contents in _FIRST_BYTES.items() if data.startswith(magic)), None)
