"""Segments: what comparing two captures needs of their TCP packets, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.batch import ACK, FIN, SYN

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from easpcap.batch import PacketBatch

    Hashes = NDArray[np.uint64]

_MIX: Final = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2^64 / golden ratio: spreads neighbours over all bits
_SHIFT: Final = np.uint64(31)


class Segments(NamedTuple):
    """One row per TCP packet.

    ``flow`` is the same for both directions of a connection, and ``side`` says which of its ends sent the packet.
    ``alike`` is the same for two packets whose addresses, TCP header and payload length are equal. ``end`` is the
    sequence number after the packet.
    """

    flow: Hashes
    side: NDArray[np.bool_]
    alike: Hashes
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    end: NDArray[np.uint32]
    has_ack: NDArray[np.bool_]
    is_syn: NDArray[np.bool_]
    time_ns: NDArray[np.int64]

    def where(self, chosen: NDArray[Any]) -> Segments:
        """The rows chosen by a mask or by their numbers."""
        return Segments(*(column[chosen] for column in self))


def segments_of(batch: PacketBatch) -> Segments:
    """The segments of a batch; nothing points into its buffer."""
    source, target = _ends(batch)
    flags = batch.flags
    taken = batch.on_wire + (flags & SYN > 0) + (flags & FIN > 0)  # SYN and FIN take one sequence number each
    numbers = batch.seq.astype(np.uint64) << np.uint64(32) | batch.ack
    rest = batch.on_wire.astype(np.uint64) << np.uint64(24) | batch.window.astype(np.uint64) << np.uint64(8) | flags
    return Segments(
        flow=source + target,
        side=source > target,
        alike=mixed(source, target, numbers, rest),
        seq=batch.seq,
        ack=batch.ack,
        end=batch.seq + taken.astype(np.uint32),
        has_ack=flags & ACK > 0,
        is_syn=flags & SYN > 0,
        time_ns=batch.time_ns,
    )


def _ends(batch: PacketBatch) -> tuple[Hashes, Hashes]:
    """A hash of the sender's address and port, and of the receiver's."""
    return (
        mixed(batch.src_low, batch.src_high, batch.sport.astype(np.uint64)),
        mixed(batch.dst_low, batch.dst_high, batch.dport.astype(np.uint64)),
    )


def mixed(*columns: Hashes) -> Hashes:
    """A hash of each row of the columns."""
    mixed = columns[0] * _MIX
    for column in columns[1:]:
        mixed ^= mixed >> _SHIFT
        mixed = (mixed ^ column) * _MIX
    mixed ^= mixed >> _SHIFT
    return mixed * _MIX
