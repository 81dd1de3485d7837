"""Writes pcapng: a section, secrets, interfaces, packets (draft-ietf-opsawg-pcapng at the IETF)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_SECRETS_BLOCK_BYTES, MAX_TSHARK_PACKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from easpcap.capture.packets import Packets

SECTION, INTERFACE, ENHANCED_PACKET, SECRETS = 0x0A0D0D0A, 1, 6, 10
TLS_KEY_LOG: Final = 0x544C534B
BYTE_ORDER: Final = 0x1A2B3C4D
#: if_tsresol: times in nanoseconds; then the end of the options.
NANOSECOND_TIMES: Final = struct.pack("<HHB3xI", 9, 1, 9, 0)
#: LINKTYPE_USER0: for packets of an interface that the capture does not describe.
UNKNOWN_LINK: Final = 147

_HEAD = struct.Struct("<IIIIIII")  # of an Enhanced Packet Block


def block(kind: int, body: bytes) -> bytes:
    """A block: its type, its length, the body padded to four bytes, and the length again."""
    padded = body + bytes(-len(body) % 4)
    size = len(padded) + 12
    return struct.pack("<II", kind, size) + padded + struct.pack("<I", size)


def section() -> bytes:
    """The Section Header Block, for a section of unknown length."""
    return block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1))


def secrets_blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Decryption Secrets Blocks with the lines of a key log, in several blocks where one would be too large."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > MAX_SECRETS_BLOCK_BYTES:
            yield _secrets_block(held)
            held, size = [], 0
        held.append(line)
        size += len(line)
    if held:
        yield _secrets_block(held)


def _secrets_block(lines: list[bytes]) -> bytes:
    data = b"".join(lines)
    return block(SECRETS, struct.pack("<II", TLS_KEY_LOG, len(data)) + data)


class PacketWriter:
    """Writes packets, and the description of each link type before its first packet."""

    def __init__(self) -> None:
        self._interfaces: dict[int, int] = {}  # number of the interface, by link type

    def write(self, buffer: bytes | bytearray, packets: Packets) -> Iterator[bytes]:
        """The blocks of packets in ``buffer``. What exceeds MAX_TSHARK_PACKET of a packet is cut off."""
        columns = (packets.at, packets.captured, packets.original, packets.time_ns, packets.link_type)
        view = memoryview(buffer)
        for at, captured, original, time_ns, link_type in zip(*(each.tolist() for each in columns), strict=True):
            number = self._interfaces.get(link_type)
            if number is None:
                number = self._interfaces[link_type] = len(self._interfaces)
                link = link_type if 0 <= link_type < 2**16 else UNKNOWN_LINK
                yield block(INTERFACE, struct.pack("<HHI", link, 0, 0) + NANOSECOND_TIMES)
            kept = min(captured, MAX_TSHARK_PACKET)
            padding = -kept % 4
            size = 32 + kept + padding
            time_ns &= 2**64 - 1  # noqa: PLW2901  # a time before 1970 wraps, as in the file it came from
            head = _HEAD.pack(
                ENHANCED_PACKET, size, number, time_ns >> 32, time_ns & 0xFFFFFFFF, kept, original & 0xFFFFFFFF
            )
            yield head + view[at : at + kept] + bytes(padding) + struct.pack("<I", size)
