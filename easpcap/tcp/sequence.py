"""Serial arithmetic: 32-bit sequence numbers that wrap (RFC 9293 section 3.4), and 64-bit offsets that do not."""

from __future__ import annotations

from typing import Final

from easpcap.batch import SYN

#: Sequence numbers are counted modulo 2^32.
MASK: Final = 0xFFFF_FFFF
HALF: Final = 0x8000_0000


def unwrap(sequence: int, base: int, near: int) -> int:
    """The offset closest to ``near`` whose sequence number is ``sequence``, where offset 0 has the number ``base``."""
    return near + ((sequence - base - near + HALF) & MASK) - HALF


def initial_number(sequence: int, flags: int) -> int:
    """The initial sequence number of a sender by its first captured segment, whether or not that is its SYN."""
    return sequence if flags & SYN else (sequence - 1) & MASK
