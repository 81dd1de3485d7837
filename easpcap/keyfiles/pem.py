"""Finds the keys and certificates in a text, whatever surrounds them and whatever happened to their lines."""

from __future__ import annotations

import re
from base64 import b64decode
from itertools import islice, zip_longest
from typing import Final

import easpcap.limits as limits
from easpcap.tls.secrets.certificate import certificate_fingerprint

_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_ESCAPES: Final = re.compile(r"\\[nrt]|&#[xX]?[0-9a-fA-F]{1,4};")
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=]+")
_BARE: Final = re.compile(r"MI[A-Za-z0-9+/\s]+={0,2}")  # a DER SEQUENCE of 128 bytes or more begins so
_LINE: Final = 64  # RFC 7468 section 2


def holds_pem(text: str) -> bool:
    """Whether a PEM block begins anywhere in the text."""
    return _BEGIN.search(text) is not None


def pem_blocks(text: str) -> list[tuple[str, bytes]]:
    """The PEM blocks (RFC 7468) of a text with their labels; empty bytes where the END line is missing.

    Quoting, indentation, blank lines, and line breaks that a program wrote as backslash and n are removed.
    """
    begins = list(islice(_BEGIN.finditer(text), limits.MAX_KEY_BLOCKS))
    blocks = []
    for begin, stop in zip_longest(begins, [following.start() for following in begins[1:]]):
        end = text.find(f"-----END {begin[1]}-----", begin.end(), stop)
        blocks.append((begin[1], b"" if end < 0 else _mended(begin[1], text[begin.end() : end])))
    return blocks


def bare_base64(text: str) -> bytes | None:
    """The DER file that a text is, where it is nothing but its base64."""
    if _BARE.fullmatch(text.strip()) is None:
        return None
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        return None


def certificate_of(blocks: list[tuple[str, bytes]]) -> str | None:
    """The fingerprint of the first certificate's key among PEM blocks and DER files (label ""); None without one."""
    for label, data in blocks:
        der = data if not label else der_of(data)
        fingerprint = certificate_fingerprint(der) if label.endswith("CERTIFICATE") or not label else None
        if fingerprint is not None:
            return fingerprint
    return None


def der_of(block: bytes) -> bytes:
    """The DER inside a PEM block as ``pem_blocks`` returns it."""
    try:
        return b64decode(b"".join(block.splitlines()[1:-1]))
    except ValueError:
        return b""


def _mended(label: str, inside: str) -> bytes:
    headers = [line.strip() for line in inside.splitlines() if ": " in line]  # RFC 1421 section 4.6, of OpenSSL
    body = inside
    if headers:
        body = body[body.rfind(headers[-1]) + len(headers[-1]) :]
    data = _NOT_BASE64.sub("", _ESCAPES.sub("", body))
    lines = [data[at : at + _LINE] for at in range(0, len(data), _LINE)]
    head = [*headers, ""] if headers else []
    return "\n".join([f"-----BEGIN {label}-----", *head, *lines, f"-----END {label}-----", ""]).encode()
