"""renegotiation-deadlock: the server asks in mid-body, and both sides wait until somebody gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.diagnosis.renegotiation_outcome import Trouble
from easpcap.diagnosis.rules.renegotiation_mid_body import NOT_READ, hidden_evidence
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.inference import HiddenRenegotiation
    from easpcap.diagnosis.renegotiation_outcome import RenegotiationOutcome, RequestAttempt
    from easpcap.results import Connection, Finding, Remedy, Renegotiation

RULE = ("renegotiation-deadlock", "critical")

TITLE = "The server asks for a client certificate while the upload is still running, and both sides wait"


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per request, or per opaque connection."""
    for attempt in outcome.request_attempts(index, lambda _, how: Trouble.DEADLOCK in how.trouble):
        yield _proven(index, attempt)
    for connection in index.analysis.connections:
        for hidden in index.hidden(connection):
            if outcome.is_hidden_deadlock(index, connection, hidden):
                yield _inferred(index, connection, hidden)
                break


def _proven(index: AnalysisIndex, attempt: RequestAttempt) -> Finding:
    connection, exchange, renegotiation, how = attempt
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title=TITLE,
        detail=f"The server asks for the certificate {evidence.way(connection)}. "
        f"{_why(connection, renegotiation, how)} {_waited(how)}",
        evidence=[
            *evidence.request_begins(index, exchange),
            evidence.asked(connection, renegotiation),
            *evidence.answered(connection, renegotiation, how),
            *evidence.window_closed(index, connection, renegotiation),
            *evidence.alert_sent(how),
            evidence.connection_ends(how.end, exchange),
        ],
        against=["The capture ends before either side gave up."] if how.end.by == "capture" else [],
        remedies=_cures(index, connection),
    )


def _why(connection: Connection, renegotiation: Renegotiation, how: RenegotiationOutcome) -> str:
    """Why both sides wait, as far as this capture shows it."""
    request = renegotiation.exchange.request if renegotiation.exchange else None
    if how.refusal is not None:
        return "The client refused (no_renegotiation), and the server did not go on."
    if renegotiation.client_hello is not None:
        return "The client answered with a ClientHello in the middle of its upload, and the server did not go on."
    if request is not None and request.complete:
        return f"The client sent its whole body but no {evidence.reply(connection)}, and the server did not go on."
    return (
        "The client will not answer until it has sent the whole body, and the server will not read the body until the "
        "client answers."
    )


def _cures(index: AnalysisIndex, connection: Connection) -> list[Remedy]:
    site = index.site(connection)
    return remedies.ask_in_first_handshake(site, *remedies.free_waiting_threads(site))


def _waited(how: RenegotiationOutcome) -> str:
    if how.end.by == "capture":
        return f"Nothing moved for {evidence.duration(how.silence_ns)} until the capture ended."
    return f"Nothing moved for {evidence.duration(how.silence_ns)} before the {how.end.by} gave up."


def _inferred(index: AnalysisIndex, connection: Connection, hidden: HiddenRenegotiation) -> Finding:
    lines = hidden_evidence(hidden)
    window = outcome.zero_window(index, connection, hidden.hello.first)
    if window is not None:
        follows = "" if hidden.client_hello else "; no handshake record of the client follows"
        lines.append(Evidence(window.position, f"the server's receive window is zero{follows}"))
    if hidden.server_alert is not None:
        lines.append(Evidence(hidden.server_alert.first, "the server sends an alert (encrypted)"))
    end = outcome.closing(index, connection, hidden.hello.first)
    lines.append(Evidence(end.position, f"{end.words}; the server sent no application data"))
    return evidence.finding(
        index,
        RULE,
        connection,
        None,
        title=TITLE,
        detail="The connection could not be decrypted, but the records show it: the server sent a handshake record "
        "with exactly the length of a HelloRequest in the middle of the client's application data. Then came neither a "
        "handshake nor a response, and nothing moved for "
        f"{evidence.duration(outcome.hidden_pause(index, connection, hidden))}.",
        evidence=lines,
        against=[NOT_READ],
        remedies=_cures(index, connection),
    )
