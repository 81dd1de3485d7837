"""Records of TLS 1.3: the header always says application data, the real type is encrypted (RFC 8446 section 5.2)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag

from easpcap.tls.codepoints import APPLICATION_DATA, MAX_FRAGMENT
from easpcap.tls.protection.aead import decrypt_function
from easpcap.tls.protection.mac import lost_records
from easpcap.tls.secrets.schedule13 import traffic_keys
from easpcap.tls.suites.suite import CIPHERS

if TYPE_CHECKING:
    from easpcap.tls.protection.aead import Decrypt
    from easpcap.tls.suites.suite import CipherSuite

_additional_data: Final = Struct(">BHH").pack  # the record's header (RFC 8446 section 5.2)
_FIRST_WITH_HEADER: Final = 25  # the first draft whose tag covers it
_NO_DATA: Final = b""


def tls13_protection(suite: CipherSuite, secret: bytes, draft: int = 0) -> Tls13Protection:
    """The Protection for a traffic secret. The suite's cipher must be an AEAD in CIPHERS."""
    keys, shape = traffic_keys(suite, secret, draft), CIPHERS[suite.cipher]
    covered = not 0 < draft < _FIRST_WITH_HEADER
    decrypt = decrypt_function(suite.cipher, shape, keys.key)
    return Tls13Protection(decrypt, keys.iv, shape.tag, header_covered=covered)


class Tls13Protection:
    """A Protection whose ``open`` returns application data only.

    It returns None for a record of another type as well as for one that cannot be decrypted; ``other_content`` is then
    the inner type and the content, or None if the tag is wrong. ``begun``: a record was decrypted. ``padded``: one had
    padding, so that the lengths of others say nothing about their content.
    """

    __slots__ = ("_decrypt", "_header_covered", "_mask", "_overhead", "begun", "other_content", "padded", "sequence")

    def __init__(self, decrypt: Decrypt, iv: bytes, tag: int, *, header_covered: bool) -> None:
        self.sequence = 0
        self.other_content: tuple[int, bytes] | None = None
        self.begun = False
        self.padded = False
        self._decrypt = decrypt
        self._mask = int.from_bytes(iv, "big")
        self._overhead = tag + 1
        self._header_covered = header_covered

    @property
    def overhead(self) -> int:
        """Bytes of a fragment that are not content: the tag and the inner type."""
        return self._overhead

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """The application data in the next record; None if there is none, with ``other_content`` set."""
        sequence = self.sequence
        self.sequence = sequence + 1
        header = _additional_data(content_type, version, len(fragment)) if self._header_covered else _NO_DATA
        try:
            inner = self._decrypt((self._mask ^ sequence).to_bytes(12, "big"), fragment, header)
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            self.other_content = None
            return None
        self.begun = True
        if inner and inner[-1] == APPLICATION_DATA:
            return inner[:-1]
        return self._set_other_content(inner)

    def _set_other_content(self, inner: bytes) -> bytes | None:
        """A record of another type, or one with padding (RFC 8446 section 5.4)."""
        content = inner.rstrip(b"\0")
        self.other_content = None
        if not content:  # the peer must answer with unexpected_message
            return None
        self.padded = self.padded or len(content) < len(inner)
        if content[-1] == APPLICATION_DATA:
            return content[:-1]
        self.other_content = content[-1], content[:-1]
        return None

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,  # noqa: ARG002 (records are independent of each other)
        lost_bytes: int,
        tries: int,
        /,
    ) -> bytes | None:
        """See Protection; b"" for a record of another type, which is in ``other_content``.

        A lost ChangeCipherSpec has no number (RFC 8446 section 5), so one record fewer than ``lost_bytes`` need may be
        counted. If no record was decrypted yet, the lost ones may have used other keys: then the numbers begin with 0.
        """
        first = self.sequence
        if len(fragment) <= MAX_FRAGMENT:
            numbers = lost_records(first, lost_bytes, self._overhead, tries)
            start = max(numbers.start - 1, first) if self.begun else first
            for sequence in range(start, min(numbers.stop, start + tries)):
                self.sequence = sequence
                content = self.open(content_type, version, fragment)
                if content is not None:
                    self.other_content = None
                    return content
                if self.other_content is not None:
                    return b""
        self.sequence = first
        return None
