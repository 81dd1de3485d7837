"""Evidence and doubts that several rules share: one builder for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.results import Evidence, Finding, LogLine
from easpcap.stream import TO_CLIENT, TO_SERVER, Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.renegotiation_outcome import Ending, RenegotiationOutcome
    from easpcap.http.exchange import Exchange
    from easpcap.results import Connection, Remedy, Renegotiation

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

ENDED_BY = {
    "client-fin": "the client closes the connection",
    "client-rst": "the client resets the connection",
    "client-close-notify": "the client ends TLS (close_notify)",
    "client-alert": "the client ends it with a fatal alert",
    "server-fin": "the server closes the connection",
    "server-rst": "the server resets the connection",
    "server-close-notify": "the server ends TLS (close_notify)",
    "server-alert": "the server ends it with a fatal alert",
}


def duration(nanoseconds: int) -> str:
    """A time span as people say it."""
    if nanoseconds < SECOND:
        return f"{nanoseconds / MILLISECOND:,.0f} ms"
    return f"{nanoseconds / SECOND:,.1f} s"


def age(index: AnalysisIndex, begin: Position, end: Position) -> str:
    """How long something took, as far as the capture shows it."""
    passed = max(0, index.steady(end) - index.steady(begin))
    if index.set_back(begin.frame) == index.set_back(end.frame):
        return duration(passed)
    return f"at least {duration(passed)} (the clock of the capture was set back meanwhile)"


def silence(how: RenegotiationOutcome) -> str:
    """For how long nothing moved, as far as the capture shows it."""
    if not how.at_least:
        return f"for {duration(how.silence_ns)}"
    least = f"for at least {duration(how.silence_ns)}" if how.silence_ns >= SECOND else "for an unknown time"
    return f"{least} (the clock of the capture was set back meanwhile)"


def request_begins(index: AnalysisIndex, exchange: Exchange) -> list[Evidence]:
    """The head of the request and what it announced."""
    request = exchange.request
    if request is None:
        return []
    if request.framing == "chunked":
        size = ", its body in chunks of unannounced total"
    elif request.content_length is not None:
        size = f", {request.content_length:,} bytes announced"
    else:
        size = ""
    wait = ", held back for 100 Continue" if request.expects_continue else ""
    return [Evidence(request.first, f"{index.label(exchange)} begins{size}{wait}")]


def post_handshake(connection: Connection) -> bool:
    """Whether a certificate is asked for later by TLS 1.3's own means (RFC 8446 section 4.6.2)."""
    return connection.tls is not None and connection.tls.version == "TLS 1.3"


def question(connection: Connection) -> str:
    """What the server sends to ask for a certificate later."""
    return "CertificateRequest after the handshake" if post_handshake(connection) else "HelloRequest"


def way(connection: Connection) -> str:
    """How the server asks for a certificate after the first handshake."""
    return "after the TLS 1.3 handshake" if post_handshake(connection) else "by renegotiation"


def reply(connection: Connection) -> str:
    """What the client is expected to answer with."""
    return "client Certificate" if post_handshake(connection) else "ClientHello"


def asked(connection: Connection, renegotiation: Renegotiation) -> Evidence:
    """The HelloRequest and how far the body had come, on either side."""
    if renegotiation.by == "client":
        return Evidence(renegotiation.position, "the client begins a renegotiation (ClientHello)")
    had, sent = renegotiation.body_offset_acknowledged, renegotiation.body_offset_sent
    total = _announced(renegotiation)
    asks = "a post-handshake CertificateRequest" if post_handshake(connection) else "HelloRequest"
    words = f"the server sends {asks}"
    if had is not None:
        least = _bounds(had, renegotiation.body_offset_acknowledged_most)
        words += f" after {least} of {total:,} body bytes" if total else f" after {least} body bytes"
    if sent is not None:
        exact = renegotiation.body_offset_sent_most is None
        share = f" ({100 * sent // total} %)" if total and exact else ""
        words += f"; the client had sent {_bounds(sent, renegotiation.body_offset_sent_most)}{share}"
    return Evidence(renegotiation.position, words)


def _bounds(least: int, most: int | None) -> str:
    """A number of bytes; above a gap only its bounds are known."""
    return f"{least:,}" if most is None else f"{least:,} to {most:,}"


def _announced(renegotiation: Renegotiation) -> int | None:
    request = renegotiation.exchange.request if renegotiation.exchange else None
    return request.content_length if request else None


