"""Packets -> PacketBatch: reads all plain headers of a window at once; each packet that carries TCP becomes a row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.batch import PacketBatch
from easpcap.capture.internet import Carried, find_tcp
from easpcap.capture.link import locate_ip
from easpcap.capture.packets import LEAST_TCP, Skipped, gather
from easpcap.limits import MAX_QUOTED_CONNECTIONS

if TYPE_CHECKING:
    from easpcap.batch import Quote
    from easpcap.capture.fragments import Fragments
    from easpcap.capture.packets import Packets
    from easpcap.capture.walked import Walked

#: RFC 9293 section 3.1, up to the window. Checksums are not read: with checksum offload a sender captures wrong ones.
TCP_HEADER: Final = np.dtype(
    [("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4"), ("ack", ">u4"),
     ("size", "u1"), ("flags", "u1"), ("window", ">u2")]
)  # fmt: skip


class Decoder:
    """Decodes the packets of one capture, window by window, and counts those that yield no row.

    ``ignored`` counts packets by reason. Fragments of IP datagrams are held until the datagram is complete: it becomes
    a row of the packet that completed it.
    """

    def __init__(self) -> None:
        self.ignored: Counter[str] = Counter()
        self._fragments: Fragments | None = None
        self._quoted: list[Quote] = []

    def decode(self, buffer: bytearray, packets: Packets, first_frame: int) -> PacketBatch | None:
        """The TCP rows of ``packets``, the first of which is ``first_frame``; None where there are none."""
        skipped = Skipped(self.ignored)
        groups = [
            carried for located in locate_ip(buffer, packets, skipped) for carried in find_tcp(buffer, located, skipped)
        ]
        whole = [_with_header(carried, skipped) for carried in groups]
        rows = skipped.rows()
        if rows:
            walked = self._walk(buffer, packets, first_frame)
            walked.read(rows, skipped)
            buffer = walked.buffer
            self._quoted += walked.quoted[: MAX_QUOTED_CONNECTIONS - len(self._quoted)]
            whole.append(walked.carried())
        if not whole:
            return None
        carried = whole[0] if len(whole) == 1 else _merge(whole)
        batch = _batch(buffer, packets, carried, first_frame, skipped)
        if batch is not None:
            batch.quoted, self._quoted = tuple(self._quoted), []
        return batch

    def take_over(self, earlier: Decoder) -> None:
        """Go on with what another decoder holds, whose capture this one's follows."""
        self._fragments, earlier._fragments = earlier._fragments, None
        self._quoted = [*earlier._quoted, *self._quoted]

    def finish(self) -> None:
        """No more packets: count the fragments of datagrams that never became complete."""
        if self._fragments is not None:
            self._fragments.finish()
            for reason, count in self._fragments.take_lost():
                Skipped(self.ignored).count(reason, count)

    def _walk(self, buffer: bytearray, packets: Packets, first_frame: int) -> Walked:
        """The reader of single packets. It is loaded with the first one: plain captures start faster without it."""
        from easpcap.capture.fragments import Fragments
        from easpcap.capture.walked import Walked

        if self._fragments is None:
            self._fragments = Fragments()
        return Walked(buffer, packets, first_frame, self._fragments)


def _with_header(carried: Carried, skipped: Skipped) -> Carried:
    """The rows whose TCP header was captured; the reason of the others is found when they are walked."""
    whole = carried.tcp_at + LEAST_TCP <= carried.end
    if whole.all():
        return carried
    skipped.walk(carried.row[~whole])
    return carried.where(whole)


def _merge(groups: list[Carried]) -> Carried:
    """Join the rows of several link types and IP versions in file order."""
    columns = [np.concatenate(columns) for columns in zip(*groups, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Carried(*(column[order] for column in columns))


def _batch(
    buffer: bytearray, packets: Packets, carried: Carried, first_frame: int, skipped: Skipped
) -> PacketBatch | None:
    header = gather(buffer, carried.tcp_at, TCP_HEADER)
    header_bytes = (header["size"] >> 4).astype(np.int64) * 4
    sound = (header_bytes >= LEAST_TCP) & (carried.tcp_at + header_bytes <= carried.wire_end)
    if not sound.all():
        skipped.count("malformed", int(np.count_nonzero(~sound)))
        carried, header, header_bytes = carried.where(sound), header[sound], header_bytes[sound]
    if not len(header):
        return None
    payload_at = carried.tcp_at + header_bytes
    on_wire = carried.wire_end - payload_at
    options = np.where(payload_at <= carried.end, header_bytes - LEAST_TCP, -1).astype(np.int8)
    payload_at = np.minimum(payload_at, carried.end)
    return PacketBatch(
        buffer=buffer,
        frame=carried.row + first_frame,
        time_ns=packets.time_ns[carried.row],
        src_high=carried.src_high,
        src_low=carried.src_low,
        dst_high=carried.dst_high,
        dst_low=carried.dst_low,
        sport=header["sport"].astype(np.uint16),
        dport=header["dport"].astype(np.uint16),
        seq=header["seq"].astype(np.uint32),
        ack=header["ack"].astype(np.uint32),
        flags=header["flags"].copy(),
        window=header["window"].astype(np.uint16),
        options=options,
        payload_at=payload_at,
        captured=np.minimum(carried.end - payload_at, on_wire),
        on_wire=on_wire,
    )
