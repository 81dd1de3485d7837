"""renegotiation-mid-body: the server asks while the request body is on its way, short of a deadlock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.diagnosis.renegotiation_outcome import Trouble
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.inference import HiddenRenegotiation
    from easpcap.diagnosis.renegotiation_outcome import RenegotiationOutcome, RequestAttempt
    from easpcap.results import Connection, Finding, Renegotiation

RULE = ("renegotiation-mid-body", "warning")

TITLE = "The server asks for a client certificate while the upload is still running"
REKEYING_TITLE = "The server renegotiates while the upload is still running, and asks for no certificate"


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per request, or per opaque connection."""
    for attempt in outcome.request_attempts(index, _fires):
        yield _proven(index, attempt)
    for connection in index.analysis.connections:
        fell_in = [hidden for hidden in index.hidden(connection) if hidden.mid_body]
        if fell_in and not any(outcome.is_hidden_deadlock(index, connection, hidden) for hidden in fell_in):
            yield _inferred(index, connection, fell_in[0])


def _fires(renegotiation: Renegotiation, how: RenegotiationOutcome) -> bool:
    return outcome.asked_mid_body(renegotiation) and Trouble.DEADLOCK not in how.trouble


def _proven(index: AnalysisIndex, attempt: RequestAttempt) -> Finding:
    connection, exchange, renegotiation, how = attempt
    rekeying = outcome.completed(renegotiation) and not renegotiation.certificate_requested
    lines = [
        *evidence.request_begins(index, exchange),
        evidence.asked(connection, renegotiation),
        *evidence.answered(connection, renegotiation, how),
        *evidence.window_closed(index, connection, renegotiation),
        *evidence.alert_sent(how),
        *evidence.final_response(exchange),
    ]
    if exchange.response is None:
        lines.append(evidence.connection_ends(how.end, exchange))
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title=REKEYING_TITLE if rekeying else TITLE,
        detail=_rekeying(renegotiation) if rekeying else _detail(connection, renegotiation),
        evidence=lines,
        against=_against(renegotiation, how),
        remedies=[] if rekeying else remedies.ask_in_first_handshake(index.site(connection)),
    )


def _rekeying(renegotiation: Renegotiation) -> str:
    """Nobody's certificate is concerned, so no setting for certificates can be the cure."""
    exchange = renegotiation.exchange
    status = exchange.response.status if exchange and exchange.response else None
    went = f" The upload went on, and the server answered {status}." if status is not None else ""
    return (
        "The server begins another handshake (HelloRequest) after the request head, while the client is sending the "
        "body, and does not ask for a certificate in it: it wants new keys, or other parameters. A client must notice "
        f"that in mid-upload, and the server must go on reading, or both wait for each other.{went}"
    )


def _detail(connection: Connection, renegotiation: Renegotiation) -> str:
    exchange = renegotiation.exchange
    status = exchange.response.status if exchange and exchange.response else None
    cause = (
        f"The server asks for the certificate only after the request head ({evidence.question(connection)}), while the "
        "client is sending the body. The client must notice that in mid-upload, and the server must go on reading, or "
        "both wait for each other."
    )
    if outcome.completed(renegotiation) and status is not None:
        return f"{cause} This time the upload went on, and the server answered {status}."
    if status is not None:
        return f"{cause} The client did not answer in time; the server answered {status}."
    return cause


def _against(renegotiation: Renegotiation, how: RenegotiationOutcome) -> list[str]:
    exchange = renegotiation.exchange
    if outcome.completed(renegotiation) and exchange is not None and exchange.response is not None:
        return [f"The handshake was completed and the response came ({exchange.response.status})."]
    if how.end.by == "capture" and exchange is not None and exchange.response is None:
        return [
            (
                f"The capture ends {evidence.duration(how.silence_ns)} after the last sign of life: "
                "what followed is not known, and it may have become a deadlock."
            )
        ]
    return []


def _inferred(index: AnalysisIndex, connection: Connection, hidden: HiddenRenegotiation) -> Finding:
    lines = hidden_evidence(hidden)
    if hidden.server_data is not None:
        lines.append(Evidence(hidden.server_data.first, "the server sends application data"))
    else:
        lines.append(evidence.connection_ends(outcome.closing(index, connection, hidden.hello.first), None))
    return evidence.finding(
        index,
        RULE,
        connection,
        None,
        title=TITLE,
        detail="The connection could not be decrypted, but the records show it: the server sent a handshake record "
        "with exactly the length of a HelloRequest in the middle of the client's application data.",
        evidence=lines,
        against=[NOT_READ],
        remedies=remedies.ask_in_first_handshake(index.site(connection)),
    )


NOT_READ = (
    "Nothing was decrypted. That the record is a HelloRequest, and that the data belongs to one request, is inferred "
    "from lengths and order."
)


def hidden_evidence(hidden: HiddenRenegotiation) -> list[Evidence]:
    """The upload, the HelloRequest and the ClientHello of an opaque connection."""
    lines = [
        Evidence(hidden.upload.first, "the client begins to send application data (encrypted)"),
        Evidence(
            hidden.hello.first,
            f"the server sends a handshake record of {hidden.hello.last_fragment_size} bytes, the length of a "
            f"HelloRequest; {hidden.sent_beyond:,} bytes of the upload had not reached the server",
        ),
    ]
    if hidden.client_hello is not None:
        lines.append(Evidence(hidden.client_hello.first, "the client sends a handshake record"))
    return lines
