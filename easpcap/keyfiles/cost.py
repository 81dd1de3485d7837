"""How much work the password of a key file costs, read from its DER before the work is done.

A password becomes a key by many rounds of a hash, and the file says how many: a hostile file takes hours, or all
memory. The parameters are in the clear, except those of a key that a PKCS #12 file encrypts twice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import easpcap.limits as limits
from easpcap.key_problems import Contents, KeyProblem
from easpcap.keyfiles.contents import UnusableKeyError

_INTEGER, _OCTET_STRING, _OID, _SEQUENCE, _CONSTRUCTED_OCTETS = 0x02, 0x04, 0x06, 0x30, 0x24
_CONSTRUCTED: Final = 0x20
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # RFC 7914 section 7.1
_MAX_DEPTH: Final = 40


class Element(NamedTuple):
    """One BER element (X.690 section 8.1): its contents where it is primitive, its children where it is constructed."""

    tag: int
    contents: bytes
    children: list[Element]


class WorkBudget:
    """What all passwords of one file may cost together."""

    def __init__(self) -> None:
        self._rounds = limits.MAX_KEY_ROUNDS
        self._scrypt_bytes = limits.MAX_KEY_SCRYPT_BYTES

    def spend(self, der: bytes, contents: Contents) -> None:
        """Take the cost of one encrypted key from the budget. Raises UnusableKeyError where it does not suffice."""
        reader = _Reader()
        rounds, scrypt_bytes = _cost(reader.elements(der))
        self._rounds -= rounds
        self._scrypt_bytes -= scrypt_bytes
        if self._rounds < 0 or self._scrypt_bytes < 0 or not reader.left:
            raise UnusableKeyError(KeyProblem("password-too-slow", contents))


def _cost(elements: list[Element]) -> tuple[int, int]:
    """Rounds of a hash, and bytes that scrypt works on (128 * N * r * p), of these elements and all in them."""
    rounds = scrypt_bytes = 0
    pending = [elements]
    while pending:
        level = pending.pop()
        tags = [element.tag for element in level]
        if tags[:2] == [_OID, _SEQUENCE] and level[0].contents == _SCRYPT:
            scrypt_bytes += _scrypt_bytes(level[1].children)
            continue
        # PBKDF2-params (RFC 8018 A.2), PBEParameter (A.3) and MacData (RFC 7292 section 4): a salt, then the rounds
        for salt, number in pairwise(level):
            if salt.tag in (_OCTET_STRING, _CONSTRUCTED_OCTETS) and number.tag == _INTEGER:
                rounds += int.from_bytes(number.contents, "big")
        pending += [element.children for element in level if element.children]
    return rounds, scrypt_bytes


def _scrypt_bytes(parameters: list[Element]) -> int:
    product = 128
    for number in [element for element in parameters if element.tag == _INTEGER][:3]:
        product *= int.from_bytes(number.contents, "big")
    return product


class _Reader:
    """Reads BER as OpenSSL does, with indefinite lengths and OCTET STRINGs in pieces; damage ends a level early."""

    def __init__(self) -> None:
        self.left = limits.MAX_KEY_ELEMENTS

    def elements(self, data: bytes, depth: int = 0) -> list[Element]:
        return self._level(data, 0, len(data), depth)[0]

    def _level(self, data: bytes, at: int, end: int, depth: int) -> tuple[list[Element], int]:
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
            inner = self.elements(contents, depth + 1) if tag == _OCTET_STRING and contents[:1] == b"\x30" else []
            return Element(tag, contents, inner), stop
        children, after = self._level(data, at, stop, depth + 1)
        if tag == _CONSTRUCTED_OCTETS:
            joined = b"".join(child.contents for child in children)
            return Element(tag, joined, self.elements(joined, depth + 1)), after if size is None else stop
        return Element(tag, b"", children), after if size is None else stop


def _tag(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The first octet of a tag, and the place after all of it (X.690 section 8.1.2)."""
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
