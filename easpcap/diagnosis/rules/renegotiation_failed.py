"""renegotiation-failed: the renegotiation handshake ends in a fatal alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.diagnosis.renegotiation_outcome import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.renegotiation_outcome import RenegotiationOutcome, SentAlert
    from easpcap.results import Connection, Finding, Remedy, Renegotiation

RULE = ("renegotiation-failed", "critical")


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per request, or per connection where it fell between requests."""
    for connection, renegotiation, how in outcome.attempts(index, lambda _, how: Trouble.FAILED in how.trouble):
        if how.alert is not None:
            yield _finding(index, connection, renegotiation, how, how.alert)


def _finding(
    index: AnalysisIndex,
    connection: Connection,
    renegotiation: Renegotiation,
    how: RenegotiationOutcome,
    alert: SentAlert,
) -> Finding:
    exchange = renegotiation.exchange
    name = alert.what.name
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title=f"{_handshake(connection)} fails: the {outcome.side(alert.direction)} ends it with the alert {name}",
        detail=_detail(connection, renegotiation, alert, name),
        evidence=[
            *(evidence.request_begins(index, exchange) if exchange else []),
            evidence.asked(connection, renegotiation),
            *evidence.answered(connection, renegotiation, how),
            *evidence.alert_sent(how),
            evidence.connection_ends(how.end, exchange),
        ],
        remedies=_remedy(index, connection, renegotiation, name),
    )


def _handshake(connection: Connection) -> str:
    return "The late client certificate" if evidence.post_handshake(connection) else "The renegotiation"


def _detail(connection: Connection, renegotiation: Renegotiation, alert: SentAlert, name: str) -> str:
    if renegotiation.by == "client":
        return (
            f"The client began a renegotiation by itself and the {outcome.side(alert.direction)} ended it with {name}."
        )
    asked = f"The server asked for a client certificate {evidence.way(connection)}"
    if renegotiation.certificate_requested and renegotiation.certificate_presented is False:
        return (
            f"{asked}, the client had none to give, and the {outcome.side(alert.direction)} ended the handshake "
            f"with {name}."
        )
    if renegotiation.certificate_presented:
        return f"{asked}, the client gave one, and the {outcome.side(alert.direction)} ended the handshake with {name}."
    return (
        f"{asked}, and the {outcome.side(alert.direction)} ended the handshake with {name} before a certificate came."
    )


def _remedy(index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation, name: str) -> list[Remedy]:
    site = index.site(connection)
    if renegotiation.certificate_requested and renegotiation.certificate_presented is False:
        return remedies.supply_certificate(site)
    if renegotiation.certificate_presented:
        return remedies.mend_certificate(name)
    if renegotiation.by == "client":
        return remedies.begun_by_client()
    if evidence.post_handshake(connection):
        return remedies.ask_in_first_handshake(site)
    return remedies.ask_in_first_handshake(site, *remedies.allow_renegotiation(site))
