"""renegotiation-deadlock: the server asks in mid-body, and both sides wait until somebody gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as course
from easpcap.diagnosis.rules.renegotiation_mid_body import NOT_READ, hidden_evidence
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import Casebook
    from easpcap.diagnosis.inference import HiddenRenegotiation
    from easpcap.diagnosis.renegotiation_outcome import Course
    from easpcap.results import Connection, Finding, Renegotiation

RULE = ("renegotiation-deadlock", "critical")

TITLE = "The server asks for a client certificate while the upload is still running, and both sides wait"


def find(book: Casebook) -> Iterator[Finding]:
    """One finding per request, or per opaque connection."""
    for connection, renegotiation in book.attempts(course.is_deadlock):
        yield _proven(book, connection, renegotiation)
    for connection in book.analysis.connections:
        for hidden in book.hidden(connection):
            if course.is_hidden_deadlock(book, connection, hidden):
                yield _inferred(book, connection, hidden)
                break


def _proven(book: Casebook, connection: Connection, renegotiation: Renegotiation) -> Finding:
    exchange = renegotiation.exchange
    assert exchange is not None  # noqa: S101  # is_deadlock asks for it
    how = course.course(book, connection, renegotiation)
    return evidence.finding(
        book,
        RULE,
        connection,
        exchange,
        title=TITLE,
        detail=f"The certificate is asked for {evidence.way(connection)}: the client must send its whole body first, "
        f"the server will not read it first. {_waited(how)}",
        evidence=[
            *evidence.request_begins(book, exchange),
            evidence.asked(connection, renegotiation),
            *evidence.answered(book, connection, renegotiation),
            *evidence.window_closed(book, connection, renegotiation),
            *evidence.alert_sent(how),
            evidence.connection_ends(how.end, exchange),
        ],
        against=_against(book, connection, renegotiation, how),
        remedy=[*remedies.ask_in_first_handshake(book.site(connection)), *ALSO],
    )


ALSO = [
    (
        "Until then: recycling the application pool frees the threads that wait; more threads only delay the next "
        "standstill."
    ),
]


def _waited(how: Course) -> str:
    if how.end.by == "capture":
        return f"Nothing moved for {evidence.duration(how.silence_ns)} until the capture ended."
    return f"Nothing moved for {evidence.duration(how.silence_ns)} before the {how.end.by} gave up."


def _against(book: Casebook, connection: Connection, renegotiation: Renegotiation, how: Course) -> list[str]:
    found = []
    if how.silence_ns < course.stall_limit(book, connection, renegotiation.position):
        found.append(
            f"Only {evidence.duration(how.silence_ns)} of silence before the end: the {how.end.by} may have "
            "closed for another reason."
        )
    if how.end.by == "capture":
        found.append("The capture ends before either side gave up.")
    return found


def _inferred(book: Casebook, connection: Connection, hidden: HiddenRenegotiation) -> Finding:
    lines = hidden_evidence(hidden)
    window = course.zero_window(book, connection, hidden.hello.first)
    if window is not None:
        follows = "" if hidden.client_hello else "; no handshake record of the client follows"
        lines.append(Evidence(window.position, f"the server's receive window is zero{follows}"))
    if hidden.server_alert is not None:
        lines.append(Evidence(hidden.server_alert.first, "an alert of the server (encrypted)"))
    end = course.closing(book, connection, hidden.hello.first)
    lines.append(Evidence(end.position, f"{end.told}; no application data of the server came"))
    return evidence.finding(
        book,
        RULE,
        connection,
        None,
        title=TITLE,
        detail="Seen from outside: a handshake record of the server with exactly the length of a HelloRequest "
        "stands in the "
        "middle of the client's application data; then neither a handshake nor a response, and nothing moved for "
        f"{evidence.duration(course.hidden_pause(book, connection, hidden))}. The connection could not be decrypted.",
        evidence=lines,
        against=[NOT_READ],
        remedy=[*remedies.ask_in_first_handshake(book.site(connection)), *ALSO],
    )
