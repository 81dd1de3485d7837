"""The timeline: one row per event, in causal order within a connection, by time between connections.

Rows of one connection are in the order of their Position.stamp, even where the times of the capture run backwards.
Between connections the order is by the running maximum of the time within each connection, then of the frame.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from easpcap.report.citations import Citer
from easpcap.report.fact_text import fact_text
from easpcap.report.times import rfc3339, seconds_text
from easpcap.stream import DIRECTION_NAMES, TO_CLIENT, TO_SERVER, Position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.http.exchange import Exchange
    from easpcap.results import Analysis, Connection, Fact, Finding, InputFile, Renegotiation

    Row = dict[str, Any]

#: The kinds of facts that are events of the timeline, and the event of each.
FACT_EVENTS = {
    "tcp-open": "tcp-open",
    "tls-begin": "tls-begin",
    "client-hello": "client-hello",
    "server-hello": "server-hello",
    "certificate-request": "certificate-request",
    "handshake-done": "handshake-done",
    "hello-request": "hello-request",
    "alert": "alert",
    "close-notify": "alert",
    "zero-window": "zero-window",
    "fin": "fin",
    "rst": "rst",
    "capture-end": "capture-end",
}

#: The order of events in one segment, by layer: handshake, HTTP, then what closes the connection.
_PLACE_IN_SEGMENT = {
    "tcp-open": 0,
    "tls-begin": 0,
    "client-hello": 1,
    "server-hello": 2,
    "certificate-request": 3,
    "handshake-done": 4,
    "hello-request": 5,
    "renegotiation-done": 6,
    "request-head": 7,
    "interim-response": 7,
    "response-head": 7,
    "request-complete": 7,
    "response-complete": 7,
    "alert": 8,
    "zero-window": 9,
    "fin": 10,
    "rst": 11,
    "command-abandoned": 12,
    "finding": 13,
    "capture-end": 14,
}


class _Event(NamedTuple):
    """An event of the timeline."""

    position: Position
    event: str
    direction: int | None
    exchange: Exchange | None = None
    status: int | None = None
    body_bytes: int | None = None
    content_length: int | None = None
    detail: str = ""


def timeline_rows(analysis: Analysis) -> Iterator[Row]:
    """The rows in order: keys as in COLUMNS, None for unknown."""
    writer = _RowWriter(analysis)
    findings = _findings_by_connection(analysis)
    keyed: list[tuple[int, int, Connection | None, _Event]] = []
    for connection in analysis.connections:
        latest_time, latest_frame = -(2**63), 0
        for event in _connection_events(analysis, connection, findings.get(connection.id, [])):
            _, frame, time_ns, _ = event.position
            if time_ns > latest_time:
                latest_time = time_ns
            if frame > latest_frame:
                latest_frame = frame
            keyed.append((latest_time, latest_frame, connection, event))
    keyed.extend((*_end_of(source), None, _input_end(source)) for source in _ends(analysis.inputs))
    keyed.sort(key=itemgetter(0, 1))  # stable: equal keys of one connection keep their causal order
    for _, _, owner, event in keyed:
        yield writer.row(owner, event)


def _findings_by_connection(analysis: Analysis) -> dict[int, list[Finding]]:
    """Findings by the first of their connections, if they have evidence."""
    found = defaultdict(list)
    for finding in analysis.findings:
        if finding.evidence and finding.connections:
            found[finding.connections[0]].append(finding)
    return found


def _ends(inputs: list[InputFile]) -> list[InputFile]:
    """The capture that ends last, and those that are truncated."""
    filled = [source for source in inputs if source.packets]
    last = max(filled, key=_end_of, default=None)
    return [source for source in filled if source is last or source.truncated]


def _end_of(source: InputFile) -> tuple[int, int]:
    """A sort key after every event of a capture."""
    return (source.last_time_corrected or 0, source.first_frame + source.packets)


def _input_end(source: InputFile) -> _Event:
    frame = source.first_frame + source.packets - 1
    detail = "the capture ends"
    if source.truncated:
        damaged = "the capture is damaged and cannot be read further, or is truncated"
        detail = damaged if source.damaged_places else "the capture is truncated: its last packet is incomplete"
    return _Event(Position(0, frame, source.last_time_corrected or 0, None), "capture-end", None, detail=detail)


def _connection_events(analysis: Analysis, connection: Connection, findings: list[Finding]) -> list[_Event]:
    events = list(_fact_events(connection))
    for exchange in connection.exchanges:
        events.extend(_exchange_events(exchange, is_command=exchange.id in analysis.commands))
    events.extend(_finding(connection, finding) for finding in findings)
    events.sort(key=_causal)
    return events


def _finding(connection: Connection, finding: Finding) -> _Event:
    """A finding, placed after the last frame of its proof, or at the end of its connection where only logs prove it."""
    positions = [item.position for item in finding.evidence if item.position is not None]
    last = max(positions, key=lambda position: position.stamp, default=connection.last)
    exchange = finding.exchanges[0] if finding.exchanges else None
    detail = f"{finding.severity} {finding.rule} ({finding.confidence}): {finding.title}"
    return _Event(last, "finding", None, exchange, detail=detail)


def _causal(event: _Event) -> tuple[int, int, int, int]:
    """By stamp; within one segment by layer, and HTTP events by exchange."""
    place = _PLACE_IN_SEGMENT[event.event]
    index = event.exchange.index if event.exchange is not None and place == 7 else 0  # HTTP's place
    return (event.position.stamp, place, index, event.event.endswith("complete"))


def _fact_events(connection: Connection) -> Iterator[_Event]:
    asked = {r.position.stamp: r for r in (connection.tls.renegotiations if connection.tls else ())}
    done = {r.done.stamp: r for r in asked.values() if r.done is not None}
    for fact in connection.facts:
        event = FACT_EVENTS.get(fact.kind)
        if event is None:
            continue
        if event in {"hello-request", "certificate-request"} and fact.position.stamp in asked:
            yield _question(event, fact, asked[fact.position.stamp])
        elif event == "handshake-done" and fact.position.stamp in done:
            yield _renegotiation_done(fact, done[fact.position.stamp])
        else:
            yield _Event(fact.position, event, fact.direction, detail=fact_text(fact.what))


def _question(event: str, fact: Fact, renegotiation: Renegotiation) -> _Event:
    """A HelloRequest or a late CertificateRequest, with how much of the body had been received and sent by then."""
    exchange, detail = renegotiation.exchange, fact_text(fact.what)
    had, sent = renegotiation.body_offset_acknowledged, renegotiation.body_offset_sent
    if exchange is not None and had is not None:
        detail = f"the server had {had:,} body bytes"
        if sent is not None:
            detail += f", the client had sent {sent:,}"
    announced = exchange.request.content_length if exchange is not None and exchange.request is not None else None
    return _Event(fact.position, event, fact.direction, exchange, None, had, announced, detail)


def _renegotiation_done(fact: Fact, renegotiation: Renegotiation) -> _Event:
    certificate = ""
    if renegotiation.certificate_requested:
        words = {True: "client certificate presented", False: "no client certificate presented", None: "unknown"}
        certificate = f", {words[renegotiation.certificate_presented]}"
    detail = f"{renegotiation.outcome}{certificate}"
    return _Event(fact.position, "renegotiation-done", fact.direction, renegotiation.exchange, detail=detail)


def _exchange_events(exchange: Exchange, *, is_command: bool) -> Iterator[_Event]:
    request, response = exchange.request, exchange.response
    if request is not None:
        announced = request.content_length
        yield _Event(request.first, "request-head", TO_SERVER, exchange, None, None, announced)
        if request.complete:
            yield _Event(request.last, "request-complete", TO_SERVER, exchange, None, request.body_bytes, announced)
    for interim in exchange.interim:
        yield _Event(interim.position, "interim-response", TO_CLIENT, exchange, interim.status)
    if response is not None:
        announced, detail = response.content_length, response.reason
        yield _Event(
            response.first, "response-head", TO_CLIENT, exchange, response.status or None, None, announced, detail
        )
        if response.complete:
            yield _Event(
                response.last,
                "response-complete",
                TO_CLIENT,
                exchange,
                response.status or None,
                response.body_bytes,
                announced,
            )
    if is_command and exchange.ended is not None and exchange.outcome.startswith("abandoned-by-"):
        yield _abandoned(exchange, exchange.ended)


def _abandoned(exchange: Exchange, ended: Position) -> _Event:
    request = exchange.request
    direction = TO_CLIENT if exchange.outcome == "abandoned-by-server" else TO_SERVER
    sent, announced = (request.body_bytes, request.content_length) if request is not None else (None, None)
    detail = f"{exchange.outcome}{f', {exchange.ended_by}' if exchange.ended_by else ''}"
    if exchange.too_late:
        detail += "; the response came too late"
    return _Event(ended, "command-abandoned", direction, exchange, None, sent, announced, detail)


class _RowWriter:
    """Adds to each event the columns of its connection and exchange."""

    def __init__(self, analysis: Analysis) -> None:
        self._commands = analysis.commands
        self._citer = Citer(analysis.inputs)
        self._ends = {c.id: (c.id, str(c.client), str(c.server)) for c in analysis.connections}
        times = [source.first_time - source.clock_offset for source in analysis.inputs if source.first_time is not None]
        times += [connection.first.time_ns for connection in analysis.connections]
        self._start = min(times, default=0)

    def row(self, connection: Connection | None, event: _Event) -> Row:
        position, name, direction, exchange, status, body_bytes, content_length, detail = event
        _, frame, time_ns, _ = position
        number, client, server = self._ends[connection.id] if connection is not None else (None, None, None)
        request = exchange.request if exchange is not None else None
        command = self._commands.get(exchange.id) if exchange is not None else None
        return {
            "time": rfc3339(time_ns),
            "offset_s": seconds_text(time_ns - self._start) if time_ns >= self._start else None,
            "capture": self._citer.cite(frame)[0],
            "frame": frame,
            "connection": number,
            "exchange": exchange.id if exchange is not None else None,
            "source": "capture",
            "event": name,
            "direction": DIRECTION_NAMES[direction] if direction is not None else None,
            "client": client,
            "server": server,
            "method": request.method if request is not None else None,
            "target": request.target if request is not None else None,
            "command": command.command if command is not None else None,
            "device_id": command.device_id if command is not None else None,
            "device_type": command.device_type if command is not None else None,
            "user": command.user if command is not None else None,
            "status": status,
            "body_bytes": body_bytes,
            "content_length": content_length,
            "detail": detail or None,
        }
