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
    STATISTICS,
    Section,
    read_blocks,
)
from easpcap.capture.interfaces import Interfaces, parse_dropped, parse_interface
from easpcap.capture.packets import BATCH_PACKETS, Packets, gather
from easpcap.capture.pcap import PCAP_MAGICS
from easpcap.capture.resync import NO, UNKNOWN, YES
from easpcap.limits import MAX_CAPTURE_SECRETS_BYTES, MAX_LIKELY_PACKET_BYTES, MAX_PACKET_BYTES

if TYPE_CHECKING:
    from easpcap.capture.resync import Offsets, Verdicts
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


#: A secrets block greater than this is read piece by piece.
LONG_SECRETS: Final = 2**20
#: Bytes before the key log in a secrets block, and those around it without options.
BEFORE_SECRETS: Final = 16
AROUND_SECRETS: Final = 20
#: Options that a secrets block may have.
MOST_OPTIONS: Final = 64 * 2**10
#: Section headers that are looked for inside a file are no larger; real ones have some hundred bytes.
LIKELY_SECTION: Final = 64 * 2**10


class BlockLayout:
    """What a plausible block looks like: a known type, and the same length at its front and its end."""

    least_at_end = 1

    def __init__(self, order: str) -> None:
        self._head = np.dtype([("kind", order + "u4"), ("size", order + "u4")])
        self._length = np.dtype(order + "u4")

    def judge(self, buffer: bytearray, at: Offsets, end: int, before: Offsets | None) -> Verdicts:  # noqa: ARG002
        """NO, YES or UNKNOWN for every place."""
        verdicts = np.full(len(at), UNKNOWN, np.int8)
        fits = np.flatnonzero(at + LEAST_BLOCK <= end)
        heads = gather(buffer, at[fits], self._head)
        sizes = heads["size"].astype(np.int64)
        likely = np.isin(heads["kind"], KNOWN_BLOCKS)
        likely &= (sizes >= LEAST_BLOCK) & (sizes <= MAX_LIKELY_PACKET_BYTES) & (sizes % 4 == 0)
        verdicts[fits[~likely]] = NO
        sizes, fits = sizes[likely], fits[likely]
        whole = at[fits] + sizes <= end
        sizes, fits = sizes[whole], fits[whole]
        same = gather(buffer, at[fits] + sizes - 4, self._length) == sizes
        verdicts[fits] = np.where(same, YES, NO)
        return verdicts

    def following(self, buffer: bytearray, at: Offsets) -> Offsets:
        """Where the blocks at ``at`` end."""
        return at + gather(buffer, at + 4, self._length).astype(np.int64)


#: Blocks that are looked for inside a damaged file.
KNOWN_BLOCKS: Final = np.array([SECTION, *range(1, 7), 10, *OTHER_FRAMES])


