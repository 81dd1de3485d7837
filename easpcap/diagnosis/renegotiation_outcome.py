"""How an attempt at a renegotiation ended: what went wrong, how its connection ended, how long nothing moved."""

from __future__ import annotations

from bisect import bisect_right
from enum import Flag, auto
from heapq import merge
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from easpcap.diagnosis.analysis_index import stamp
from easpcap.facts import NO_RENEGOTIATION, Alert
from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.inference import HiddenRenegotiation
    from easpcap.http.exchange import Exchange
    from easpcap.results import Connection, Fact, Renegotiation
    from easpcap.stream import Position

#: Silence from which a connection counts as stalled: shorter pauses are round trips, or an upload over a slow line.
STALL_NS = 2_000_000_000

#: The same with a zero receive window, which says by itself that nobody reads.
ZERO_WINDOW_STALL_NS = 200_000_000

#: Time in which a client could have answered: an end sooner than that says nothing about the client.
ANSWER_NS = 200_000_000

FORBIDDEN = 403  # RFC 9110 section 15.5.4

CLOSING = ("fin", "rst", "close-notify")
CLOSING_WORDS = {
    "fin": "closes the connection",
    "rst": "resets the connection",
    "close-notify": "ends TLS (close_notify)",
}


class Ending(NamedTuple):
    """What ended a connection, or a handshake on it; ``by`` is server, client, or capture."""

    position: Position
    time_ns: int
    by: str
    kind: str  # fin, rst, close-notify, alert, capture-end

    @property
    def words(self) -> str:
        """Who ended it and how, in words."""
        if self.by == "capture":
            return "the last packet of this connection before the capture ends"
        return f"the {self.by} {CLOSING_WORDS[self.kind]}"


def side(direction: int) -> str:
    """Who sent what went in a direction."""
    return "client" if direction == TO_SERVER else "server"


def completed(renegotiation: Renegotiation) -> bool:
    """Whether the handshake came to its end (TLS 1.3: whether the client answered the CertificateRequest)."""
    if renegotiation.outcome == "post-handshake":
        return renegotiation.done is not None or renegotiation.certificate_presented is not None
    return renegotiation.outcome in {"full", "abbreviated"}


def answered(renegotiation: Renegotiation) -> bool:
    """Whether the client did anything about it: by a ClientHello, in TLS 1.3 by its Certificate."""
    return renegotiation.client_hello is not None or renegotiation.certificate_presented is not None


def facts_after(index: AnalysisIndex, connection: Connection, since: int, *kinds: str) -> Iterator[Fact]:
    """Facts of some kinds after a stamp, in causal order."""
    found = [index.facts(connection, kind) for kind in kinds]
    return merge(*(islice(facts, bisect_right(facts, since, key=stamp), None) for facts in found), key=stamp)


def closing(index: AnalysisIndex, connection: Connection, after: Position) -> Ending:
    """The first FIN, RST or close_notify after a position, else the end of the capture."""
    for fact in facts_after(index, connection, after.stamp, *CLOSING):
        return Ending(fact.position, fact.position.time_ns, side(fact.direction), fact.kind)
    return Ending(connection.last, index.capture_end(connection), "capture", "capture-end")


class SentAlert(NamedTuple):
    """An alert that was read; the fields are those of the Fact."""

    what: Alert
    direction: int
    position: Position

    @property
    def is_refusal(self) -> bool:
        """Whether the client sends no_renegotiation (RFC 5246 section 7.2.2), as a warning or as a fatal alert."""
        return self.direction == TO_SERVER and self.what.description == NO_RENEGOTIATION


def alerts_after(index: AnalysisIndex, connection: Connection, since: int) -> Iterator[SentAlert]:
    """The alerts after a stamp, in causal order."""
    for fact in facts_after(index, connection, since, Alert.kind):
        if isinstance(fact.what, Alert):
            yield SentAlert(fact.what, fact.direction, fact.position)


def refusal(index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation) -> Position | None:
    """Where the client said no_renegotiation to this HelloRequest."""
    if renegotiation.outcome == "refused" and renegotiation.alert is not None:
        return renegotiation.alert
    if completed(renegotiation):
        return None
    alerts = alerts_after(index, connection, renegotiation.position.stamp)
    return next((alert.position for alert in alerts if alert.is_refusal), None)


def fatal_alert(index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation) -> SentAlert | None:
    """The fatal alert that ended this handshake; one that only answers the closing of the connection is none."""
    if completed(renegotiation):
        return None
    end = closing(index, connection, renegotiation.position)
    went_on = _went_on(connection, renegotiation)
    for alert in alerts_after(index, connection, renegotiation.position.stamp):
        if end.by != "capture" and alert.position.stamp > end.position.stamp:
            return None
        if went_on is not None and alert.position.stamp > went_on.stamp:
            return None
        if alert.what.fatal and not alert.is_refusal:
            return alert
    return None


