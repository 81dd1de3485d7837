"""overview(): the verdict on the whole capture, and what keeps it from being clear.

``clear`` is a strong word: every request was read and answered, and none failed. Whatever failed, was refused, was left
unread or is missing from the capture, and is explained by no finding, is a concern; with a concern the verdict is
``look``, and where nothing could be read at all ``blind``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.facts import Alert, ClientHello, HandshakeDone, Rst
from easpcap.results import Concern, Overview
from easpcap.tls.codepoints import HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from easpcap.http.exchange import Exchange
    from easpcap.results import Analysis, Connection, Finding

_FIRST_ERROR: Final = 400
_UNAUTHORIZED: Final = 401  # the way to a password, not an error

#: Packets that are not read for these reasons cannot belong to HTTP over TCP.
_HARMLESS: Final = frozenset({"not IP", "not TCP", "ICMP error", "duplicate IP fragment", "no packet in the frame"})

#: Rules that tell what became of a HelloRequest.
_ABOUT_HANDSHAKES: Final = frozenset(
    {"renegotiation-deadlock", "renegotiation-failed", "renegotiation-mid-body", "renegotiation-refused"}
)

#: Anomalies of files after which packets are missing from what was read.
_FILE_DAMAGE: Final = frozenset({"capture-damaged"})


def overview(analysis: Analysis, findings: Iterable[Finding]) -> Overview:
    """The verdict by the findings and by what they leave unexplained."""
    findings = list(findings)
    concerns = _joined(_concerns(analysis, findings))
    if any(finding.severity != "notice" for finding in findings):
        return Overview("fault", concerns)
    failed = any(concern.kind in _FAILURES for concern in concerns)
    if not any(exchange.request is not None for exchange in analysis.exchanges) and not failed:
        return Overview("blind", concerns)
    return Overview("look" if concerns else "clear", concerns)


#: Concerns that say that something failed, even where no request could be read.
_FAILURES: Final = frozenset(
    {
        "abandoned",
        "error-response",
        "handshake-failed",
        "handshake-unfinished",
        "interrupted",
        "refused",
        "reset",
        "unanswered",
        "unanswered-hello-request",
    }
)


def _concerns(analysis: Analysis, findings: list[Finding]) -> Iterator[Concern]:
    explained = {id(exchange) for finding in findings if finding.severity != "notice" for exchange in finding.exchanges}
    told = {number for finding in findings if finding.severity != "notice" for number in finding.connections}
    about_handshakes = {n for finding in findings if finding.rule in _ABOUT_HANDSHAKES for n in finding.connections}
    for exchange in analysis.exchanges:
        if id(exchange) not in explained:
            yield from _of_exchange(exchange)
    for connection in analysis.connections:
        if connection.id not in told:
            yield from _of_connection(connection)
        if connection.id not in about_handshakes:
            yield from _unanswered_requests(connection)
    for anomaly in analysis.anomalies:
        if anomaly.code in _FILE_DAMAGE:
            yield Concern("damaged-file", 1, frame=anomaly.frame)
    for reason, count in analysis.packets_ignored.items():
        if reason not in _HARMLESS:
            yield Concern("packets-not-read", count, names=(reason,))


def _of_exchange(exchange: Exchange) -> Iterator[Concern]:
    """What is not well about one exchange."""
    request, response = exchange.request, exchange.response
    frame = request.first.frame if request is not None else response.first.frame if response is not None else None
    if exchange.outcome.startswith("abandoned"):
        yield Concern("abandoned", 1, connection=exchange.connection, frame=frame)
    elif exchange.outcome == "interrupted":
        yield Concern("interrupted", 1, connection=exchange.connection, frame=frame)
    elif exchange.outcome == "open":
        yield Concern("unanswered", 1, connection=exchange.connection, frame=frame)
    if response is not None and response.status >= _FIRST_ERROR and response.status != _UNAUTHORIZED:
        name = str(response.status)
        yield Concern("error-response", 1, (name,), exchange.connection, response.first.frame)


def _of_connection(connection: Connection) -> Iterator[Concern]:
    """What is not well about one connection, beside its exchanges."""
    status = connection.decryption.status
    failure = _failed_handshake(connection)
    if failure is not None:
        yield failure
    elif status in {"opaque", "partial"}:
        kind = "not-decrypted" if status == "opaque" else "partly-decrypted"
        yield Concern(kind, 1, (connection.decryption.reason or "",), connection.id, connection.first.frame)
        yield from _reset(connection)
    elif status != "none" and not connection.exchanges:
        yield Concern("not-understood", 1, (), connection.id, connection.first.frame)
        yield from _reset(connection)
    elif status == "none" and connection.closed_by == "server-rst" and not any(connection.payload_bytes):
        yield Concern("refused", 1, (), connection.id, connection.first.frame)
    if any(connection.gaps) and not any(exchange.outcome == "interrupted" for exchange in connection.exchanges):
        yield Concern("missing-bytes", 1, (), connection.id, connection.first.frame)


def _reset(connection: Connection) -> Iterator[Concern]:
    """A connection that could not be read, and that the server reset: a request on it may have failed."""
    if connection.closed_by == "server-rst":
        reset = next((fact for fact in connection.facts if isinstance(fact.what, Rst)), None)
        yield Concern("reset", 1, (), connection.id, reset.position.frame if reset is not None else None)


def _unanswered_requests(connection: Connection) -> Iterator[Concern]:
    """HelloRequests that no handshake followed: a client may ignore them, and a server may wait for ever."""
    for renegotiation in connection.tls.renegotiations if connection.tls is not None else ():
        if renegotiation.by == "server" and renegotiation.outcome == "unanswered":
            yield Concern("unanswered-hello-request", 1, (), connection.id, renegotiation.position.frame)


def _failed_handshake(connection: Connection) -> Concern | None:
    """The first handshake of a connection that ended before it was done: by an alert, or without a word."""
    if connection.decryption.status != "none":
        return None
    alert = next((fact for fact in connection.facts if isinstance(fact.what, Alert) and fact.what.fatal), None)
    if alert is not None and isinstance(alert.what, Alert):
        names = (alert.what.name, ("client", "server")[alert.direction])
        return Concern("handshake-failed", 1, names, connection.id, alert.position.frame)
    hello = next((fact for fact in connection.facts if isinstance(fact.what, ClientHello)), None)
    done = any(isinstance(fact.what, HandshakeDone) for fact in connection.facts)
    encrypted = {run.direction for run in connection.record_runs if run.content_type == HANDSHAKE}
    if hello is None or done or len(encrypted) > 1 or connection.closed_by == "open":
        return None
    return Concern("handshake-unfinished", 1, (connection.closed_by,), connection.id, hello.position.frame)


def _joined(concerns: Iterable[Concern]) -> list[Concern]:
    """Concerns of one kind and the same names as one, with the place of the first."""
    joined: dict[tuple[str, tuple[str, ...]], Concern] = {}
    for concern in concerns:
        key = concern.kind, concern.names
        if key in joined:
            joined[key].count += concern.count
        else:
            joined[key] = concern
    return sorted(joined.values(), key=lambda concern: concern.kind not in _FAILURES)
