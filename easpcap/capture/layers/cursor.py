"""Cursor: a position in one packet. A layer moves it past its header and returns what follows."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from easpcap.capture.fragments import Fragments

    Layer = Callable[["Cursor"], "Next"]

#: What follows a header: a table of numbers, and the number in it.
Next = tuple[str, int]

LINK: Final = "link type"
ETHERTYPE: Final = "EtherType"
IP_PROTOCOL: Final = "IP protocol"
PPP: Final = "PPP protocol"
NLPID: Final = "NLPID"
LLC_SERVICE: Final = "LLC service"
SNAP: Final = "SNAP protocol"
UDP_PORT: Final = "UDP port"

ETHERNET: Final[Next] = (LINK, 1)
IP: Final[Next] = (LINK, 101)  # either version
LLC: Final[Next] = ("LLC", 0)
TCP: Final[Next] = (IP_PROTOCOL, 6)

#: The greatest value of an EtherType field that is a length (IEEE 802.3 section 3.2.6).
MOST_LENGTH: Final = 1500

Address = tuple[int, int]

_U16: Final = struct.Struct(">H")
_U32: Final = struct.Struct(">I")


class Unread(Exception):  # noqa: N818  # not an error: the packet has no TCP, or none that can be read
    """The packet yields no TCP segment; the text is the reason under which it is counted."""


class Held(Exception):  # noqa: N818  # nor is this
    """The packet is a fragment that waits for the others."""


class Segment(NamedTuple):
    """Where TCP begins in a packet. Offsets are in the packet, or in ``datagram`` if that was reassembled."""

    at: int
    end: int  # of what was captured
    wire_end: int
    source: Address
    target: Address
    datagram: bytes | None
    quoted: bool  # TCP is quoted by an ICMP error: nobody sent it in this packet


class Cursor:
    """One packet. ``data`` and ``wire_end`` end where the innermost header with a length says.

    Reading beyond ``data`` raises struct.error or IndexError, which `walk` catches.
    """

    __slots__ = (
        "at",
        "branches",
        "data",
        "datagram",
        "fragments",
        "packets",
        "quoted",
        "source",
        "target",
        "time_ns",
        "tunnel",
        "wire_end",
    )

    def __init__(self, data: memoryview, wire_bytes: int, time_ns: int, fragments: Fragments) -> None:
        self.data = data
        self.wire_end = wire_bytes
        self.time_ns = time_ns
        self.fragments = fragments
        self.at = 0
        self.source: Address = (0, 0)
        self.target: Address = (0, 0)
        #: the last header after which other protocols than IP may follow, as its users call it
        self.tunnel = ""
        self.quoted = False
        self.datagram: bytes | None = None
        #: captured packets that this one was reassembled from
        self.packets = 1
        #: further contents of the same packet, each with what it begins with
        self.branches: list[tuple[Cursor, Next]] = []

    def u8(self, offset: int) -> int:
        """One byte, ``offset`` bytes from here."""
        return self.data[self.at + offset]

    def u16(self, offset: int) -> int:
        """Two bytes, big endian."""
        number: int = _U16.unpack_from(self.data, self.at + offset)[0]
        return number

    def u32(self, offset: int) -> int:
        """Four bytes, big endian."""
        number: int = _U32.unpack_from(self.data, self.at + offset)[0]
        return number

    def take(self, offset: int, size: int) -> bytes:
        """``size`` bytes, fewer where the packet ends."""
        return bytes(self.data[self.at + offset : self.at + offset + size])

    def skip(self, size: int) -> None:
        """Move past a header of ``size`` bytes."""
        self.at += size

    def bound(self, size: int) -> None:
        """What begins here is ``size`` bytes long: bytes after it are padding or a trailer."""
        stop = self.at + size
        if stop < self.wire_end:
            self.wire_end = stop
            if stop < len(self.data):
                self.data = self.data[:stop]

    def typed(self, number: int) -> Next:
        """What an EtherType field announces: it is the length of an LLC frame up to MOST_LENGTH."""
        if number > MOST_LENGTH:
            return ETHERTYPE, number
        self.bound(number)
        return LLC

    def branch(self, at: int, size: int) -> Cursor:
        """A cursor for ``size`` bytes at ``at``, which are one of several contents of this packet."""
        other = Cursor(self.data, self.wire_end, self.time_ns, self.fragments)
        other.at = at
        other.datagram, other.tunnel, other.branches = self.datagram, self.tunnel, self.branches
        other.bound(size)
        return other

    def give_up(self, reason: str) -> NoReturn:
        """Count the packet under ``reason``, after the name of the tunnel that hides the rest."""
        raise Unread(f"{self.tunnel}, {reason}" if self.tunnel else reason)


def header(size: int, table: str, number_at: int) -> Layer:
    """A header of ``size`` bytes with the number of what follows at ``number_at`` (two bytes, big endian)."""

    def read(cursor: Cursor) -> Next:
        number = cursor.u16(number_at)
        cursor.skip(size)
        return cursor.typed(number) if table == ETHERTYPE else (table, number)

    return read


def before(size: int, following: Next, tunnel: str = "") -> Layer:
    """A header of ``size`` bytes that always comes before the same ``following``."""

    def read(cursor: Cursor) -> Next:
        cursor.skip(size)
        cursor.tunnel = tunnel or cursor.tunnel
        return following

    return read
