"""PacketBatch: many TCP packets as columns; on the fast path a packet is never an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.fields import Fields

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


class PacketBatch(Fields):
    """One row per TCP packet, in capture order; all columns have the same length.

    ``buffer`` holds the bytes the rows point into and is only valid until the next batch is asked for.
    Addresses are 128-bit numbers in two columns; an IPv4 address a.b.c.d is the IPv4-mapped ::ffff:a.b.c.d
    (RFC 4291 section 2.5.5.2), so ``src_high`` is 0 and ``src_low`` is 0xffff_0000_0000 + the address.
    """

    buffer: bytes | bytearray | memoryview
    frame: NDArray[np.int64]  # 1-based, counts every packet of the merged captures, TCP or not
    time_ns: NDArray[np.int64]  # since 1970 UTC
    src_high: NDArray[np.uint64]
    src_low: NDArray[np.uint64]
    dst_high: NDArray[np.uint64]
    dst_low: NDArray[np.uint64]
    sport: NDArray[np.uint16]
    dport: NDArray[np.uint16]
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    flags: NDArray[np.uint8]  # the low eight TCP flags
    window: NDArray[np.uint16]  # as on the wire, unscaled
    options: NDArray[np.int8]  # bytes of TCP options, which stand before the payload; -1 where they were cut off
    payload_at: NDArray[np.int64]  # offset into buffer
    captured: NDArray[np.int64]  # payload bytes present in buffer
    on_wire: NDArray[np.int64]  # payload bytes by the IP header; more than captured where a snaplen cut the packet

    def __len__(self) -> int:
        return len(self.frame)
