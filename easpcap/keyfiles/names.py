"""What files that are no private keys of a TLS server are called, and what to do instead."""

from __future__ import annotations

from typing import Final

WANTED: Final = "give the server's private key (PEM, DER or PKCS #12)"
MISSING: Final = "encrypted: give its password in EASPCAP_PASSWORD or with --password-file"
WRONG: Final = "encrypted, and the password given (EASPCAP_PASSWORD, --password-file) does not open it"
STRANGE: Final = (
    "encrypted in a way that cannot be undone here: "
    "convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW"
)
NO_RSA: Final = "which only signs and decrypts nothing: take a key log of the client instead (--key-log)"

_CERTIFICATE: Final = f"a certificate without its private key: {WANTED}"

#: What PEM labels without a usable key mean.
PEM_LABELS: Final = {
    "CERTIFICATE": _CERTIFICATE,
    "X509 CERTIFICATE": _CERTIFICATE,
    "TRUSTED CERTIFICATE": _CERTIFICATE,
    "CERTIFICATE REQUEST": f"a certificate request: {WANTED}",
    "NEW CERTIFICATE REQUEST": f"a certificate request: {WANTED}",
    "X509 CRL": f"a list of revoked certificates: {WANTED}",
    "PKCS7": f"a certificate chain (PKCS #7) without a private key: {WANTED}",
    "CMS": f"a certificate chain (PKCS #7) without a private key: {WANTED}",
    "PUBLIC KEY": f"a public key: {WANTED}",
    "RSA PUBLIC KEY": f"a public key: {WANTED}",
    "EC PARAMETERS": "parameters of an EC key",
    "DH PARAMETERS": f"Diffie-Hellman parameters: {WANTED}",
    "EC PRIVATE KEY": f"an EC private key, {NO_RSA}",
    "DSA PRIVATE KEY": f"a DSA private key, {NO_RSA}",
    "OPENSSH PRIVATE KEY": f"an OpenSSH private key, not a TLS server's: {WANTED}",
    "SSH2 PUBLIC KEY": f"an SSH public key: {WANTED}",
    "PGP PRIVATE KEY BLOCK": f"a PGP key: {WANTED}",
    "PGP PUBLIC KEY BLOCK": f"a PGP key: {WANTED}",
}

_CAPTURE: Final = "a packet capture: give it without --key and --key-log"
_JAVA: Final = "a Java keystore: convert it with keytool -importkeystore -deststoretype PKCS12"
_PUTTY: Final = f"a PuTTY key, not a TLS server's: {WANTED}"
_SSH_PUBLIC: Final = f"an SSH public key: {WANTED}"

#: First bytes of things that are no keys, or keys in a form of their own.
_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": _CAPTURE,
    b"\xa1\xb2\xc3\xd4": _CAPTURE,
    b"\x4d\x3c\xb2\xa1": _CAPTURE,
    b"\xa1\xb2\x3c\x4d": _CAPTURE,
    b"\x0a\x0d\x0d\x0a": _CAPTURE,
    b"GMBU": _CAPTURE,
    b"RTSS": _CAPTURE,
    b"\x1f\x8b": "compressed with gzip: unpack it first (a capture is given without --key)",
    b"PK\x03\x04": "a ZIP archive: unpack it first",
    b"\xfe\xed\xfe\xed": _JAVA,
    b"\xce\xce\xce\xce": _JAVA,
    b"\x1e\xf1\xb5\xb0": "a Microsoft PVK key: convert it with openssl rsa -inform PVK -in OLD -out NEW",
    b"\x07\x02\x00\x00": "a Microsoft key blob: convert it with openssl rsa -inform MSBLOB -in OLD -out NEW",
    b"PuTTY-User-Key-File": _PUTTY,
    b"ssh-": _SSH_PUBLIC,
    b"ecdsa-sha2-": _SSH_PUBLIC,
    b"<RSAKeyValue": f"an RSA key in XML: {WANTED}",
}


def named_by_magic(data: bytes) -> str | None:
    """What a file is that tells so by its first bytes; None where they say nothing."""
    return next((what for magic, what in _MAGICS.items() if data.startswith(magic)), None)
