"""Records of the NULL cipher where no key is at hand: their content is in the clear, only the MAC cannot be proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tls.suites import MAC_SIZES

if TYPE_CHECKING:
    from easpcap.tls.suites import CipherSuite


class Bare:
    """A Protection (see there) that only cuts the MAC off."""

    __slots__ = ("_mac_size", "sequence")

    def __init__(self, suite: CipherSuite) -> None:
        self.sequence = 0
        self._mac_size = MAC_SIZES.get(suite.mac, 0)

    def open(self, _content_type: int, _version: int, fragment: bytes | memoryview, /) -> bytes | None:
        """The content, unproven."""
        self.sequence += 1
        if len(fragment) < self._mac_size:
            return None
        return bytes(fragment[: len(fragment) - self._mac_size])

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        _before: bytes,
        _lost_bytes: int,
        _tries: int,
        /,
    ) -> bytes | None:
        """The same: nothing depends on the records before."""
        return self.open(content_type, version, fragment)