def _went_on(connection: Connection, renegotiation: Renegotiation) -> Position | None:
    """The first response to a request that was sent after the question: from there on the server did without."""
    for exchange in connection.exchanges:
        request, response = exchange.request, exchange.response
        if request is None or response is None or exchange is renegotiation.exchange:
            continue
        if request.first.stamp > renegotiation.position.stamp:
            return response.first
    return None


def zero_window(index: AnalysisIndex, connection: Connection, after: Position) -> Fact | None:
    """The first time after a position that the server said it had no room left."""
    found = facts_after(index, connection, after.stamp, "zero-window")
    return next((fact for fact in found if fact.direction == TO_CLIENT), None)


def stall_limit(index: AnalysisIndex, connection: Connection, after: Position) -> int:
    """Nanoseconds of silence that make a stall on this connection."""
    return STALL_NS if zero_window(index, connection, after) is None else ZERO_WINDOW_STALL_NS


def silence(until: Ending, moves: Iterable[Position | None]) -> int:
    """Nanoseconds between the last sign of life and the ending."""
    times = [move.time_ns for move in moves if move is not None and move.time_ns <= until.time_ns]
    return until.time_ns - max(times, default=until.time_ns)


def answer_may_be_missing(index: AnalysisIndex, connection: Connection, after: Position) -> bool:
    """Whether bytes are missing after a position: a ClientHello, an alert or a response may be among them."""
    return any(facts_after(index, connection, after.stamp, "gap"))


class Trouble(Flag):
    """What went wrong with an attempt at a renegotiation. A refusal that the server never reads is a deadlock too."""

    NONE = 0
    DEADLOCK = auto()  # both sides waited for each other in mid-body until somebody, or the capture, ended it
    REFUSED = auto()  # the client said no_renegotiation, or ignored the request and the server insisted
    FAILED = auto()  # a fatal alert ended the handshake, and not because the client refused


class RenegotiationOutcome(NamedTuple):
    """How the attempt at a renegotiation ended."""

    end: Ending  # of the connection
    alert: SentAlert | None  # the fatal alert that ended the handshake
    refusal: Position | None  # the client's no_renegotiation
    silence_ns: int  # before the alert or the end
    trouble: Trouble = Trouble.NONE


class Attempt(NamedTuple):
    """An attempt at a renegotiation and how it ended."""

    connection: Connection
    renegotiation: Renegotiation
    outcome: RenegotiationOutcome


class RequestAttempt(NamedTuple):
    """An attempt that fell into a request."""

    connection: Connection
    exchange: Exchange
    renegotiation: Renegotiation
    outcome: RenegotiationOutcome


def attempts(index: AnalysisIndex, matches: Callable[[Renegotiation, RenegotiationOutcome], bool]) -> Iterator[Attempt]:
    """The first match of every exchange, and the first of a connection among those outside of exchanges."""
    for connection in index.analysis.connections:
        seen: set[tuple[int, int] | None] = set()
        for renegotiation in connection.tls.renegotiations if connection.tls else ():
            where = renegotiation.exchange.key if renegotiation.exchange is not None else None
            if where in seen:
                continue
            how = outcome_of(index, connection, renegotiation)
            if matches(renegotiation, how):
                seen.add(where)
                yield Attempt(connection, renegotiation, how)


def request_attempts(
    index: AnalysisIndex, matches: Callable[[Renegotiation, RenegotiationOutcome], bool]
) -> Iterator[RequestAttempt]:
    """The first match of every exchange."""
    for connection, renegotiation, how in attempts(index, matches):
        if renegotiation.exchange is not None:
            yield RequestAttempt(connection, renegotiation.exchange, renegotiation, how)


def outcome_of(index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation) -> RenegotiationOutcome:
    """Follow an attempt to its end, and classify it."""
    end = closing(index, connection, renegotiation.position)
    alert = fatal_alert(index, connection, renegotiation)
    refused = refusal(index, connection, renegotiation)
    until = end if alert is None else Ending(alert.position, alert.position.time_ns, side(alert.direction), "alert")
    how = RenegotiationOutcome(end, alert, refused, silence(until, _moves(renegotiation, refused)))
    return how._replace(trouble=_classify(index, connection, renegotiation, how))


def _moves(renegotiation: Renegotiation, refused: Position | None) -> list[Position | None]:
    request = renegotiation.exchange.request if renegotiation.exchange else None
    return [renegotiation.position, renegotiation.client_hello, refused, request.last if request else None]


