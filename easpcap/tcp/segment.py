"""Segment: one row of a batch by itself, for the few that the columns cannot decide about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.tcp.flows import end_of

if TYPE_CHECKING:
    from easpcap.batch import PacketBatch
    from easpcap.tcp.flows import FlowKey

#: The shift of a window whose scale is not known: the greatest there is (RFC 7323 section 2.3).
UNKNOWN_SCALE: Final = 14

_COLUMNS: Final = (
    *("seq", "ack", "flags", "window", "payload_at", "captured", "on_wire", "frame", "time_ns", "options"),
    *("src_high", "src_low", "sport", "dst_high", "dst_low", "dport"),
)

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


def segment_columns(batch: PacketBatch) -> tuple[memoryview, ...]:
    """The columns from which `segment_of` makes segments: reading a memoryview takes half as long as numpy's item()."""
    return tuple(getattr(batch, name).data for name in _COLUMNS)


def segment_of(columns: tuple[memoryview, ...], row: int, buffer: memoryview) -> Segment:
    """One row of a batch, by its `segment_columns`; ``buffer`` is a view of the batch's buffer."""
    seq, ack, flags, window, at, captured, on_wire, frame, time_ns, options, *ends = [column[row] for column in columns]
    source, target = (ends[0], ends[1], ends[2]), (ends[3], ends[4], ends[5])
    return Segment(
        int(source > target),
        seq,
        ack,
        flags,
        window,
        buffer[at : at + min(captured, on_wire)],
        on_wire,
        frame,
        time_ns,
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
