"""pcapng files: finds the blocks, keeps sections, interfaces and secrets (draft-ietf-opsawg-pcapng at the IETF)."""

from __future__ import annotations

import struct
from itertools import repeat
from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.capture.blocks import (
    ENHANCED_PACKET,
    INTERFACE,
    OLD_PACKET,
    OTHER_FRAMES,
    SECRETS,
    SECTION,
    SIMPLE_PACKET,
    Section,
    read_blocks,
)
from easpcap.capture.interfaces import Interfaces, parse_interface
from easpcap.capture.packets import BATCH_PACKETS, Packets
from easpcap.limits import MAX_CAPTURE_SECRETS_BYTES, MAX_PACKET_BYTES

if TYPE_CHECKING:
    from easpcap.capture.window import Window

PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
#: The byte-order magic of a section, and the sign of struct for that order.
PCAPNG_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
FRAMES: Final = frozenset({ENHANCED_PACKET, OLD_PACKET, SIMPLE_PACKET}) | OTHER_FRAMES
TLS_KEY_LOG: Final = 0x544C534B
#: Type, total length, and total length again.
LEAST_BLOCK: Final = 12
#: Minimum sizes of the blocks whose fields are read.
LEAST_SIZES: Final = {SECTION: 28, INTERFACE: 20, OLD_PACKET: 32, ENHANCED_PACKET: 32, SIMPLE_PACKET: 16, SECRETS: 20}
#: Headers and options around a packet of the greatest size.
MOST_BLOCK: Final = MAX_PACKET_BYTES + 2048
#: Link types that are reported; a real file has a handful.
MOST_LINK_TYPES: Final = 64

HEADS: Final = {order: struct.Struct(order + "II") for order in "<>"}
LENGTHS: Final = {order: struct.Struct(order + "I") for order in "<>"}


class PcapngScanner:
    """Finds the packets of a pcapng file, section by section, and keeps the key logs in it."""

    def __init__(self) -> None:
        self.link_types: list[int] = []
        self.secrets: list[bytes] = []
        self.damage = ""
        self._order = "<"
        self._interfaces = Interfaces()
        self._sections: list[Section] = []
        self._secret_bytes = 0

    @classmethod
    def open(cls, head: bytes) -> PcapngScanner | None:
        """A scanner for a file that begins with ``head``; None where the file is not pcapng."""
        return cls() if head.startswith(PCAPNG_MAGIC) and head[8:12] in PCAPNG_ORDERS else None

    def scan(self, window: Window) -> Packets:
        """The next whole packets; moves ``window.start`` past them."""
        self._interfaces.forget_past_sections()
        self._sections = [Section(0, self._order, 0)]
        at = np.array(self._offsets(window), dtype=np.int64)
        packets, broken = read_blocks(window.buffer, at, self._sections, self._interfaces)
        if broken:
            self.damage = "a packet block has two different lengths"
        return packets

    def _offsets(self, window: Window) -> list[int]:
        """The offsets of the blocks that count as frames. Hot: the loop reads enhanced packet blocks without a call."""
        buffer, position, end, last = window.buffer, window.start, window.end, window.end - LEAST_BLOCK
        unpack = HEADS[self._order].unpack_from
        offsets: list[int] = []
        append = offsets.append
        for _ in repeat(None, BATCH_PACKETS):
            if position > last:
                break
            kind, size = unpack(buffer, position)
            after = position + (size + 3 & ~3)
            if kind == ENHANCED_PACKET and size >= 32 and after <= end:
                append(position)
                position = after
                continue
            after = self._other_block(window, position, len(offsets))
            if after == position:
                break
            if kind in FRAMES:
                append(position)
            unpack = HEADS[self._order].unpack_from  # the block may have begun a section of the other byte order
            position = after
        window.start = position
        return offsets

    def _other_block(self, window: Window, position: int, packets: int) -> int:
        """Read the block at ``position``, after ``packets`` packets; return its end, or ``position`` if it is cut."""
        buffer, order = window.buffer, self._order
        if buffer.startswith(PCAPNG_MAGIC, position):
            order = PCAPNG_ORDERS.get(bytes(buffer[position + 8 : position + 12]), "")
            if not order:
                self.damage = "a section has no valid byte-order magic"
                return position
        kind, size = HEADS[order].unpack_from(buffer, position)
        after: int = position + (size + 3 & ~3)
        if not LEAST_SIZES.get(kind, LEAST_BLOCK) <= size <= MOST_BLOCK:
            self.damage = f"a block of type {kind} claims {size} bytes"
        elif after <= window.end:
            if LENGTHS[order].unpack_from(buffer, after - 4)[0] == size:
                self._take(kind, order, memoryview(buffer)[position + 8 : after - 4], packets)
                return after
            self.damage = f"a block of type {kind} has two different lengths"
        return position

    def _take(self, kind: int, order: str, body: memoryview, packets: int) -> None:
        if kind == SECTION:
            self._order = order
            self._sections.append(Section(packets, order, self._interfaces.begin_section()))
        elif kind == INTERFACE:
            interface = parse_interface(bytes(body), order)
            self._interfaces.add(interface)
            if interface.link_type not in self.link_types and len(self.link_types) < MOST_LINK_TYPES:
                self.link_types.append(interface.link_type)
        elif kind == SECRETS:
            self._keep_secrets(bytes(body), order)

    def _keep_secrets(self, body: bytes, order: str) -> None:
        kind, size = HEADS[order].unpack_from(body)
        lines = body[8 : 8 + size]
        if kind == TLS_KEY_LOG and self._secret_bytes + len(lines) <= MAX_CAPTURE_SECRETS_BYTES:
            self._secret_bytes += len(lines)
            self.secrets.append(lines)
