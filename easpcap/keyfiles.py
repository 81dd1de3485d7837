"""Key files and key logs from disk into a KeyRing. A file that cannot be used is named as what it is, and why.

What a file is, is read from its contents, never from its name: PEM (in any text encoding, with anything around it),
DER, PKCS #12, key logs, and the things people give by mistake.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import easpcap.limits as limits
from easpcap.errors import KeyFileError
from easpcap.results import KeyFile
from easpcap.tls.certificate import certificate_public_key
from easpcap.tls.key_log import decode_text, looks_like_key_log
from easpcap.tls.keys import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Loader = Callable[..., object]

_WANTED: Final = "give the server's private key (PEM, DER or PKCS #12)"
_MISSING: Final = "encrypted: give its password in EASPCAP_PASSWORD or with --password-file"
_WRONG: Final = "encrypted, and the password given (EASPCAP_PASSWORD, --password-file) does not open it"
_NO_RSA: Final = "which only signs and decrypts nothing: take a key log of the client instead (--key-log)"

#: What PEM labels without a usable key mean.
_PEM_LABELS: Final = {
    "CERTIFICATE": f"a certificate without its private key: {_WANTED}",
    "X509 CERTIFICATE": f"a certificate without its private key: {_WANTED}",
    "TRUSTED CERTIFICATE": f"a certificate without its private key: {_WANTED}",
    "CERTIFICATE REQUEST": f"a certificate request: {_WANTED}",
    "NEW CERTIFICATE REQUEST": f"a certificate request: {_WANTED}",
    "PKCS7": f"a certificate chain (PKCS #7) without a private key: {_WANTED}",
    "PUBLIC KEY": f"a public key: {_WANTED}",
    "RSA PUBLIC KEY": f"a public key: {_WANTED}",
    "EC PARAMETERS": "parameters of an EC key",
    "EC PRIVATE KEY": f"an EC private key, {_NO_RSA}",
    "DSA PRIVATE KEY": f"a DSA private key, {_NO_RSA}",
    "OPENSSH PRIVATE KEY": f"an OpenSSH private key, not a TLS server's: {_WANTED}",
    "SSH2 PUBLIC KEY": f"an SSH public key: {_WANTED}",
    "PGP PRIVATE KEY BLOCK": f"a PGP key: {_WANTED}",
    "PGP PUBLIC KEY BLOCK": f"a PGP key: {_WANTED}",
}
_PEM_PRIVATE: Final = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"})

_PEM_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")

_CAPTURE: Final = "a packet capture: give it without --key and --key-log"
_JAVA: Final = "a Java keystore: convert it with keytool -importkeystore -deststoretype PKCS12"
_PUTTY: Final = f"a PuTTY key, not a TLS server's: {_WANTED}"
_SSH_PUBLIC: Final = f"an SSH public key: {_WANTED}"

#: First bytes of things that are no keys.
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
    b"PuTTY-User-Key-File": _PUTTY,
    b"ssh-": _SSH_PUBLIC,
    b"ecdsa-sha2-": _SSH_PUBLIC,
}

# What follows the outer SEQUENCE of a DER file.
_DER_PKCS12: Final = b"\x02\x01\x03"  # PFX version 3 (RFC 7292 section 4)
_DER_SEC1: Final = b"\x02\x01\x01\x04"  # ECPrivateKey (RFC 5915 section 3)
_DER_PRIVATE: Final = (b"\x02\x01\x00", b"\x02\x01\x01\x30")  # PKCS #1 and PKCS #8
_DER_PKCS7: Final = bytes.fromhex("06092a864886f70d010702")  # OID of signedData


def load_keys(
    paths: Sequence[str | Path], *, key_logs: Sequence[str | Path] = (), password: bytes | None = None
) -> tuple[KeyRing, list[KeyFile]]:
    """Read private keys and key logs; each file is recognised by its contents, wherever it is named.

    Returns the ring and one KeyFile for each path, keys before key logs; a KeyFile's place in the list is the source
    number of its secrets. A file that cannot be used has ``error`` and the kind "unusable"; nothing is raised.
    """
    ring = KeyRing()
    files: list[KeyFile] = []
    for path, expect_log in [*((path, False) for path in paths), *((path, True) for path in key_logs)]:
        try:
            file = _load(ring, Path(path), len(files), password, expect_log=expect_log)
        except KeyFileError as error:
            file = KeyFile("", "unusable", None, "", error=str(error))
        file.path = str(path)
        files.append(file)
    return ring, files


def _load(ring: KeyRing, path: Path, source: int, password: bytes | None, *, expect_log: bool) -> KeyFile:
    data = _read(path, expect_log=expect_log)
    if not data.strip():
        raise KeyFileError("empty" + (": nothing was logged; is SSLKEYLOGFILE set where the client runs?" * expect_log))
    magic = next((what for magic, what in _MAGICS.items() if data.startswith(magic)), None)
    if magic is not None:
        raise KeyFileError(magic)
    text = decode_text(data)
    if _PEM_BEGIN.search(text):
        return _load_private_keys(ring, source, _pem_blocks(text), password)
    if data[:1] == b"\x30" and (data[1] >= 0x80 or data[1] + 2 == len(data)):  # a DER SEQUENCE, no digit 0
        return _load_private_keys(ring, source, [("", data)], password)
    if expect_log or looks_like_key_log(data):
        return _load_key_log(ring, source, data)
    msg = f"neither a key nor a key log: {_WANTED}"
    raise KeyFileError(msg)


def _read(path: Path, *, expect_log: bool) -> bytes:
    """The contents of a key file or, by its first bytes or by the option it was given with, of a key log."""
    try:
        if path.is_dir():
            raise KeyFileError("a directory: name the key file in it")
        with path.open("rb") as file:
            data = file.read(limits.MAX_KEY_FILE + 1)
            limit = limits.MAX_KEY_FILE
            if len(data) > limit and (expect_log or looks_like_key_log(data)):
                limit = limits.MAX_KEY_LOG
                data += file.read(limit + 1 - len(data))
    except FileNotFoundError:
        raise KeyFileError("no such file") from None
    except PermissionError:
        raise KeyFileError("may not be read (permission denied)") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        msg = f"cannot be read ({getattr(error, 'strerror', None) or 'not a file name'})"
        raise KeyFileError(msg) from None
    if len(data) > limit:
        msg = f"too large for a key or key log (more than {limit // 2**20} MiB)"
        raise KeyFileError(msg)
    return data


def _load_key_log(ring: KeyRing, source: int, data: bytes) -> KeyFile:
    usable, bad = ring.add_key_log(data, source)
    detail = f"{usable:,} secret{'s' * (usable != 1)}"
    if usable:
        return KeyFile("", "key-log", None, detail, error=_complaint(bad) if bad else None)
    if bad:
        msg = f"no key log: none of its lines is a secret; {_complaint(bad)}"
        raise KeyFileError(msg)
    raise KeyFileError("a key log without secrets: did the client write to it, and was it copied after the capture?")


def _complaint(bad: list[tuple[int, str]]) -> str:
    """The lines of a key log that cannot be used, by the first of them."""
    number, reason = bad[0]
    count = f"{len(bad)}{' or more' * (len(bad) >= limits.MAX_KEY_LOG_COMPLAINTS)}"
    return f"{count} line{'s' * (len(bad) != 1)} cannot be used; line {number}: {reason}"


def _load_private_keys(ring: KeyRing, source: int, blocks: list[tuple[str, bytes]], password: bytes | None) -> KeyFile:
    """Add every RSA key of a file's (PEM label, bytes) blocks; "" labels DER. What is no such key is only named."""
    keys: list[RSAPrivateKey] = []
    unusable_keys: list[str] = []
    others: list[str] = []
    for label, data in blocks:
        try:
            keys.append(_rsa_key(label, data, password))
        except KeyFileError as error:
            (unusable_keys if not label or label.endswith("PRIVATE KEY") else others).append(str(error))
    if not keys:
        raise KeyFileError((unusable_keys + others)[0])  # beside a key's fault, a certificate is no news
    fingerprints = [ring.add_private_key(key, source) for key in keys]
    detail = ", ".join(f"RSA {key.key_size}" for key in keys)
    complaint = f"one of its keys cannot be used: {unusable_keys[0]}" if unusable_keys else None
    return KeyFile("", "rsa-private-key", fingerprints[0], detail, error=complaint)


