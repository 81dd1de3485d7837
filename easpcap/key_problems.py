"""Why a key file, or a part of it, cannot be used: values that the reports word (report/key_text.py)."""

from __future__ import annotations

from typing import Literal, NamedTuple

KeyProblemCode = Literal[
    "no-such-file",
    "permission-denied",
    "not-a-file-name",
    "unreadable",  # system_error
    "file-too-large",  # limit: bytes
    "too-many-files",  # limit: files in a folder
    "no-usable-file",  # folder
    "empty",
    "empty-key-log",
    "unrecognised",
    "other-contents",  # contents
    "no-secrets",  # a key log with comments only
    "unusable-lines",  # lines, of a key log
    "end-missing",  # a PEM block without its END line
    "damaged",
    "key-too-long",  # limit: bits
    "password-missing",  # contents
    "password-wrong",  # contents
    "cipher-unsupported",  # contents
    "password-too-slow",  # contents
    "no-private-key",  # a PKCS #12 file of certificates
]

#: What a file, or a block in it, holds instead of an RSA private key; and the two forms of one that can be encrypted.
Contents = Literal[
    "private-key",
    "pkcs12",
    "certificate",
    "certificate-request",
    "revocation-list",
    "certificate-chain",
    "public-key",
    "ec-parameters",
    "dh-parameters",
    "ec-private-key",
    "ed25519-private-key",
    "ed448-private-key",
    "x25519-private-key",
    "x448-private-key",
    "dsa-private-key",
    "dh-private-key",
    "other-private-key",
    "openssh-private-key",
    "ssh-public-key",
    "putty-key",
    "pgp-key",
    "other-pem",
    "capture",
    "gzip",
    "zip",
    "java-keystore",
    "pvk-key",
    "key-blob",
    "xml-key",
]


#: Why a line of a key log is no secret.
LineProblem = Literal["unknown-label", "not-two-fields", "not-hexadecimal", "wrong-length"]


class UnusableLines(NamedTuple):
    """Lines of a key log that cannot be used, and the first of them."""

    total: int  # limits.MAX_KEY_LOG_COMPLAINTS: that many or more
    number: int  # of the first of them, from 1
    problem: LineProblem
    label: str | None  # with which the line begins; None: with no label of a key log


class FolderContents(NamedTuple):
    """How many files a folder of keys holds, those in folders below it left out."""

    files: int
    usable: int
    locked: int  # encrypted and not opened


class KeyProblem(NamedTuple):
    """One problem. The comment beside each code names its parameter."""

    code: KeyProblemCode
    contents: Contents | None = None
    limit: int | None = None
    lines: UnusableLines | None = None
    folder: FolderContents | None = None
    system_error: str | None = None
