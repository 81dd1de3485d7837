"""pcapng packet blocks -> Packets, all blocks of a window at once, of one section or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.interfaces import ticks_to_ns
from easpcap.capture.packets import NO_PACKET, NO_TIME, Packets, gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from easpcap.capture.interfaces import Interfaces

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, STATISTICS, ENHANCED_PACKET, SECRETS = 0x0A0D0D0A, 1, 2, 3, 5, 6, 10
#: Blocks that Wireshark numbers as frames although no packet is in them: custom blocks and the systemd journal's.
OTHER_FRAMES: Final = frozenset({0x00000BAD, 0x40000BAD, 9})

#: The head of an enhanced or an old packet block: type, length, interface, time high and low, captured, original.
HEAD: Final = np.dtype("V28")
LENGTH: Final = np.dtype("<u4")
#: Bytes of a block around the packet: the head and the second length.
AROUND_PACKET: Final = 32
AROUND_SIMPLE: Final = 16


class Section(NamedTuple):
    """A section, or the rest of one, in a window."""

    first: int  # index of its first packet
    order: str  # struct's sign
    base: int  # place of its interface 0 in the table


class _Heads(NamedTuple):
    """The fields of packet blocks; in simple packet blocks most have another meaning."""

    at: NDArray[np.int64]
    kind: NDArray[np.int64]
    size: NDArray[np.int64]
    interface: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    captured: NDArray[np.int64]
    original: NDArray[np.int64]


def read_blocks(
    buffer: bytearray, at: NDArray[np.int64], sections: Sequence[Section], interfaces: Interfaces
) -> tuple[Packets, bool]:
    """The packets of the blocks at ``at``, and True where reading stopped before a block with two different lengths."""
    firsts = np.array([section.first for section in sections] + [len(at)])
    owner = np.repeat(np.arange(len(sections)), np.diff(firsts))
    big = np.array([section.order == ">" for section in sections])[owner]
    words = _ordered(gather(buffer, at, HEAD).view("<u4").reshape(-1, 7), big)
    heads = _Heads(at, *words.T.astype(np.int64))
    trailers = _ordered(gather(buffer, at + (heads.size + 3 & ~3) - 4, LENGTH), big)
    broken = np.flatnonzero(trailers != heads.size)
    if len(broken):
        sound = slice(0, int(broken[0]))
        heads, owner, big = _Heads(*(column[sound] for column in heads)), owner[sound], big[sound]
    bases = np.array([section.base for section in sections])
    ends = np.append(bases[1:], interfaces.end)
    rows = interfaces.rows(_interface_numbers(heads, big), bases[owner], ends[owner])
    return _packets(heads, interfaces.columns()[:, rows]), bool(len(broken))


def _ordered(words: NDArray[np.uint32], big: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Words that were read as little-endian, with the big-endian rows swapped."""
    if big.all():
        return words.byteswap()
    if big.any():
        words[big] = words[big].byteswap()
    return words


def _interface_numbers(heads: _Heads, big: NDArray[np.bool_]) -> NDArray[np.int64]:
    numbers = heads.interface
    if (heads.kind != ENHANCED_PACKET).any():
        # The old block has a 16-bit number and then a count of drops; the simple block means interface 0.
        numbers = np.where(heads.kind == OLD_PACKET, np.where(big, numbers >> 16, numbers & 0xFFFF), numbers)
        numbers = np.where(heads.kind == SIMPLE_PACKET, 0, numbers)
    return numbers


def _packets(heads: _Heads, interface: NDArray[np.uint64]) -> Packets:
    link_types, snaps, resolutions, offsets = interface
    ticks = (heads.high << 32 | heads.low).view(np.uint64)
    packets = Packets(
        at=heads.at + (AROUND_PACKET - 4),
        captured=np.minimum(heads.captured, heads.size - AROUND_PACKET),
        original=heads.original,
        time_ns=(ticks_to_ns(ticks, resolutions) + offsets).view(np.int64),
        link_type=link_types.view(np.int64),
    )
    if (heads.kind == ENHANCED_PACKET).all():
        return packets
    original = heads.interface  # the field at the same place in a simple packet block
    kept = np.minimum(np.minimum(original, heads.size - AROUND_SIMPLE), snaps.astype(np.int64))
    packets = _where(
        heads.kind == SIMPLE_PACKET, Packets(heads.at + 12, kept, original, _no_time(heads), packets.link_type), packets
    )
    nothing = np.zeros_like(heads.at)
    return _where(
        np.isin(heads.kind, list(OTHER_FRAMES)),
        Packets(heads.at, nothing, nothing, _no_time(heads), nothing + NO_PACKET),
        packets,
    )


def _no_time(heads: _Heads) -> NDArray[np.int64]:
    return np.full_like(heads.at, NO_TIME)


def _where(chosen: NDArray[np.bool_], yes: Packets, no: Packets) -> Packets:
    return Packets(*(np.where(chosen, one, other) for one, other in zip(yes, no, strict=True)))