def _pem_blocks(text: str) -> list[tuple[str, bytes]]:
    """The PEM blocks of a text: (label, the block with its lines stripped of indentation)."""
    blocks = []
    for begin in _PEM_BEGIN.finditer(text):
        label = begin[1]
        end_line = f"-----END {label}-----"
        end = text.find(end_line, begin.end())
        if end < 0 or "-----BEGIN" in text[begin.end() : end]:
            blocks.append((label, b""))
            continue
        lines = text[begin.start() : end + len(end_line)].splitlines()
        blocks.append((label, "\n".join(line.strip() for line in lines).encode() + b"\n"))
    return blocks


def _rsa_key(label: str, data: bytes, password: bytes | None) -> RSAPrivateKey:
    """The RSA private key in a PEM block or a DER file; KeyFileError says what it is instead."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key: object
    if label in _PEM_LABELS:
        raise KeyFileError(_PEM_LABELS[label])
    if not label:
        key = _der_key(data, password)
    elif label not in _PEM_PRIVATE:
        msg = f"a PEM file, but not of a private key: {_WANTED}"
        raise KeyFileError(msg)
    elif not data:
        raise KeyFileError("a private key whose END line is missing: the file was cut")
    else:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = _decrypted(load_pem_private_key, data, password)
    if not isinstance(key, RSAPrivateKey):
        msg = f"{_key_type(key)}, {_NO_RSA}"
        raise KeyFileError(msg)
    return key


def _der_key(data: bytes, password: bytes | None) -> object:
    inner = _inside_sequence(data)
    if inner.startswith(_DER_PKCS12):
        return _pkcs12_key(data, password)
    if inner.startswith(_DER_SEC1):
        raise KeyFileError(_PEM_LABELS["EC PRIVATE KEY"])
    if not inner.startswith(_DER_PRIVATE):
        what = _der_without_key(data, inner)
        if what is not None:
            raise KeyFileError(what)
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return _decrypted(load_der_private_key, data, password)


def _inside_sequence(data: bytes) -> bytes:
    """The first bytes behind the header of a DER SEQUENCE."""
    size = data[1] if len(data) > 1 else 0
    return data[2 + (size & 0x7F if size & 0x80 else 0) :][:16]


def _der_without_key(data: bytes, inner: bytes) -> str | None:
    """What a DER file without a private key is; None where it may be an encrypted one."""
    if certificate_public_key(data) is not None:
        return _PEM_LABELS["CERTIFICATE"]
    if inner.startswith(_DER_PKCS7):
        return _PEM_LABELS["PKCS7"]
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from cryptography.x509 import load_der_x509_csr

    loaders: tuple[tuple[Callable[[bytes], object], str], ...] = (
        (load_der_x509_csr, "CERTIFICATE REQUEST"),
        (load_der_public_key, "PUBLIC KEY"),
    )
    for loader, label in loaders:
        try:
            loader(data)
        except Exception:  # noqa: BLE001, S112 (whatever the library finds wrong: it is not that)
            continue
        return _PEM_LABELS[label]
    return None


def _decrypted(loader: Loader, data: bytes, password: bytes | None) -> object:
    """A private key, by its password only where it has one.

    The library's test of the primes is left out: it takes longer than all the rest of a small capture, and whether a
    key fits is proven by the certificate, a Finished or a MAC.
    """
    encrypted = False
    try:
        try:
            return loader(data, None, unsafe_skip_rsa_key_validation=True)
        except TypeError:  # the library's word for: a password is needed
            encrypted = True
            if not password:
                msg = f"a private key, {_MISSING}"
                raise KeyFileError(msg) from None
            return loader(data, password, unsafe_skip_rsa_key_validation=True)
    except KeyFileError:
        raise
    except Exception:  # noqa: BLE001 (ValueError, UnsupportedAlgorithm and others; their texts help nobody here)
        if encrypted:
            msg = f"a private key, {_WRONG}"
            raise KeyFileError(msg) from None
        raise KeyFileError("a private key that is damaged or of an unknown kind") from None


def _pkcs12_key(data: bytes, password: bytes | None) -> object:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    # no password and an empty one are different things in PKCS #12, and files of both kinds exist
    for attempt in dict.fromkeys((password or None, None, b"")):
        try:
            key, _, _ = load_key_and_certificates(data, attempt)
        except Exception:  # noqa: BLE001, S112 (a wrong password and a damaged file look the same here)
            continue
        if key is None:
            raise KeyFileError("a PKCS #12 file without a private key: export it again together with the key")
        return key
    what = f"{_WRONG}, or it is damaged" if password else _MISSING
    msg = f"a PKCS #12 file, {what}"
    raise KeyFileError(msg)


def _key_type(key: object) -> str:
    name = type(key).__name__
    for prefix in ("EllipticCurve", "EC", "Ed25519", "Ed448", "DSA", "X25519", "X448", "DH"):
        if name.startswith(prefix):
            kind = "EC" if prefix == "EllipticCurve" else prefix
            return f"a{'n' * (kind[0] in 'EX')} {kind} private key"
    return "a private key of another kind than RSA"
