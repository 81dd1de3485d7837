"""Recognises TLS by its later record headers, where a capture begins inside a record."""

from __future__ import annotations

from enum import IntEnum

from easpcap.tls.codepoints import RECORD_HEADER_SIZE
from easpcap.tls.record.records import HEADER, find_record, plausible_header


class Chain(IntEnum):
    """How much the bytes of a direction look like TLS: from no record header to two that follow each other."""

    NONE = 0
    HEADER = 1  # a header whose record goes on beyond the bytes at hand
    ENDS = 2  # a record that ends exactly with the bytes at hand
    LINKED = 3  # a record whose end is the header of another, of the same version


def find_chain(data: bytes) -> Chain:
    """The strongest sign of TLS records in the bytes of one direction, wherever the first header is.

    Five bytes that look like a header are found in one of some hundred thousand random ones, two that follow each other
    by the length of the first in one of 10^11.
    """
    strongest, at = Chain.NONE, 0
    while True:
        at, size = find_record(data, at, 0)
        if len(data) - at < RECORD_HEADER_SIZE:
            return strongest
        strongest = max(strongest, _follows(data, at, at + size))
        if strongest is Chain.LINKED:
            return strongest
        at += 1


def _follows(data: bytes, at: int, end: int) -> Chain:
    """What follows the record at ``at`` that ends at ``end``."""
    if end > len(data):
        return Chain.HEADER
    if end == len(data):
        return Chain.ENDS
    if len(data) - end < RECORD_HEADER_SIZE:
        return Chain.HEADER
    content_type, version, length = HEADER.unpack_from(data, end)
    same_version = version == HEADER.unpack_from(data, at)[1]
    return Chain.LINKED if same_version and plausible_header(content_type, version, length) else Chain.NONE
