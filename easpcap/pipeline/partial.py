"""Partial: results of some or all connections of a capture, before they are numbered and diagnosed."""

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

    No packet belongs to two connections, so the frame of its first packet identifies a connection in the whole capture,
    whichever analyzer read it. Until `judge` numbers them, that frame is ``Connection.id``, ``Exchange.connection`` and
    ``LocatedAnomaly.connection``.
    """

    connections: list[Connection] = field(default_factory=list)  # by first frame
    anomalies: list[LocatedAnomaly] = field(default_factory=list)  # the first MAX_ANOMALIES by `anomaly_order`
    unanswered: array[int] = field(default_factory=lambda: array("q"))  # first frames of connections without a result

    def add(self, connection: Connection, anomalies: Iterable[LocatedAnomaly]) -> None:
        """Add a closed connection; ``finish`` sorts them."""
        self.connections.append(connection)
        self.anomalies.extend(anomalies)
        if len(self.anomalies) > 2 * MAX_ANOMALIES:
            self._bound_anomalies()

    def finish(self) -> Partial:
        """Sort connections and anomalies; return the same object."""
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
      resumptions together. The others are not supported yet: each partial would have to carry its SessionCache and the
      packets (or the place in the capture) of the connections whose session it did not know, so that these connections
      can be read again once ``SessionCache.merge`` has joined the caches.
    - no limit on the number of connections (MAX_LIVE_CONNECTIONS, MAX_ENDED_CONNECTIONS, MAX_TLS_SESSIONS) is reached:
      an analyzer that reads fewer connections reaches it later.
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
    """Sort key of anomalies: by frame, then by connection; those of a whole file first."""
    frame, connection = anomaly.frame, anomaly.connection
    return (frame or 0, -1 if connection is None else connection, anomaly.code, anomaly.detail)
