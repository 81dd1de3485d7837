"""Segment: one row of a batch by itself, for the few that the columns cannot decide about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.tcp.flows import end_of

if TYPE_CHECKING:
    from easpcap.batch import PacketBatch
    from easpcap.tcp.flows import FlowKey

#: The shift of a window whose scale is not known: the greatest there is (RFC 7323 section 2.3).
UNKNOWN_SCALE: Final = 14

_END, _NO_OPERATION, _WINDOW_SCALE = 0, 1, 3  # kinds of options


class Segment(NamedTuple):
    """A TCP segment. ``side`` is 1 where the higher end of its flow sent it."""

    side: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: memoryview
    on_wire: int
    frame: int
    time_ns: int
    options: bytes | None  # None where the snapshot length cut them
    source: tuple[int, int, int]  # address (high, low) and port
    target: tuple[int, int, int]

    @property
    def key(self) -> FlowKey:
        """Its flow."""
        source, target = end_of(*self.source), end_of(*self.target)
        return (target, source) if self.side else (source, target)


def segment_of(batch: PacketBatch, row: int, buffer: memoryview) -> Segment:
    """One row of a batch; ``buffer`` is a view of the batch's buffer."""
    source = batch.src_high.item(row), batch.src_low.item(row), batch.sport.item(row)
    target = batch.dst_high.item(row), batch.dst_low.item(row), batch.dport.item(row)
    at, on_wire, options = batch.payload_at.item(row), batch.on_wire.item(row), batch.options.item(row)
    return Segment(
        int(source > target),
        batch.seq.item(row),
        batch.ack.item(row),
        batch.flags.item(row),
        batch.window.item(row),
        buffer[at : at + min(batch.captured.item(row), on_wire)],
        on_wire,
        batch.frame.item(row),
        batch.time_ns.item(row),
        bytes(buffer[at - options : at]) if options >= 0 else None,
        source,
        target,
    )


def window_scale(options: bytes | None) -> int | None:
    """The shift that the options of a SYN announce (RFC 7323 section 2.2); None: windows are not scaled.

    UNKNOWN_SCALE where the options were not captured.
    """
    if options is None:
        return UNKNOWN_SCALE
    at = 0
    while at < len(options) and options[at] != _END:
        if options[at] == _NO_OPERATION:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2:  # a broken list: nothing after it can be read
            break
        if options[at] == _WINDOW_SCALE and size == 3 and at + 2 < len(options):
            return min(options[at + 2], UNKNOWN_SCALE)
        at += size
    return None
