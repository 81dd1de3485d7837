"""renegotiation-refused: the client says no_renegotiation, or passes the HelloRequest over and the server insists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.diagnosis.renegotiation_outcome import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.renegotiation_outcome import RenegotiationOutcome
    from easpcap.results import Connection, Finding, Renegotiation

RULE = ("renegotiation-refused", "critical")


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per request, or per connection where it fell between requests."""
    for connection, renegotiation, how in outcome.attempts(index, lambda _, how: Trouble.REFUSED in how.trouble):
        yield _finding(index, connection, renegotiation, how)


def _finding(
    index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation, how: RenegotiationOutcome
) -> Finding:
    exchange, site = renegotiation.exchange, index.site(connection)
    said_no = how.refusal is not None
    lines = [
        *(evidence.request_begins(index, exchange) if exchange else []),
        evidence.asked(connection, renegotiation),
        *evidence.answered(connection, renegotiation, how),
        *evidence.alert_sent(how),
        *(evidence.final_response(exchange) if exchange else []),
    ]
    if exchange is None or exchange.response is None:
        lines.append(evidence.connection_ends(how.end, exchange))
    does = "refuses (no_renegotiation)" if said_no else f"goes on without a {evidence.reply(connection)}"
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title=f"The server asks for a client certificate {evidence.way(connection)}, and the client "
        + _deed(connection, said_no=said_no),
        detail=_detail(connection, does),
        evidence=lines,
        against=_against(renegotiation, said_no),
        rests_on_absence=not said_no,
        remedies=remedies.ask_in_first_handshake(
            site, *([] if evidence.post_handshake(connection) else remedies.allow_renegotiation(site))
        ),
    )


def _deed(connection: Connection, *, said_no: bool) -> str:
    if said_no:
        return "refuses to renegotiate"
    return "does not answer" if evidence.post_handshake(connection) else "does not renegotiate"


def _detail(connection: Connection, does: str) -> str:
    if evidence.post_handshake(connection):
        return (
            f"The server sends a CertificateRequest on a connection whose handshake is over, and the client {does}. "
            "Few clients can answer at this point (RFC 8446 section 4.6.2)."
        )
    return (
        f"The server asks for another handshake on this connection, and the client {does}. "
        "Many clients allow no renegotiation at all, or none without RFC 5746, so the server cannot get the "
        "certificate in this way."
    )


def _against(renegotiation: Renegotiation, said_no: bool) -> list[str]:
    response = renegotiation.exchange.response if renegotiation.exchange else None
    found = []
    if response is not None and response.status < 400:  # RFC 9110 section 15.5
        found.append(f"The server went on without it and answered {response.status}.")
    if not said_no:
        found.append("The client sent no alert: it may have been busy or gone rather than refusing.")
    return found
