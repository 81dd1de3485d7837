"""renegotiation-refused: the client says no_renegotiation, or passes the HelloRequest over and the server insists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.diagnosis import course, evidence, remedies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.casebook import Casebook
    from easpcap.results import Connection, Finding, Renegotiation

RULE = ("renegotiation-refused", "critical")


def find(book: Casebook) -> Iterator[Finding]:
    """One finding per request, or per connection where it fell between requests."""
    for connection, renegotiation in book.attempts(course.is_refused):
        yield _finding(book, connection, renegotiation)


def _finding(book: Casebook, connection: Connection, renegotiation: Renegotiation) -> Finding:
    exchange = renegotiation.exchange
    said_no = course.refusal(book, connection, renegotiation) is not None
    how = course.course(book, connection, renegotiation)
    lines = [
        *(evidence.request_begins(book, exchange) if exchange else []),
        evidence.asked(connection, renegotiation),
        *evidence.answered(book, connection, renegotiation),
        *evidence.alert_sent(how),
        *(evidence.final_response(exchange) if exchange else []),
    ]
    if exchange is None or exchange.response is None:
        lines.append(evidence.connection_ends(how.end, exchange))
    does = "refuses it (no_renegotiation)" if said_no else "goes on without a ClientHello"
    return evidence.finding(
        book,
        RULE,
        connection,
        exchange,
        title="The server asks for a client certificate by renegotiation, and the client "
        + ("refuses to renegotiate" if said_no else "does not renegotiate"),
        detail=f"The server wants another handshake on this connection, and the client {does}. "
        "Many clients allow no renegotiation at all, or none without RFC 5746; the certificate cannot be asked "
        "for in this way.",
        evidence=lines,
        against=_against(renegotiation, said_no),
        remedy=[*remedies.ask_in_first_handshake(book.site(connection)), *remedies.allow_renegotiation()],
    )


def _against(renegotiation: Renegotiation, said_no: bool) -> list[str]:
    response = renegotiation.exchange.response if renegotiation.exchange else None
    found = []
    if response is not None and response.status < 400:  # RFC 9110 section 15.5
        found.append(f"The server went on without it and answered {response.status}.")
    if not said_no:
        found.append("The client sent no alert: it may have been busy or gone rather than unwilling.")
    return found
