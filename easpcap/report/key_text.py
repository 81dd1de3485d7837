"""Words what a key file holds and why it cannot be used: one line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import easpcap.limits as limits

if TYPE_CHECKING:
    from easpcap.key_problems import Contents, FolderContents, KeyProblem, KeyProblemCode, LineProblem, UnusableLines
    from easpcap.results import KeyFile

_WANTED: Final = "give the server's private key (PEM, DER or PKCS #12)"
_SIGNS_ONLY: Final = "which can only sign, not decrypt: give a key log from the client instead (--key-log)"

#: What a file holds, and what to do instead.
CONTENTS: Final[dict[Contents, str]] = {
    "private-key": "a private key",
    "pkcs12": "a PKCS #12 file",
    "certificate": f"a certificate without its private key: {_WANTED}",
    "certificate-request": f"a certificate request: {_WANTED}",
    "revocation-list": f"a list of revoked certificates: {_WANTED}",
    "certificate-chain": f"a certificate chain (PKCS #7) without a private key: {_WANTED}",
    "public-key": f"a public key: {_WANTED}",
    "ec-parameters": f"parameters of an EC key: {_WANTED}",
    "dh-parameters": f"Diffie-Hellman parameters: {_WANTED}",
    "ec-private-key": f"an EC private key, {_SIGNS_ONLY}",
    "ed25519-private-key": f"an Ed25519 private key, {_SIGNS_ONLY}",
    "ed448-private-key": f"an Ed448 private key, {_SIGNS_ONLY}",
    "x25519-private-key": f"an X25519 private key, not a TLS server's: {_WANTED}",
    "x448-private-key": f"an X448 private key, not a TLS server's: {_WANTED}",
    "dsa-private-key": f"a DSA private key, {_SIGNS_ONLY}",
    "dh-private-key": f"a Diffie-Hellman private key, not a TLS server's: {_WANTED}",
    "other-private-key": f"a private key that is not an RSA key, {_SIGNS_ONLY}",
    "openssh-private-key": f"an OpenSSH private key, not a TLS server's: {_WANTED}",
    "ssh-public-key": f"an SSH public key: {_WANTED}",
    "putty-key": f"a PuTTY key, not a TLS server's: {_WANTED}",
    "pgp-key": f"a PGP key: {_WANTED}",
    "other-pem": f"a PEM file, but not of a private key: {_WANTED}",
    "capture": "a packet capture: give it without --key or --key-log",
    "gzip": "compressed with gzip: unpack it first (give a compressed capture without --key)",
    "zip": "a ZIP archive: unpack it first",
    "java-keystore": "a Java keystore: convert it with keytool -importkeystore -deststoretype PKCS12",
    "pvk-key": "a Microsoft PVK key: convert it with openssl rsa -inform PVK -in OLD -out NEW",
    "key-blob": "a Microsoft key blob: convert it with openssl rsa -inform MSBLOB -in OLD -out NEW",
    "xml-key": f"an RSA key in XML: {_WANTED}",
}

#: What is wrong, and what to do; the braces are filled with the parameters of the problem.
PROBLEMS: Final[dict[KeyProblemCode, str]] = {
    "no-such-file": "no such file",
    "permission-denied": "cannot be read (permission denied)",
    "not-a-file-name": "cannot be read (not a file name)",
    "unreadable": "cannot be read ({system_error})",
    "file-too-large": "too large for a key or key log (more than {megabytes} MiB)",
    "too-many-files": "a folder of more than {limit:,} files: put the keys into a folder that holds nothing else",
    "no-usable-file": f"a folder without a usable key or key log ({{folder}}): {_WANTED}",
    "empty": "empty",
    "empty-key-log": "empty: nothing was logged; check that SSLKEYLOGFILE is set where the client runs",
    "unrecognised": f"neither a key nor a key log: {_WANTED}",
    "other-contents": "{contents}",
    "no-secrets": "a key log without secrets: check that the client wrote to it, and copy it after the capture",
    "unusable-lines": "{lines}",
    "end-missing": "a private key whose END line is missing: the file was cut off",
    "damaged": "a private key that is damaged or of an unknown kind",
    "key-too-long": "an RSA key of more than {limit:,} bits, which no TLS server uses: check that it is the right file",
    "password-missing": "{contents}, encrypted: give its password in EASPCAP_PASSWORD or with --password-file",
    "password-wrong": "{contents}, encrypted, and the password given (EASPCAP_PASSWORD, --password-file) does not open "
    "it",
    "cipher-unsupported": "{contents}, encrypted with a method that easpcap cannot decrypt: "
    "convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW",
    "password-too-slow": "{contents}, whose encryption demands more work than easpcap does for a password "
    "({rounds:,} rounds, or {scrypt} MiB with scrypt): "
    "if you trust it, convert it with openssl pkey -aes-256-cbc -in OLD -out NEW",
    "no-private-key": "a PKCS #12 file without a private key: export it again together with the key",
}

LINE_PROBLEMS: Final[dict[LineProblem, str]] = {
    "unknown-label": "it has no key log label",
    "not-two-fields": "{label} needs two hexadecimal fields",
    "not-hexadecimal": "a field of {label} is not hexadecimal (the line may be cut off)",
    "wrong-length": "a field of {label} has the wrong length (the line may be cut off)",
}


def key_contents(key: KeyFile) -> str:
    """What a usable file holds: ``RSA 2048``, ``17 secrets``, ``2 of 3 files usable``; empty for an unusable one."""
    if key.folder is not None:
        return _folder(key.folder)
    if key.kind == "key-log":
        return _count(key.secrets, "secret")
    if key.kind == "embedded-key-log":
        return f"{_count(key.secrets, 'secret')} inside the capture"
    return ", ".join(f"RSA {bits}" for bits in key.rsa_bits)


def key_problem(key: KeyFile) -> str | None:
    """Why a file, or a part of it, cannot be used, and what to do; None where nothing is wrong."""
    if key.problem is None:
        return None
    text = _problem(key.problem)
    if key.kind == "unusable" and key.problem.code == "unusable-lines":
        return f"no key log: none of its lines is a secret; {text}"
    if key.kind == "rsa-private-key":
        return f"one of its keys cannot be used: {text}"
    return text


def _problem(problem: KeyProblem) -> str:
    return PROBLEMS[problem.code].format(
        contents=CONTENTS[problem.contents] if problem.contents else "",
        limit=problem.limit or 0,
        megabytes=(problem.limit or 0) // 2**20,
        folder=_folder(problem.folder) if problem.folder else "",
        lines=_lines(problem.lines) if problem.lines else "",
        system_error=problem.system_error,
        rounds=limits.MAX_KEY_ROUNDS,
        scrypt=limits.MAX_KEY_SCRYPT_BYTES // 2**20,
    )


def _folder(folder: FolderContents) -> str:
    locked = f", {folder.locked:,} encrypted and not opened" if folder.locked else ""
    return f"{folder.usable:,} of {_count(folder.files, 'file')} usable{locked}"


def _lines(lines: UnusableLines) -> str:
    more = " or more" if lines.total >= limits.MAX_KEY_LOG_COMPLAINTS else ""
    why = LINE_PROBLEMS[lines.problem].format(label=lines.label)
    return f"{lines.total}{more} line{'s' if lines.total != 1 else ''} cannot be used; line {lines.number}: {why}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