def _classify(
    index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation, how: RenegotiationOutcome
) -> Trouble:
    """What went wrong: nothing where the handshake was completed."""
    if completed(renegotiation):
        return Trouble.NONE
    trouble = Trouble.NONE
    if _both_waited(index, connection, renegotiation, how):
        trouble |= Trouble.DEADLOCK
    if renegotiation.by == "server" and (how.refusal is not None or _insisted(connection, renegotiation, how, trouble)):
        trouble |= Trouble.REFUSED
    if how.alert is not None and how.refusal is None and _was_under_way(renegotiation, how.alert):
        trouble |= Trouble.FAILED
    return trouble


def _both_waited(
    index: AnalysisIndex, connection: Connection, renegotiation: Renegotiation, how: RenegotiationOutcome
) -> bool:
    """Whether both sides waited in mid-body. A side that answers at once, by an alert, does not wait."""
    exchange = renegotiation.exchange
    if exchange is None or not (asked_mid_body(renegotiation) or _sent_without_waiting(renegotiation)):
        return False
    if exchange.response is not None or exchange.gap_before_response:
        return False
    if answer_may_be_missing(index, connection, renegotiation.position):
        return False
    return how.silence_ns >= stall_limit(index, connection, renegotiation.position)


def _insisted(
    connection: Connection, renegotiation: Renegotiation, how: RenegotiationOutcome, trouble: Trouble
) -> bool:
    """Whether the client ignored the request and the server would not go on without an answer."""
    if answered(renegotiation) or connection.gaps[TO_SERVER]:  # a ClientHello may be among missing bytes
        return False
    if Trouble.DEADLOCK in trouble:
        return False
    return (how.alert is not None and how.alert.direction == TO_CLIENT) or _server_gave_up(renegotiation, how)


def _server_gave_up(renegotiation: Renegotiation, how: RenegotiationOutcome) -> bool:
    """Whether the server ended the exchange over an unanswered HelloRequest: by a 403, or by closing."""
    exchange = renegotiation.exchange
    if after_response(renegotiation):
        return False
    if exchange is None:  # between requests nothing was asked for: an idle connection is closed sooner or later
        return False
    if exchange.response is not None:
        return exchange.response.status == FORBIDDEN
    had_time = how.end.time_ns - renegotiation.position.time_ns >= ANSWER_NS
    return how.end.by == "server" and had_time and not exchange.gap_before_response


def _was_under_way(renegotiation: Renegotiation, alert: SentAlert) -> bool:
    """Whether the client took part in the handshake that an alert ended."""
    return renegotiation.by == "client" or answered(renegotiation) or alert.direction == TO_SERVER


def asked_mid_body(renegotiation: Renegotiation) -> bool:
    """Whether the server asked while the body it had been promised was on its way."""
    if after_response(renegotiation):
        return False
    return renegotiation.by == "server" and renegotiation.mid_body and not renegotiation.awaiting_continue


def _sent_without_waiting(renegotiation: Renegotiation) -> bool:
    """Whether the client sent its body although the 100 that it asked for did not come (RFC 9110 section 10.1.1)."""
    exchange = renegotiation.exchange
    if exchange is None or exchange.request is None or not renegotiation.awaiting_continue:
        return False
    return exchange.request.body_bytes > 0 and not exchange.request.complete and not exchange.interim


def after_response(renegotiation: Renegotiation) -> bool:
    """Whether the final response had begun before the question: it was decided without a certificate."""
    response = renegotiation.exchange.response if renegotiation.exchange else None
    return response is not None and response.first.stamp < renegotiation.position.stamp


def is_hidden_deadlock(index: AnalysisIndex, connection: Connection, hidden: HiddenRenegotiation) -> bool:
    """The same on an opaque connection; here a stall must be seen, since alerts cannot be read."""
    if not hidden.mid_body or hidden.completed or hidden.server_data is not None or connection.gaps[TO_SERVER]:
        return False
    return hidden_pause(index, connection, hidden) >= stall_limit(index, connection, hidden.hello.first)


def hidden_pause(index: AnalysisIndex, connection: Connection, hidden: HiddenRenegotiation) -> int:
    """The longest silence in ns after the client's last data: until an alert record, or the end of the connection."""
    end = closing(index, connection, hidden.hello.first).time_ns
    last_data = max(move.time_ns for move in (hidden.hello.last, hidden.last_client_data) if move is not None)
    hello = hidden.client_hello.last.time_ns if hidden.client_hello else last_data
    alerts = (run.first.time_ns for run in (hidden.client_alert, hidden.server_alert) if run is not None)
    start = max(last_data, hello)
    moments = [start, *sorted(time for time in alerts if start < time < end), max(start, end)]
    return max(later - earlier for earlier, later in pairwise(moments))
