"""TCP packets around the bytes of a conversation, and the pcap file they are written to."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from peers import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from typing import BinaryIO

MSS = 1460
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10

#: pcap global header: microseconds, version 2.4, snaplen 262144, Ethernet.
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
_RECORD = struct.Struct("<IIII")
_TCP = struct.Struct(">HHIIBBHHH")
_IPV4_TAIL = struct.Struct(">HHHBBH")
_WINDOW = 64240


class Connection:
    """The two TCP ends of one connection: turns bytes into Ethernet frames and keeps count of both sequences."""

    def __init__(self, number: int, source: random.Random) -> None:
        client = 0x0A14_0000 + 2 + number % 60_000  # 10.20.0.2 and up
        server = 0x0A14_FF14  # 10.20.255.20
        client_port = 20_000 + number // 60_000 + source.randrange(40_000)
        self._next = [source.getrandbits(32), source.getrandbits(32)]
        self._unacknowledged = [0, 0]
        self._ports = (client_port, 443), (443, client_port)
        self._addresses = client.to_bytes(4) + server.to_bytes(4), server.to_bytes(4) + client.to_bytes(4)
        self._ethernet = (
            bytes.fromhex("020000000002020000000001") + b"\x08\x00",
            bytes.fromhex("020000000001020000000002") + b"\x08\x00",
        )
        self._identifier = source.getrandbits(16)
        self._constant_sum = sum(struct.unpack(">4H", self._addresses[0])) + 0x4500 + 0x4000 + 0x4006

    def _frame(self, direction: int, flags: int, payload: bytes | memoryview = b"", options: bytes = b"") -> bytes:
        length = 40 + len(options) + len(payload)
        self._identifier = identifier = (self._identifier + 1) & 0xFFFF
        total = self._constant_sum + length + identifier
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        sequence, acknowledged = self._next[direction], self._next[1 - direction]
        sport, dport = self._ports[direction]
        frame = b"".join(
            (
                self._ethernet[direction],
                b"\x45\x00",
                _IPV4_TAIL.pack(length, identifier, 0x4000, 64, 6, total ^ 0xFFFF),
                self._addresses[direction],
                # The TCP checksum is left to the network card, as on a server that captures its own traffic.
                _TCP.pack(
                    sport,
                    dport,
                    sequence,
                    acknowledged if flags & ACK else 0,
                    (20 + len(options)) << 2,
                    flags,
                    _WINDOW,
                    0,
                    0,
                ),
                options,
                payload,
            )
        )
        self._next[direction] = (sequence + len(payload) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        return frame

    def open(self) -> Iterator[bytes]:
        """SYN, SYN and ACK, ACK; the only option is the segment size."""
        options = b"\x02\x04" + MSS.to_bytes(2)
        yield self._frame(TO_SERVER, SYN, options=options)
        yield self._frame(TO_CLIENT, SYN | ACK, options=options)
        yield self._frame(TO_SERVER, ACK)

    def send(self, direction: int, data: bytes) -> Iterator[bytes]:
        """The segments of one write, the last one pushed; the other side acknowledges every second segment."""
        view = memoryview(data)
        waiting = self._unacknowledged
        waiting[1 - direction] = 0  # these segments acknowledge whatever the other side has sent
        for start in range(0, len(view), MSS):
            piece = view[start : start + MSS]
            yield self._frame(direction, ACK | PSH if start + MSS >= len(view) else ACK, piece)
            waiting[direction] += 1
            if waiting[direction] == 2:
                waiting[direction] = 0
                yield self._frame(1 - direction, ACK)

    def close(self) -> Iterator[bytes]:
        """FIN from the client, FIN from the server, and the last ACK."""
        yield self._frame(TO_SERVER, FIN | ACK)
        yield self._frame(TO_CLIENT, FIN | ACK)
        yield self._frame(TO_SERVER, ACK)


def disturb(
    frames: Iterator[bytes], source: random.Random, *, reordered: float, repeated: float, lost: float
) -> Iterator[bytes]:
    """The same frames with shares of them late (by one to three places), twice, or never captured."""
    late: list[tuple[int, bytes]] = []  # (number of the frame it comes after, frame)
    for number, frame in enumerate(frames):
        draw = source.random() if number > 2 else 1.0  # the opening stays as it is: it says who the client is
        if draw < reordered:
            late.append((number + source.randint(1, 3), frame))
        elif draw >= reordered + lost:
            yield frame
            if draw < reordered + lost + repeated:
                yield frame
        if late:
            yield from (held for due, held in late if due <= number)
            late = [(due, held) for due, held in late if due > number]
    yield from (held for _, held in late)


class PcapWriter:
    """Writes frames with rising times, a few microseconds apart."""

    def __init__(self, file: BinaryIO, source: random.Random) -> None:
        file.write(PCAP_HEADER)
        self._file = file
        self._random = source.random
        self._time = 1_289_861_221_000_000  # microseconds; 2010-11-15 22:47:01 UTC
        self.bytes = len(PCAP_HEADER)
        self.packets = 0

    def write(self, frame: bytes) -> None:
        """One packet, 5 to 205 microseconds after the one before."""
        self._time += 5 + int(self._random() * 200)
        seconds, micros = divmod(self._time, 1_000_000)
        size = len(frame)
        self._file.write(_RECORD.pack(seconds, micros, size, size) + frame)
        self.bytes += 16 + size
        self.packets += 1
