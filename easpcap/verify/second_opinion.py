"""verify(): asks tshark about the connections of an analysis, and compares what both say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.fields import Fields
from easpcap.limits import CONNECTIONS_A_RUN
from easpcap.verify.comparison import Comparison, compare
from easpcap.verify.dissection import Dissection, dissection_arguments, read_dissection
from easpcap.verify.follow import follow_arguments, read_follow
from easpcap.verify.opinion import Opinion, own_opinion
from easpcap.verify.protocols import protocol_arguments
from easpcap.verify.replay import Replay
from easpcap.verify.tshark import TsharkRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.results import Analysis, Connection
    from easpcap.tls.secrets.session_secrets import SessionSecrets
    from easpcap.verify.opinion import StreamData
    from easpcap.verify.tshark import Tshark


class Verification(Fields):
    """The comparisons of all connections, in the order of the connections."""

    tshark: str  # its version
    connections: int
    comparisons: list[Comparison]


def verify(analysis: Analysis, secrets: SessionSecrets, tshark: Tshark) -> Verification:
    """Compare an analysis, made with ``digest``, with what tshark sees in the same captures.

    Args:
        analysis: of capture files, which are read again several times; not of standard input.
        secrets: collected by the analysis. tshark gets them on its standard input.
        tshark: the program to ask.

    Raises:
        CaptureError: a capture cannot be read again.
        SecondOpinionError: tshark failed or stalled, or a capture has changed since the analysis.
    """
    replay = Replay([(source.path, source.sha256) for source in analysis.inputs], secrets)
    asked = _Asked(tshark, replay, protocol_arguments(analysis.connections))
    codes: dict[int | None, set[str]] = {}
    for anomaly in analysis.anomalies:
        codes.setdefault(anomaly.connection, set()).add(anomaly.code)
    own = {each.id: own_opinion(each, frozenset(codes.get(each.id, ()))) for each in analysis.connections}
    others = asked.messages(analysis.connections, own)
    data = asked.data(analysis.connections)
    comparisons: list[Comparison] = []
    for connection in analysis.connections:
        other = others[connection.id]
        other.data = data.get(connection.id)
        comparisons.extend(compare(connection, own[connection.id], other))
    return Verification(tshark.version_text, len(analysis.connections), comparisons)


class _Asked:
    """The runs of tshark on one replay."""

    def __init__(self, tshark: Tshark, replay: Replay, protocols: list[str]) -> None:
        self._tshark = tshark
        self._replay = replay
        self._protocols = protocols

    def messages(self, connections: Sequence[Connection], own: dict[int, Opinion]) -> dict[int, Opinion]:
        """Handshakes, requests and statuses of every connection.

        tshark is asked twice. While it reassembles bodies it does not list a message whose body is incomplete. While it
        does not, it may take a part of a body for a message, so that the second answer counts only for what easpcap
        says too.
        """
        first, second = (self._dissect(reassemble_bodies=value) for value in (True, False))
        found: dict[int, Opinion] = {}
        for connection in connections:
            mine = own[connection.id]
            opinion = found[connection.id] = first.opinions.get(connection.id) or Opinion()
            confirmed = second.opinions.get(connection.id) or Opinion()
            opinion.requests |= confirmed.requests & mine.requests
            opinion.statuses |= confirmed.statuses & mine.statuses
            client, server = connection.client.address, connection.server.address
            opinion.unread_packets = [(client, server) in first.unread, (server, client) in first.unread]
        return found

    def _dissect(self, *, reassemble_bodies: bool) -> Dissection:
        arguments = [*dissection_arguments(reassemble_bodies=reassemble_bodies), *self._protocols]
        with TsharkRun(self._tshark, arguments, self._replay.pieces) as run:
            return read_dissection(run.output())

    def data(self, connections: Sequence[Connection]) -> dict[int, tuple[StreamData, StreamData] | None]:
        """The application data of every connection."""
        found: dict[int, tuple[StreamData, StreamData] | None] = {}
        for start in range(0, len(connections), CONNECTIONS_A_RUN):
            part = connections[start : start + CONNECTIONS_A_RUN]
            with TsharkRun(self._tshark, [*follow_arguments(part), *self._protocols], self._replay.pieces) as run:
                found |= read_follow(run.output(), part)
        return found
