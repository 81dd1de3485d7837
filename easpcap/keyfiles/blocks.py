"""Finds the keys and certificates in a file by its contents: DER, PEM, and base64 of these anywhere in a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import easpcap.limits as limits
from easpcap.keyfiles.asn1 import structures
from easpcap.keyfiles.pem import Block, decoded_base64, pem_blocks
from easpcap.tls.secrets.certificate import certificate_fingerprint
from easpcap.tls.secrets.key_log import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Base64 in a text: a long word and what follows it, over line breaks and what programs make of them. The words after
#: the base64 may be taken with it, which does no harm: the length of DER, or the END line of PEM, says where it ends.
_BASE64_RUN: Final = re.compile(
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}+(?:(?:\s|\\+[nrt]|\\|&#[xX]?[0-9a-fA-F]{1,4};)++[A-Za-z0-9+/]++)*+={0,2}"
)
_LEAST_RUN: Final = 64  # characters; the base64 of the smallest key is as long
_HEAD: Final = 16  # bytes that show whether it is text


def key_blocks(data: bytes) -> list[Block]:
    """The keys and certificates in a file; empty where it holds none."""
    return _limited(_blocks(data, limits.MAX_BASE64_DEPTH))


def der_blocks(data: bytes) -> list[Block]:
    """The keys and certificates in a file that is DER; empty where it is not."""
    return [Block("", der) for der in structures(data)]


def certificate_of(blocks: list[Block]) -> str | None:
    """The fingerprint of the first certificate's key; None without a certificate."""
    fingerprints = (certificate_fingerprint(block.data) for block in blocks if not block.dek_info)
    return next(filter(None, fingerprints), None)


def _blocks(data: bytes, depth: int) -> Iterator[Block]:
    binary = der_blocks(data)
    if binary:
        yield from binary
        return
    pem, between = pem_blocks(decode_text(data))
    for block in pem:
        parts = [] if block.dek_info else structures(block.data)
        yield from (block._replace(data=part) for part in parts or [block.data])
    if depth:
        for text in between:
            yield from _base64_blocks(text, depth - 1)


def _base64_blocks(text: str, depth: int) -> Iterator[Block]:
    for run in _BASE64_RUN.finditer(text):
        if run.end() - run.start() >= _LEAST_RUN:
            data = decoded_base64(run[0])
            if data[:1] == b"\x30" or _is_text(data[:_HEAD]):
                yield from _blocks(data, depth)


def _is_text(data: bytes) -> bool:
    return decode_text(data).isascii()


def _limited(blocks: Iterator[Block]) -> list[Block]:
    return [block for _, block in zip(range(limits.MAX_KEY_BLOCKS), blocks, strict=False)]
