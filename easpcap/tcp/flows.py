"""Rows of a batch sorted by flow, in capture order within each flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.batch import PacketBatch

#: The two ends of a flow, the lower one first; each is address * 65536 + port.
FlowKey = tuple[int, int]

_MIX: Final = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2^64 / golden ratio: spreads neighbours over all bits
_SHIFT: Final = np.uint64(31)
_PORT_BITS: Final = np.uint64(16)


class Flows(NamedTuple):
    """The rows of a batch sorted by flow. Flows are in the order of their first rows with payload.

    ``order`` has the batch's row number of each sorted row, ``starts`` the first sorted row of each flow and the end of
    the last. ``side`` is True where the higher end sent the row, ``flow`` is the index of its flow in ``keys``.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    side: NDArray[np.bool_]
    flow: NDArray[np.intp]
    keys: list[FlowKey]


def end_of(high: int, low: int, port: int) -> int:
    """One end of a flow as a number."""
    return ((high << 64 | low) << 16) | port


def group_by_flow(batch: PacketBatch) -> Flows:
    """Sort the rows of a batch by flow.

    Rows are sorted by a hash of their two ends, and a new flow begins wherever the ends differ. If two flows share a
    hash, their rows may alternate and one of them appears twice: then the rows are sorted by the ends themselves.
    """
    side, columns = _ends(batch)
    rank = _payload_first(batch)
    mixed = columns[0] * _MIX
    for column in columns[1:]:
        mixed ^= column
        mixed ^= mixed >> _SHIFT
        mixed *= _MIX
    flows = _grouped(_hash_order(mixed), side, columns, rank)
    if len(set(flows.keys)) != len(flows.keys):
        flows = _grouped(np.lexsort(columns), side, columns, rank)
    return flows


def _payload_first(batch: PacketBatch) -> NDArray[np.intp]:
    """The rank of every row: capture order, with all rows with payload before all others."""
    rows = np.arange(len(batch))
    return np.where(batch.captured > 0, rows, rows + len(rows))


def _ends(batch: PacketBatch) -> tuple[NDArray[np.bool_], list[NDArray[np.uint64]]]:
    """Whether the higher end sent each row, and the columns that identify its flow: the lower end's, the higher's."""
    source = (batch.src_low << _PORT_BITS) | batch.sport
    target = (batch.dst_low << _PORT_BITS) | batch.dport
    wide = batch.src_high.any() or batch.dst_high.any() or ((batch.src_low | batch.dst_low) >> np.uint64(48)).any()
    side = source > target
    if not wide:  # an IPv4-mapped address and a port fit into 64 bits
        return side, [np.minimum(source, target), np.maximum(source, target)]
    side = batch.sport > batch.dport
    for a, b in ((batch.src_low, batch.dst_low), (batch.src_high, batch.dst_high)):
        side = (a > b) | ((a == b) & side)
    pairs = (
        (batch.src_high, batch.dst_high),
        (batch.src_low, batch.dst_low),
        (batch.sport.astype(np.uint64), batch.dport.astype(np.uint64)),
    )
    lower = [np.where(side, b, a) for a, b in pairs]
    return side, lower + [np.where(side, a, b) for a, b in pairs]


def _hash_order(mixed: NDArray[np.uint64]) -> NDArray[np.intp]:
    """A stable order by 32 bits of the hash; numpy sorts 16-bit numbers by radix, many times faster."""
    low = np.argsort((mixed >> np.uint64(32)).astype(np.uint16), kind="stable")
    high = np.argsort((mixed >> np.uint64(48)).astype(np.uint16)[low], kind="stable")
    return low[high]


def _grouped(
    order: NDArray[np.intp], side: NDArray[np.bool_], columns: list[NDArray[np.uint64]], rank: NDArray[np.intp]
) -> Flows:
    order, flow = _by_rank(order, [column[order] for column in columns], rank)
    first = np.flatnonzero(np.diff(flow, prepend=-1))
    ends = [column[order[first]].tolist() for column in columns]
    if len(ends) > 2:  # address and port are in separate columns
        ends = [[end_of(*end) for end in zip(*three, strict=True)] for three in (ends[:3], ends[3:])]
    keys: list[FlowKey] = list(zip(*ends, strict=True))
    return Flows(order, np.append(first, len(order)), side[order], flow, keys)


def _by_rank(
    order: NDArray[np.intp], columns: list[NDArray[np.uint64]], rank: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Flows in the order of their first payload, so that a TLS session comes before the connection that resumes it."""
    changes = np.zeros(len(order), np.bool_)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(changes)
    place = np.empty(len(starts), np.intp)
    place[np.argsort(np.minimum.reduceat(rank[order], starts))] = np.arange(len(starts))
    flow = place[np.cumsum(changes) - 1]
    small = flow.astype(np.uint16) if len(starts) < 2**16 else flow  # sorted by radix
    sorted_rows = np.argsort(small, kind="stable")
    return order[sorted_rows], flow[sorted_rows]
