"""PacketBatches from plain values, and a small script of one TCP connection."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from easpcap.batch import ACK, FIN, RST, SYN, PacketBatch
from tests.support.packets import PSH

CLIENT = ("10.0.0.1", 50000)
SERVER = ("10.0.0.2", 443)
MILLISECOND = 10**6


@dataclass(frozen=True)
class Packet:
    """One TCP packet; the capture lacks ``cut`` bytes at the end of its payload and ``beyond`` bytes after it."""

    src: tuple[str, int] = CLIENT
    dst: tuple[str, int] = SERVER
    seq: int = 0
    ack: int = 0
    flags: int = ACK
    payload: bytes = b""
    window: int = 64240
    options: bytes = b""
    cut: int = 0
    beyond: int = 0
    frame: int | None = None
    time_ns: int | None = None


def address(text: str) -> tuple[int, int]:
    """(high, low) of an address in text form."""
    if ":" in text:
        import ipaddress

        number = int(ipaddress.IPv6Address(text))
        return number >> 64, number & (2**64 - 1)
    a, b, c, d = map(int, text.split("."))
    return 0, 0xFFFF << 32 | a << 24 | b << 16 | c << 8 | d


def batch(packets: list[Packet], first_frame: int = 1) -> PacketBatch:
    """The columns of ``packets``; frames and times count up where the packets do not say."""
    buffer = bytearray(b"\xee" * 7)
    at, captured = [], []
    for packet in packets:
        present = packet.payload[: len(packet.payload) - packet.cut]
        buffer += packet.options
        at.append(len(buffer))
        captured.append(len(present))
        buffer += present + b"\xee" * 3
    frames = [first_frame + n if p.frame is None else p.frame for n, p in enumerate(packets)]
    times = [f * MILLISECOND if p.time_ns is None else p.time_ns for f, p in zip(frames, packets, strict=True)]
    src, dst = [address(p.src[0]) for p in packets], [address(p.dst[0]) for p in packets]
    return PacketBatch(
        buffer=bytes(buffer),
        frame=np.array(frames, np.int64),
        time_ns=np.array(times, np.int64),
        src_high=np.array([high for high, _ in src], np.uint64),
        src_low=np.array([low for _, low in src], np.uint64),
        dst_high=np.array([high for high, _ in dst], np.uint64),
        dst_low=np.array([low for _, low in dst], np.uint64),
        sport=np.array([p.src[1] for p in packets], np.uint16),
        dport=np.array([p.dst[1] for p in packets], np.uint16),
        seq=np.array([p.seq & 0xFFFFFFFF for p in packets], np.uint32),
        ack=np.array([p.ack & 0xFFFFFFFF for p in packets], np.uint32),
        flags=np.array([p.flags for p in packets], np.uint8),
        window=np.array([p.window for p in packets], np.uint16),
        options=np.array([len(p.options) for p in packets], np.int8),
        payload_at=np.array(at, np.int64),
        captured=np.array(captured, np.int64),
        on_wire=np.array([len(p.payload) + p.beyond for p in packets], np.int64),
    )


class Script:
    """Writes down the packets of one connection in which each side acknowledges all that it was sent."""

    def __init__(
        self,
        client: tuple[str, int] = CLIENT,
        server: tuple[str, int] = SERVER,
        isn: tuple[int, int] = (1000, 70_000),
    ) -> None:
        self.packets: list[Packet] = []
        self.ends = (client, server)
        self.next = [isn[0] + 1, isn[1] + 1]
        self.isn = isn

    def handshake(self) -> Script:
        client, server = self.isn
        self.put(0, SYN, seq=client, ack=0)
        self.put(1, SYN | ACK, seq=server, ack=client + 1)
        return self.put(0, ACK)

    def put(self, sender: int, flags: int = ACK, payload: bytes = b"", **changes: int) -> Script:
        """A packet as it is now due, with ``changes``; it does not count as sent."""
        packet = Packet(
            self.ends[sender], self.ends[1 - sender], self.next[sender], self.next[1 - sender], flags, payload
        )
        self.packets.append(replace(packet, **changes))
        return self

    def send(self, sender: int, payload: bytes, **changes: int) -> Script:
        self.put(sender, PSH | ACK, payload, **changes)
        self.next[sender] += len(payload) + self.packets[-1].beyond
        return self

    def fin(self, sender: int, payload: bytes = b"") -> Script:
        self.put(sender, FIN | ACK, payload)
        self.next[sender] += len(payload) + 1
        return self

    def rst(self, sender: int) -> Script:
        return self.put(sender, RST, ack=0)
