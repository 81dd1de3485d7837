"""Finds PEM blocks (RFC 7468) in a text, whatever surrounds them and whatever happened to their lines."""

from __future__ import annotations

import re
from base64 import b64decode
from itertools import dropwhile, islice, zip_longest
from typing import Final, NamedTuple

import easpcap.limits as limits

_BEGIN: Final = re.compile(r"-----BEGIN\b([^-]{0,80})-----")
_END: Final = re.compile(r"-----END\b[^-]{0,80}-----")
_WORDS: Final = re.compile(r"[A-Za-z0-9#./]+")
_DEK_INFO: Final = re.compile(r"DEK-Info:\s*+([A-Za-z0-9-]++,[0-9A-Fa-f]++)")
_ESCAPES: Final = re.compile(r"\\+u00[0-9a-fA-F]{2}|\\+[nrt]|&#[xX]?[0-9a-fA-F]{1,4};")
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=]+")


class Block(NamedTuple):
    """One key or certificate as found in a file.

    ``label``: of PEM; "" for DER. ``data``: DER, or with ``dek_info`` (RFC 1421 section 4.6.1.3) encrypted DER.
    ``ended``: whether PEM's END line was there.
    """

    label: str
    data: bytes
    dek_info: str = ""
    ended: bool = True

    def __repr__(self) -> str:
        return f"Block({self.label!r}, {len(self.data)} bytes)"


def holds_pem(text: str) -> bool:
    """Whether a PEM block begins anywhere in the text."""
    return _BEGIN.search(text) is not None


def pem_blocks(text: str) -> tuple[list[Block], list[str]]:
    """The PEM blocks of a text, at most limits.MAX_KEY_BLOCKS, and the pieces of text between them.

    Quoting, indentation, blank lines, line breaks that a program wrote as backslash and n, and labels that it wrapped
    make no difference. Neither does the label of the END line.
    """
    begins = list(islice(_BEGIN.finditer(text), limits.MAX_KEY_BLOCKS))
    blocks, between, at = [], [], 0
    for begin, stop in zip_longest(begins, [following.start() for following in begins[1:]]):
        end = _END.search(text, begin.end(), len(text) if stop is None else stop)
        inside = text[begin.end() : end.start() if end else stop]
        blocks.append(_block(" ".join(_WORDS.findall(begin[1])), inside, ended=end is not None))
        between.append(text[at : begin.start()])
        at = end.end() if end else begin.end() + len(inside)
    return blocks, [*between, text[at:]]


def _block(label: str, inside: str, *, ended: bool) -> Block:
    dek_info = _DEK_INFO.search(inside)
    if dek_info is not None:
        return Block(label, decoded_base64(inside[dek_info.end() :]), dek_info[1], ended)
    body = dropwhile(_is_header, inside.lstrip().splitlines())  # RFC 1421 section 4.6
    return Block(label, decoded_base64("\n".join(body)), "", ended)


def _is_header(line: str) -> bool:
    return ": " in line


def decoded_base64(text: str) -> bytes:
    """The bytes whose base64 a text is, up to its padding; everything that is not base64 in it is left out."""
    digits = _NOT_BASE64.sub("", _ESCAPES.sub("", text)).partition("=")[0]
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return b64decode(digits + "=" * (-len(digits) % 4))
