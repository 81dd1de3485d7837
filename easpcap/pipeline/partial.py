"""Partial: what was read of some connections of a capture, or of all, before anything is numbered or diagnosed."""

from __future__ import annotations

from array import array
from heapq import merge as merge_sorted
from typing import TYPE_CHECKING

from easpcap.fields import Fields, field
from easpcap.limits import MAX_ANOMALIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easpcap.results import Connection, LocatedAnomaly


class Partial(Fields):
    """Results of closed connections. It can be pickled, and joined with others of the same capture by `merge`.

    No packet belongs to two connections, so the frame of its first packet names a connection in the whole capture,
    whoever read it. Until `judge` numbers them, that frame is ``Connection.id``, ``Exchange.connection`` and
    ``LocatedAnomaly.connection``.
    """

    connections: list[Connection] = field(default_factory=list)  # by first frame
    anomalies: list[LocatedAnomaly] = field(default_factory=list)  # the first MAX_ANOMALIES by `anomaly_order`
    unanswered: array[int] = field(default_factory=lambda: array("q"))  # first frames of connections without a result

    def add(self, connection: Connection, anomalies: Iterable[LocatedAnomaly]) -> None:
        """Add a closed connection; ``finish`` brings them in order."""
        self.connections.append(connection)
        self.anomalies.extend(anomalies)
        if len(self.anomalies) > 2 * MAX_ANOMALIES:
            self._bound_anomalies()

    def finish(self) -> Partial:
        """Sort what was added; returns the same object."""
        self.connections.sort(key=first_frame)
        self._bound_anomalies()
        return self

    def _bound_anomalies(self) -> None:
        self.anomalies.sort(key=anomaly_order)
        del self.anomalies[MAX_ANOMALIES:]


def merge(partials: Iterable[Partial]) -> Partial:
    """Join the partials of one capture that was divided by connections; their order does not matter.

    Every packet of a connection must have gone to the same analyzer, with the frame number that it has in the whole
    capture, and every analyzer must have had the same keys in the same order. Then `judge` gives the same analysis as
    for the whole capture, as long as

    - no session is resumed on a connection that another analyzer reads. Dividing by client address keeps most
      resumptions together. The others need what is not there yet: each partial must carry its SessionCache and the
      packets (or the place in the capture) of the connections whose session it did not know; those connections are
      read again once ``SessionCache.merge`` has joined the caches.
    - no limit on the number of connections (MAX_LIVE_CONNECTIONS, MAX_ENDED_CONNECTIONS, MAX_TLS_SESSIONS) is reached:
      an analyzer that sees fewer connections reaches it later.
    """
    partials = list(partials)
    merged = Partial(list(merge_sorted(*(partial.connections for partial in partials), key=first_frame)))
    for partial in partials:
        merged.anomalies.extend(partial.anomalies)
        merged.unanswered.extend(partial.unanswered)
    return merged.finish()


def first_frame(connection: Connection) -> int:
    """The frame of a connection's first packet."""
    return connection.first.frame


def anomaly_order(anomaly: LocatedAnomaly) -> tuple[int, int, str, str]:
    """Anomalies by frame, then by connection; those of a whole file first."""
    frame, connection = anomaly.frame, anomaly.connection
    return (frame or 0, -1 if connection is None else connection, anomaly.code, anomaly.detail)
