"""Reads and writes BER and DER (X.690), as far as key files need it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import easpcap.limits as limits

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OID: Final = 0x06
SEQUENCE: Final = 0x30
CONSTRUCTED_OCTETS: Final = 0x24  # an OCTET STRING in pieces
EXPLICIT_0: Final = 0xA0  # [0], constructed
IMPLICIT_0: Final = 0x80  # [0], primitive

_CONSTRUCTED: Final = 0x20
_MAX_DEPTH: Final = 40
_MAX_SIZE_OCTETS: Final = 4
_FIRST_INSIDE: Final = (b"\x02", b"\x30", b"\x06")  # INTEGER, SEQUENCE, OBJECT IDENTIFIER
_SPACE: Final = re.compile(rb"[\0\t\n\r \x1a]*")  # what editors and transfers put around a file


class Element(NamedTuple):
    """One BER element (section 8.1): its contents where it is primitive, its children where it is constructed."""

    tag: int
    contents: bytes
    children: list[Element]

    def __repr__(self) -> str:
        return f"Element({self.tag:#04x})"


class BerReader:
    """Reads BER as OpenSSL does, with indefinite lengths and OCTET STRINGs in pieces; damage ends a level early.

    ``left``: how many more elements may be read (limits.MAX_KEY_ELEMENTS in all).
    """

    def __init__(self) -> None:
        self.left = limits.MAX_KEY_ELEMENTS

    def elements(self, data: bytes, depth: int = 0) -> list[Element]:
        """The elements that follow each other in ``data``, also those in OCTET STRINGs that hold a SEQUENCE."""
        return self.level(data, 0, len(data), depth)[0]

    def level(self, data: bytes, at: int, end: int, depth: int) -> tuple[list[Element], int]:
        """The elements from ``at`` to ``end`` or an end-of-contents mark, and the place after them."""
        found: list[Element] = []
        while at + 2 <= end and self.left and depth < _MAX_DEPTH:
            if data[at : at + 2] == b"\0\0":
                return found, at + 2
            self.left -= 1
            element, at = self._element(data, at, end, depth)
            found.append(element)
        return found, end

    def _element(self, data: bytes, at: int, end: int, depth: int) -> tuple[Element, int]:
        tag, at = _tag(data, at, end)
        size, at = _size(data, at, end)
        stop = end if size is None else min(at + size, end)
        if not tag & _CONSTRUCTED:
            contents = data[at:stop]
            inner = self.elements(contents, depth + 1) if tag == OCTET_STRING and contents[:1] == b"\x30" else []
            return Element(tag, contents, inner), stop
        children, after = self.level(data, at, stop, depth + 1)
        if tag == CONSTRUCTED_OCTETS:
            joined = joined_octets(children)
            return Element(tag, joined, self.elements(joined, depth + 1)), after if size is None else stop
        return Element(tag, b"", children), after if size is None else stop


def joined_octets(pieces: list[Element]) -> bytes:
    """The contents of a constructed OCTET STRING."""
    return b"".join(piece.contents for piece in pieces)


def _tag(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The first octet of a tag, and the place after all of it (section 8.1.2)."""
    tag, at = data[at], at + 1
    if tag & 0x1F == 0x1F:
        while at < end and data[at] & 0x80:
            at += 1
        at += 1
    return tag, at


def _size(data: bytes, at: int, end: int) -> tuple[int | None, int]:
    """The length of an element's contents, None where it is indefinite, and the place after it."""
    if at >= end:
        return 0, end
    first, at = data[at], at + 1
    if first < 0x80:
        return first, at
    if first == 0x80:
        return None, at
    octets = first & 0x7F
    return int.from_bytes(data[at : at + octets], "big"), min(at + octets, end)


# -- structures in a file ----------------------------------------------------------------------------------------------


def structures(data: bytes) -> list[bytes]:
    """The SEQUENCEs that a file consists of, each without what follows it; empty where the file is not BER.

    Line breaks and zeros between them are dropped, and so is anything after the last one. A SEQUENCE that is cut off
    is returned as far as it goes. At most limits.MAX_KEY_BLOCKS.
    """
    found: list[bytes] = []
    at = _after_space(data, 0)
    while len(found) < limits.MAX_KEY_BLOCKS:
        end = _end_of_sequence(data, at)
        if end is None:
            break
        found.append(data[at:end])
        at = _after_space(data, end)
    return found


def _after_space(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match else at


def _end_of_sequence(data: bytes, at: int) -> int | None:
    """Where the SEQUENCE at this place ends; None where the bytes are not a SEQUENCE of a key or certificate."""
    header = data[at : at + 2]
    if len(header) < 2 or header[0] != SEQUENCE or header[1] > 0x80 + _MAX_SIZE_OCTETS:
        return None
    size, start = _size(data, at + 1, len(data))
    if data[start : start + 1] not in _FIRST_INSIDE:
        return None
    if size is None:
        return BerReader().level(data, start, len(data), 0)[1]
    end = start + size
    if header[1] < 0x80:  # else more likely a text that begins with the digit 0
        after = _after_space(data, end)
        return end if end <= len(data) and (after == len(data) or data[after] == SEQUENCE) else None
    return min(end, len(data))


def inside_sequence(data: bytes) -> bytes:
    """The first bytes after the header of a SEQUENCE."""
    return data[_size(data, 1, len(data))[1] :][:16]


# -- writing -----------------------------------------------------------------------------------------------------------


def encode(element: Element) -> bytes:
    """An element as DER: definite lengths, and OCTET STRINGs in one piece."""
    tag = OCTET_STRING if element.tag == CONSTRUCTED_OCTETS else element.tag
    if tag & _CONSTRUCTED:
        return tagged(tag, *(encode(child) for child in element.children))
    return tagged(tag, element.contents)


def tagged(tag: int, *parts: bytes) -> bytes:
    """The DER element with this tag and these contents."""
    contents = b"".join(parts)
    size = len(contents)
    octets = b"" if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets) if octets else size]) + octets + contents