class PcapngScanner:
    """Finds the packets of a pcapng file, section by section, and keeps the key logs in it."""

    def __init__(self) -> None:
        self.link_types: list[int] = []
        self.secrets: list[bytes] = []
        self.stuck = ""
        self._order = "<"
        self._interfaces = Interfaces()
        self._sections: list[Section] = []
        self._dropped: dict[int, int] = {}  # by interface
        self._secret_bytes = 0
        self._long_secrets: LongSecrets | None = None

    @classmethod
    def open(cls, head: bytes) -> PcapngScanner | None:
        """A scanner for a file that begins with ``head``; None where the file is not pcapng."""
        return cls() if head.startswith(PCAPNG_MAGIC) and head[8:12] in PCAPNG_ORDERS else None

    @classmethod
    def open_inside(cls, head: bytes) -> PcapngScanner | None:
        """A scanner for a capture that begins with ``head`` inside a file: the section header must be likely."""
        order = PCAPNG_ORDERS.get(head[8:12])
        likely = order and LEAST_SIZES[SECTION] <= LENGTHS[order].unpack_from(head, 4)[0] <= LIKELY_SECTION
        return cls.open(head) if likely else None

    @property
    def layout(self) -> BlockLayout:
        """What a block of the current section looks like."""
        return BlockLayout(self._order)

    def resume(self) -> None:
        """Go on with the block at the window's start."""
        self.stuck = ""

    def scan(self, window: Window) -> Packets:
        """The next whole packets; moves ``window.start`` past them."""
        begin, before = window.start, self._mark()
        at = np.array(self._offsets(window), dtype=np.int64)
        packets, broken = read_blocks(window.buffer, at, self._sections, self._interfaces)
        if broken:
            self._stop_at(window, begin, before, int(at[len(packets.at)]))
            self.stuck = "a packet block has two different lengths"
        return packets

    def _mark(self) -> tuple[tuple[int, int], str, int, int, int]:
        """Begin to read a window; return the state to which `_stop_at` goes back."""
        self._interfaces.forget_past_sections()
        self._sections = [Section(0, self._order, 0)]
        return self._interfaces.mark(), self._order, self._secret_bytes, len(self.secrets), len(self.link_types)

    def _stop_at(self, window: Window, begin: int, mark: tuple[tuple[int, int], str, int, int, int], stop: int) -> None:
        """Forget what was read from ``begin`` on, and read up to the block at ``stop``."""
        interfaces, self._order, self._secret_bytes, secrets, link_types = mark
        self._interfaces.rewind(interfaces)
        self._long_secrets = None
        del self.secrets[secrets:], self.link_types[link_types:]
        end = window.end
        window.start, window.end = begin, stop
        self._offsets(window)
        window.end = end

    def _offsets(self, window: Window) -> list[int]:
        """The offsets of the blocks that count as frames. Hot: the loop reads enhanced packet blocks without a call."""
        if self._long_secrets and not self._read_long_secrets(window, self._long_secrets):
            return []
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
            if after == position or self._long_secrets:
                position = after
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
        magic = bytes(buffer[position : position + 4])
        if magic == PCAPNG_MAGIC:
            order = PCAPNG_ORDERS.get(bytes(buffer[position + 8 : position + 12]), "")
        if not order or magic in PCAP_MAGICS:
            self.stuck = "no block begins where the one before ends"
            return position
        kind, size = HEADS[order].unpack_from(buffer, position)
        after: int = position + (size + 3 & ~3)
        if kind == SECRETS and LONG_SECRETS < size <= MAX_CAPTURE_SECRETS_BYTES + MOST_OPTIONS:
            return self._begin_long_secrets(window, position, size)
        if not LEAST_SIZES.get(kind, LEAST_BLOCK) <= size <= MOST_BLOCK:
            self.stuck = f"a block of type {kind} claims {size} bytes"
        elif after <= window.end:
            if LENGTHS[order].unpack_from(buffer, after - 4)[0] == size:
                self._take(kind, order, memoryview(buffer)[position + 8 : after - 4], packets)
                return after
            self.stuck = f"a block of type {kind} has two different lengths"
        return position

    def _begin_long_secrets(self, window: Window, position: int, size: int) -> int:
        """Begin to read a long secrets block piece by piece; return the place of its key log."""
        if position + BEFORE_SECRETS > window.end:
            return position
        kind, length = HEADS[self._order].unpack_from(window.buffer, position + 8)
        if not 0 <= size - AROUND_SECRETS - length <= MOST_OPTIONS:
            self.stuck = f"a secrets block of {size} bytes claims {length} bytes of secrets"
            return position
        keep = kind == TLS_KEY_LOG and self._secret_bytes + length <= MAX_CAPTURE_SECRETS_BYTES
        self._long_secrets = LongSecrets(size, length if keep else 0)
        return position + BEFORE_SECRETS

    def _read_long_secrets(self, window: Window, long: LongSecrets) -> bool:
        """Read what the window has of a long secrets block; return whether that was its end."""
        window.start += long.read(memoryview(window.buffer)[window.start : window.end])
        if long.left:
            return False
        self._long_secrets = None
        if long.lines:
            self._secret_bytes += len(long.lines)
            self.secrets.append(bytes(long.lines))
        return True

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
        elif kind == STATISTICS:
            self._dropped.update(parse_dropped(bytes(body), order))

    @property
    def dropped(self) -> int | None:
        """Packets that the capturing machine dropped, by the last statistics of each interface; None without any."""
        return sum(self._dropped.values()) if self._dropped else None

    def _keep_secrets(self, body: bytes, order: str) -> None:
        kind, size = HEADS[order].unpack_from(body)
        lines = body[8 : 8 + size]
        if kind == TLS_KEY_LOG and self._secret_bytes + len(lines) <= MAX_CAPTURE_SECRETS_BYTES:
            self._secret_bytes += len(lines)
            self.secrets.append(lines)


class LongSecrets:
    """A long secrets block that is read piece by piece: its first ``length`` bytes are a key log."""

    def __init__(self, size: int, length: int) -> None:
        self.lines = bytearray()
        self.left = (size + 3 & ~3) - BEFORE_SECRETS
        self._length = length

    def read(self, piece: memoryview) -> int:
        """Take what belongs to the block; return how many bytes that are."""
        taken = min(len(piece), self.left)
        self.lines += piece[: min(taken, self._length - len(self.lines))]
        self.left -= taken
        return taken
