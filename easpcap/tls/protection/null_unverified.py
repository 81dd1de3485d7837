"""Records of the NULL cipher without a key: their content is in the clear, but their MAC cannot be verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.tls.codepoints import ALERT, CHANNEL_ID, FINISHED, HANDSHAKE, MESSAGE_HEADER_SIZE, NEXT_PROTOCOL
from easpcap.tls.suites.suite import MAC_SIZES

if TYPE_CHECKING:
    from easpcap.tls.suites.suite import CipherSuite


_FIRST: Final = frozenset({FINISHED, NEXT_PROTOCOL, CHANNEL_ID})


def may_begin_epoch(content_type: int, content: bytes) -> bool:
    """Whether an epoch may begin with this content: a Finished, a message that may precede it, or an alert."""
    if content_type == ALERT:
        return len(content) == 2
    if content_type != HANDSHAKE or len(content) < MESSAGE_HEADER_SIZE:
        return False
    return content[0] in _FIRST and int.from_bytes(content[1:4], "big") + MESSAGE_HEADER_SIZE <= len(content)


class UnverifiedNull:
    """A Protection that removes the MAC without verifying it. The first record must be able to begin an epoch."""

    __slots__ = ("_mac_size", "sequence")

    def __init__(self, suite: CipherSuite) -> None:
        self.sequence = 0
        self._mac_size = MAC_SIZES.get(suite.mac, 0)

    def open(self, content_type: int, _version: int, fragment: bytes | memoryview, /) -> bytes | None:
        """The content without its MAC, which is not verified."""
        self.sequence += 1
        if len(fragment) < self._mac_size:
            return None
        content = bytes(fragment[: len(fragment) - self._mac_size])
        if self.sequence == 1 and not may_begin_epoch(content_type, content):
            return None  # not the NULL cipher: the ServerHello was damaged
        return content

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
        """The same as ``open``, because no record depends on the ones before."""
        return self.open(content_type, version, fragment)
