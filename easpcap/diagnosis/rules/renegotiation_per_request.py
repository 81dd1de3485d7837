"""renegotiation-per-request: the certificate is asked for by renegotiation for a single request, and that succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.diagnosis.rules.renegotiation_mid_body import NOT_READ, hidden_evidence
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.inference import HiddenRenegotiation
    from easpcap.diagnosis.renegotiation_outcome import RenegotiationOutcome, RequestAttempt
    from easpcap.results import Connection, Finding, RecordRun, Renegotiation

RULE = ("renegotiation-per-request", "notice")

TITLE = "The server asks for the client certificate by renegotiation, request by request"

LATE_TITLE = "The server asks for the client certificate after the TLS 1.3 handshake, request by request"

#: Final statuses that say the request did not succeed for reasons other rules tell.
TOLD_ELSEWHERE = frozenset({403, 413})

LIMIT = (
    "larger bodies may fail, because a server buffers only part of a body before it asks (IIS 49,152 bytes, Apache "
    "131,072 bytes unless changed)."
)
WARNING = f"It works, but each time costs round trips and a full handshake, and {LIMIT}"
LATE_WARNING = f"It works, but each time costs round trips, and {LIMIT}"  # no handshake is repeated in TLS 1.3


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per request, or per opaque connection."""
    for attempt in outcome.request_attempts(index, _fires):
        yield _proven(index, attempt)
    for connection in index.analysis.connections:
        for hidden in index.hidden(connection):
            if hidden.completed and hidden.certificate_flight and hidden.server_data is not None:
                yield _inferred(index, connection, hidden, hidden.server_data)
                break


def _fires(renegotiation: Renegotiation, _how: RenegotiationOutcome) -> bool:
    exchange = renegotiation.exchange
    if exchange is None or exchange.response is None or exchange.response.status in TOLD_ELSEWHERE:
        return False
    asked = renegotiation.by == "server" and renegotiation.certificate_requested
    return asked and outcome.completed(renegotiation) and not outcome.after_response(renegotiation)


def _proven(index: AnalysisIndex, attempt: RequestAttempt) -> Finding:
    connection, exchange, renegotiation, how = attempt
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title=LATE_TITLE if evidence.post_handshake(connection) else TITLE,
        detail=f"{_what(connection)} {index.label(exchange)}. "
        f"{LATE_WARNING if evidence.post_handshake(connection) else WARNING}",
        evidence=[
            *evidence.request_begins(index, exchange),
            evidence.asked(connection, renegotiation),
            *evidence.answered(connection, renegotiation, how),
            *evidence.final_response(exchange),
        ],
        remedies=remedies.ask_in_first_handshake(index.site(connection)),
    )


def _what(connection: Connection) -> str:
    if evidence.post_handshake(connection):
        return "The server sends a CertificateRequest after the handshake for"
    return "The server renegotiates for"


def _inferred(
    index: AnalysisIndex, connection: Connection, hidden: HiddenRenegotiation, response: RecordRun
) -> Finding:
    lines = hidden_evidence(hidden)
    lines.append(Evidence(response.first, "the server sends application data: the response"))
    return evidence.finding(
        index,
        RULE,
        connection,
        None,
        title=TITLE,
        detail="The connection could not be decrypted, but the records show it: a record with the length of a "
        "HelloRequest, a full handshake in which the client sent enough for a certificate, then the response. "
        f"{WARNING}",
        evidence=lines,
        against=[NOT_READ],
        remedies=remedies.ask_in_first_handshake(index.site(connection)),
    )