def answered(connection: Connection, renegotiation: Renegotiation, how: RenegotiationOutcome) -> list[Evidence]:
    """How the client answered the HelloRequest, as far as it did anything."""
    found = []
    if how.refusal is not None:
        found.append(Evidence(how.refusal, "the client refuses: alert no_renegotiation"))
    if renegotiation.client_hello is not None and renegotiation.by == "server":
        suffix = (
            ""
            if outcome.completed(renegotiation) or renegotiation.alert is not None
            else "; the server never answers it"
        )
        found.append(Evidence(renegotiation.client_hello, f"the client's ClientHello{suffix}"))
    if renegotiation.done is not None:
        what = "the client's answer" if post_handshake(connection) else "the renegotiation"
        found.append(Evidence(renegotiation.done, f"{what} is complete{_presented(renegotiation)}"))
    return found


def _presented(renegotiation: Renegotiation) -> str:
    if not renegotiation.certificate_requested:
        return ", the server asked for no certificate"
    return {True: ", with a client certificate", False: ", without a client certificate", None: ""}[
        renegotiation.certificate_presented
    ]


def window_closed(index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation) -> list[Evidence]:
    """The server's receive window at zero, which says that nobody reads."""
    fact = outcome.zero_window(index, connection, renegotiation.position)
    if fact is None:
        return []
    unanswered = renegotiation.client_hello is None and renegotiation.done is None
    follows = f"; no {reply(connection)} follows" if unanswered else ""
    return [Evidence(fact.position, f"the server's receive window is zero{follows}")]


def alert_sent(how: RenegotiationOutcome) -> list[Evidence]:
    """The fatal alert that ended the handshake."""
    if how.alert is None:
        return []
    what, direction, position = how.alert
    return [Evidence(position, f"the {outcome.side(direction)} ends it with the fatal alert {what.name}")]


def final_response(exchange: Exchange) -> list[Evidence]:
    """The response head."""
    response = exchange.response
    if response is None:
        return []
    late = ", too late: the client had given up" if exchange.too_late else ""
    return [Evidence(response.first, f"the response: {response.status} {response.reason}".rstrip() + late)]


def connection_ends(end: Ending, exchange: Exchange | None) -> Evidence:
    """How the connection ended, and whether the request was left without a response."""
    left = ""
    if exchange is not None and exchange.response is None and end.by == "server":
        hidden = exchange.gap_before_response or exchange.outcome == "interrupted"
        left = "; a response may be among the missing bytes" if hidden else " without a response"
    return Evidence(end.position, end.words + left)


def doubts(connection: Connection) -> list[str]:
    """What speaks against any finding on this connection."""
    found = [
        f"{connection.gaps[direction]:,} bytes towards the {side} are missing from the capture."
        for direction, side in ((TO_SERVER, "server"), (TO_CLIENT, "client"))
        if connection.gaps[direction]
    ]
    if connection.roles_known_by in {"port", "first-packet"}:
        found.append("The connection began before the capture: which side is the server was inferred from the ports.")
    return found


def confidence(connection: Connection, *, rests_on_absence: bool = False) -> str:
    """Proven where the bytes were read, inferred where only record types and sizes are known.

    What rests on the absence of something is only inferred where bytes of the connection are missing.
    """
    opaque = connection.decryption.status == "opaque"
    return "inferred" if opaque or (rests_on_absence and any(connection.gaps)) else "proven"


def _order(item: Evidence) -> tuple[bool, int, int]:
    """Sort key: the frames of a connection by their stamp, then log lines by time and line."""
    match item.citation:
        case Position(stamp=stamp):
            return False, stamp, 0
        case LogLine(line=line, time_ns=time_ns):
            return True, time_ns, line


def finding(  # a finding has this many parts; all but the first four by name
    index: AnalysisIndex,
    rule: tuple[str, str],
    connection: Connection,
    exchange: Exchange | None,
    *,
    title: str,
    detail: str,
    evidence: Sequence[Evidence],
    remedies: Sequence[Remedy],
    against: Sequence[str] = (),
    compared: Sequence[Evidence] = (),
    rests_on_absence: bool = False,
) -> Finding:
    """A finding of ``rule`` (id, severity).

    ``rests_on_absence``: it says that something did not come. Its evidence is sorted: frames in causal order, log lines
    by time, then ``compared`` (other connections).
    """
    ordered = sorted(evidence, key=_order)
    positions = [item.position for item in ordered if item.position is not None]
    frames = [position.frame for position in positions or (connection.first, connection.last)]
    return Finding(
        rule=rule[0],
        severity=rule[1],
        confidence=confidence(connection, rests_on_absence=rests_on_absence),
        connections=[connection.id],
        exchanges=[exchange] if exchange is not None else [],
        title=title,
        detail=detail,
        evidence=[*ordered, *compared],
        against=[*against, *doubts(connection)],
        remedies=list(remedies),
        wireshark_filter=index.display_filter(connection, frames),
        input_filters=index.input_filters(connection, frames),
    )
