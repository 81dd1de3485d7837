"""The events of an Assembler, collected by connection for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easpcap.stream import Data, End, Gap
from easpcap.tcp.assembler import Assembler, TcpConnection, TcpFact
from tests.support.batches import batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.support.batches import Packet


@dataclass
class ConnectionEvents:
    """The events of one connection. ``story`` lists them, with consecutive bytes joined."""

    connection: TcpConnection
    data: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    gaps: tuple[list[Any], list[Any]] = field(default_factory=lambda: ([], []))
    ends: list[str | None] = field(default_factory=lambda: [None, None])
    offsets: list[int] = field(default_factory=lambda: [0, 0])
    story: list[Any] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)

    def take(self, event: Any) -> None:
        if type(event) is TcpFact:
            stamp, frame, time_ns, acked = event.position
            self.stamps.append(stamp)
            self.story.append((event.kind, event.direction, event.offset, frame, time_ns, acked))
            return
        direction = event.direction
        assert self.ends[direction] is None, "an event after the end of its direction"
        assert event.offset == self.offsets[direction], "an event that does not follow the one before"
        if type(event) is Data:
            assert event.data
            assert type(event.data) is bytes
            self._read(event)
        elif type(event) is Gap:
            assert event.length == event.most > 0
            self.gaps[direction].append((event.offset, event.length))
            self.offsets[direction] += event.length
            self.story.append(event)
        else:
            assert type(event) is End
            self.ends[direction] = event.cause
            self.story.append(event)

    def _read(self, event: Data) -> None:
        direction, offset, data = event
        self.data[direction].extend(data)
        self.offsets[direction] += len(data)
        self.stamps.append(self.connection.locate(direction, offset).stamp)
        last = self.story[-1] if self.story else None
        if type(last) is Data and last.direction == direction:
            self.story[-1] = Data(direction, last.offset, last.data + data)
        else:
            self.story.append(event)

    def facts(self) -> list[str]:
        return [item[0] for item in self.story if type(item) is tuple]


def read(packets: Sequence[Packet], *, columnar: bool, sizes: Iterable[int] = ()) -> dict[int, ConnectionEvents]:
    """All events of ``packets`` by connection, numbered by their first packets.

    ``sizes`` are those of the batches; the rest is the last one.
    """
    assembler = Assembler(columnar=columnar)
    collected: dict[int, ConnectionEvents] = {}

    def take(events: Iterable[Any]) -> None:
        for connection, event in events:
            collected.setdefault(connection.id, ConnectionEvents(connection)).take(event)

    start = 0
    for size in (*sizes, len(packets)):
        take(assembler.feed(batch(list(packets[start : start + size]), first_frame=start + 1)))
        start += size
    take(assembler.finish())
    for connection in assembler.connections:
        collected.setdefault(connection.id, ConnectionEvents(connection))
    by_first_packet = sorted(collected.values(), key=lambda events: events.connection.first.frame)
    return dict(enumerate(by_first_packet))
