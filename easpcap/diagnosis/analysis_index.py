"""An analysis with the indexes that rules ask for. It only reads, and is built once per diagnosis."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

from easpcap.advice.site import Site, safe_name
from easpcap.diagnosis.inference import hidden_renegotiations
from easpcap.results import InputFilter
from easpcap.stream import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.activesync.command import Command
    from easpcap.diagnosis.inference import HiddenRenegotiation
    from easpcap.http.exchange import Exchange
    from easpcap.results import Analysis, Connection, Fact, InputFile, Renegotiation
    from easpcap.stream import Endpoint, Position

MAX_PATH_SHOWN = 60

#: The longest pause between two captures that count as one: ring buffers change files at any packet, and a server may
#: be idle. After a longer one nobody knows what happened in it, unless a connection goes on.
MAX_PAUSE_NS = 60 * NANOSECONDS

#: A capture that begins this much before the end of another follows it: packets are stored a little out of order.
MAX_DISORDER_NS = 200_000


class AnalysisIndex:
    """Answers the questions that rules share."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._connections = {connection.id: connection for connection in analysis.connections}
        self._hidden: dict[int, list[HiddenRenegotiation]] = {}
        self._facts: dict[int, dict[str, list[Fact]]] = {}

    # ------------------------------------------------------------------ who and what

    def connection(self, exchange: Exchange) -> Connection:
        """The connection that carried an exchange."""
        return self._connections[exchange.connection]

    def command(self, exchange: Exchange) -> Command | None:
        """The ActiveSync reading of an exchange, or None where it is not ActiveSync."""
        return self.analysis.commands.get(exchange.id)

    def label(self, exchange: Exchange) -> str:
        """Method and command, or method and path: how people name a request."""
        request, command = exchange.request, self.command(exchange)
        if request is None:
            return "a request that was not captured"
        if command is not None and command.command and command.command != request.method:
            return f"{request.method} {command.command}"
        return f"{request.method} {_path(request.target)[:MAX_PATH_SHOWN]}"

    def site(self, connection: Connection) -> Site:
        """Name, port and software of the server of a connection."""
        tls = connection.tls
        name = tls.server_name if tls else None
        tls13 = tls is not None and tls.version == "TLS 1.3"
        return Site(safe_name(name), connection.server.port, self._software.get(connection.server), tls13)

    @cached_property
    def _software(self) -> dict[Endpoint, str]:
        """The first Server header of every server."""
        found: dict[Endpoint, str] = {}
        for exchange in self.analysis.exchanges:
            header = exchange.response.header("server") if exchange.response else None
            if header:
                found.setdefault(self.connection(exchange).server, header)
        return found

    def facts(self, connection: Connection, kind: str) -> list[Fact]:
        """Facts of one kind in causal order; sorted once, since rules ask again and again."""
        by_kind = self._facts.get(connection.id)
        if by_kind is None:
            by_kind = self._facts[connection.id] = {}
            for fact in sorted(connection.facts, key=stamp):
                by_kind.setdefault(fact.kind, []).append(fact)
        return by_kind.get(kind, [])

    # ------------------------------------------------------------------ comparisons

    def kind(self, exchange: Exchange) -> tuple[Endpoint, str]:
        """Requests of one kind go to the same server with the same command, or the same method and path."""
        return self.connection(exchange).server, self.label(exchange)

    def similar(self, exchange: Exchange) -> list[Exchange]:
        """All answered exchanges of the same kind, this one too."""
        return self._kinds.get(self.kind(exchange), [])

    @cached_property
    def _kinds(self) -> dict[tuple[Endpoint, str], list[Exchange]]:
        kinds: dict[tuple[Endpoint, str], list[Exchange]] = {}
        for exchange in self.analysis.exchanges:
            if exchange.request is not None and exchange.response is not None:
                kinds.setdefault(self.kind(exchange), []).append(exchange)
        return kinds

    # ------------------------------------------------------------------ renegotiations

    def renegotiations(self, exchange: Exchange) -> list[Renegotiation]:
        """The handshakes that fell into one exchange."""
        return self._by_exchange.get(exchange.key, [])

    @cached_property
    def _by_exchange(self) -> dict[tuple[int, int], list[Renegotiation]]:
        found: dict[tuple[int, int], list[Renegotiation]] = {}
        for connection in self.analysis.connections:
            for renegotiation in connection.tls.renegotiations if connection.tls else ():
                if renegotiation.exchange is not None:
                    found.setdefault(renegotiation.exchange.key, []).append(renegotiation)
        return found

    @cached_property
    def servers_that_ask_late(self) -> set[Endpoint]:
        """Servers that asked for a certificate by renegotiation anywhere in the capture."""
        return {
            connection.server
            for connection in self.analysis.connections
            for renegotiation in (connection.tls.renegotiations if connection.tls else ())
            if renegotiation.by == "server" and renegotiation.certificate_requested
        }

    def hidden(self, connection: Connection) -> list[HiddenRenegotiation]:
        """What the records of an opaque connection betray of renegotiations; empty for any other connection."""
        if connection.decryption.status != "opaque" or not connection.record_runs:
            return []
        if connection.id not in self._hidden:
            self._hidden[connection.id] = list(hidden_renegotiations(connection))
        return self._hidden[connection.id]

    # ------------------------------------------------------------------ the capture

    def input_of(self, frame: int) -> InputFile | None:
        """The capture that holds a frame of the merged set."""
        place = bisect_right(self._by_frame, frame, key=lambda file: file.first_frame) - 1
        return self._by_frame[place] if place >= 0 else None

    @cached_property
    def _by_frame(self) -> list[InputFile]:
        files = sorted(self.analysis.inputs, key=lambda file: file.first_frame)
        return [file for file in files if file.packets] or files

    def set_back(self, frame: int) -> int:
        """By how many ns the clock of a capture had been set back before a frame, since the capture began."""
        file = self.input_of(frame)
        if file is None or not file.clock_steps:
            return 0
        return sum(back for number, back in file.clock_steps if file.first_frame + number - 1 <= frame)

    def steady(self, position: Position) -> int:
        """The time of a frame in ns, if the clock of its capture had never been set back: for durations only.

        What passed at a step is not known, so a duration across one is a lower bound.
        """
        return position.time_ns + self.set_back(position.frame)

    def capture_end(self, connection: Connection) -> int:
        """When the capturing ended that shows the connection, in ns (see `steady`): until then, silence is known.

        Captures that follow each other are one, such as the files of a ring buffer. One beside them counts where it has
        connections of the same server.
        """
        file = self.input_of(connection.last.frame)
        end = max(self.steady(connection.last), (file.last_time_corrected if file is not None else None) or 0)
        if file is not None and file.clock_steps:
            return max(end, (file.clock_end or 0) - file.clock_offset)
        for begins, until, other in self._recordings:
            if begins >= end - MAX_DISORDER_NS:
                if begins - end > MAX_PAUSE_NS and not self._is_bridged(end, begins):
                    break
                end = max(end, until)
            elif until > end and connection.server in self._servers.get(other.first_frame, ()):
                end = until
        return end

    @cached_property
    def _recordings(self) -> list[tuple[int, int, InputFile]]:
        """When each capture begins and ends, in the order of their beginnings."""
        found = [
            (file.first_time - file.clock_offset, file.last_time_corrected, file)
            for file in self.analysis.inputs
            if file.first_time is not None and file.last_time_corrected is not None
        ]
        return sorted(found, key=lambda item: item[:2])

    @cached_property
    def _servers(self) -> dict[int, set[Endpoint]]:
        """The servers of the connections that begin or end in a capture, by its first frame."""
        found: dict[int, set[Endpoint]] = {}
        for connection in self.analysis.connections:
            for position in (connection.first, connection.last):
                file = self.input_of(position.frame)
                if file is not None:
                    found.setdefault(file.first_frame, set()).add(connection.server)
        return found

    def _is_bridged(self, end: int, begins: int) -> bool:
        """Whether a connection goes on after a pause between two captures."""
        return any(c.first.time_ns <= end and c.last.time_ns >= begins for c in self.analysis.connections)

    def input_filters(self, connection: Connection, frames: Sequence[int]) -> list[InputFilter]:
        """A Wireshark display filter for each capture that holds some of these frames, which counts as that file does.

        With several captures the connection is named by address, since Wireshark numbers streams per file.
        """
        if len(self.analysis.inputs) <= 1:
            return [InputFilter(file.path, self.display_filter(connection, frames)) for file in self.analysis.inputs]
        where = _by_address(connection)
        found: dict[str, list[int]] = {}
        for frame in sorted(frames):
            file = self.input_of(frame)
            if file is not None:
                found.setdefault(file.path, []).append(frame - file.first_frame + 1)
        return [InputFilter(path, f"{where} && {_frames(own)}") for path, own in found.items()]

    def display_filter(self, connection: Connection, frames: Sequence[int]) -> str:
        """A Wireshark display filter for these frames of a connection, in all captures joined into one.

        By the number of the stream, except where Wireshark begins another one at a SYN that opened nothing.
        """
        split = connection.id in self._split_streams
        where = _by_address(connection) if split else f"tcp.stream eq {connection.id}"
        return f"{where} && {_frames(frames)}"

    @cached_property
    def _split_streams(self) -> set[int | None]:
        return {anomaly.connection for anomaly in self.analysis.anomalies if anomaly.code == "tcp-syn-ignored"}


def _by_address(connection: Connection) -> str:
    """A display filter for the packets of a connection, and of others on the same ports."""
    client = connection.client
    return f"{'ipv6' if ':' in client.address else 'ip'}.addr == {client.address} && tcp.port == {client.port}"


def stamp(fact: Fact) -> int:
    """A fact's place in the causal order of its connection."""
    return fact.position.stamp


def _frames(frames: Sequence[int]) -> str:
    return f"frame.number >= {min(frames)} && frame.number <= {max(frames)}"


def _path(target: str) -> str:
    return target.split("?", 1)[0]
