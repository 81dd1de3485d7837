"""Questions for a client certificate, whenever they were asked, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.facts import ClientCertificate
from easpcap.fields import Fields
from easpcap.results import Evidence
from easpcap.stream import TO_CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.http.exchange import Exchange
    from easpcap.results import Connection, Fact, Renegotiation, TlsSummary

FORBIDDEN = 403  # RFC 9110 section 15.5.4
FIRST_ERROR = 400


class CertificateQuestion(Fields):
    """The server asked for a certificate; ``trouble`` says what went wrong after it, None where nothing did."""

    when: str  # "in the first handshake", "by renegotiation"
    since: int  # stamp before which nothing belongs to it
    exchange: Exchange | None
    renegotiation: Renegotiation | None
    presented: bool | None  # None: not seen
    alert: outcome.SentAlert | None  # the server's fatal alert
    forbidden: bool
    closed: bool  # by the server, without a response

    @property
    def alert_name(self) -> str | None:
        """Name of the server's fatal alert."""
        return None if self.alert is None else self.alert.what.name

    @property
    def trouble(self) -> str | None:
        """What followed, in words."""
        if self.alert_name is not None:
            return f"the server ended it with the fatal alert {self.alert_name}"
        if self.forbidden:
            return "the server answered 403"
        return "the server closed the connection without a response" if self.closed else None


def questions(index: AnalysisIndex, connection: Connection) -> Iterator[CertificateQuestion]:
    """At most one question for each exchange, the one nearest to it; and one where there is no exchange."""
    tls = connection.tls
    if tls is None:
        return
    seen: set[tuple[int, int] | None] = set()
    for question in (*_later(index, connection, tls), *_first(index, connection, tls)):
        where = question.exchange.key if question.exchange is not None else None
        if where not in seen:
            seen.add(where)
            yield question


def _later(index: AnalysisIndex, connection: Connection, tls: TlsSummary) -> Iterator[CertificateQuestion]:
    """Those asked by renegotiation, or after the handshake in TLS 1.3."""
    for renegotiation in tls.renegotiations:
        if renegotiation.by != "server" or not renegotiation.certificate_requested:
            continue
        exchange, stamp = renegotiation.exchange, renegotiation.position.stamp
        response = exchange.response if exchange else None
        end = outcome.closing(index, connection, renegotiation.position)
        last = response.first.stamp if response else end.position.stamp
        yield CertificateQuestion(
            when=evidence.way(connection),
            since=stamp,
            exchange=exchange,
            renegotiation=renegotiation,
            presented=renegotiation.certificate_presented,
            alert=_server_alert(index, connection, stamp, last),
            forbidden=exchange is not None and _forbidden(index, exchange, renegotiation.certificate_presented),
            closed=exchange is not None and exchange.outcome == "abandoned-by-server" and response is None,
        )


def _first(index: AnalysisIndex, connection: Connection, tls: TlsSummary) -> Iterator[CertificateQuestion]:
    """The one of the first handshake, reported once for each 403, else once for the connection.

    Where any request was let in, the certificate or its absence did no harm.
    """
    if tls.certificate_requested != "first-handshake" or _let_in(connection):
        return
    presented = _presented_first(index, connection, tls)
    refused = [e for e in connection.exchanges if e.response is not None and e.response.status == FORBIDDEN]
    if refused:
        for exchange in refused:
            if not _forbidden(index, exchange, presented):
                continue
            yield CertificateQuestion("in the first handshake", -1, exchange, None, presented, None, True, False)
        return
    if any(exchange.response is not None for exchange in connection.exchanges):
        return
    unanswered = connection.exchanges[0] if connection.exchanges else None
    asked = _first_fact(index, connection, "certificate-request", -1)
    alert = _server_alert(index, connection, asked.position.stamp if asked else -1, connection.last.stamp)
    closed = _closed_over_it(index, connection, unanswered)
    yield CertificateQuestion("in the first handshake", -1, unanswered, None, presented, alert, False, closed)


def _let_in(connection: Connection) -> bool:
    return any(e.response is not None and e.response.status < FIRST_ERROR for e in connection.exchanges)


def _forbidden(index: AnalysisIndex, exchange: Exchange, presented: bool | None) -> bool:
    """Whether a 403 may be for the certificate: not where a request of the kind was let in with the same answer."""
    if exchange.response is None or exchange.response.status != FORBIDDEN:
        return False
    return not any(
        other.response is not None
        and other.response.status < FIRST_ERROR
        and _answer(index, other) == presented
        and (not presented or _same_device(index, exchange, other))
        for other in (index.similar(exchange) if presented is not None else ())
    )


def _answer(index: AnalysisIndex, exchange: Exchange) -> bool | None:
    """Whether a certificate had come when the response began; None where none was asked for, or it was not seen."""
    connection, response = index.connection(exchange), exchange.response
    if connection.tls is None or response is None:
        return None
    for renegotiation in reversed(connection.tls.renegotiations):
        if renegotiation.certificate_requested and renegotiation.position.stamp < response.first.stamp:
            return renegotiation.certificate_presented
    return _presented_first(index, connection, connection.tls)


def _same_device(index: AnalysisIndex, exchange: Exchange, other: Exchange) -> bool:
    """Whether both come from one device, which has one certificate; by address where it gives no name."""
    one, two = index.command(exchange), index.command(other)
    if one is not None and two is not None and one.device_id and two.device_id:
        return one.device_id == two.device_id
    return index.connection(exchange).client.address == index.connection(other).client.address


def confidence(connection: Connection, question: CertificateQuestion) -> str:
    """A bare 403 names no reason, so that the certificate is only inferred from it."""
    return "inferred" if question.forbidden and question.alert is None else evidence.confidence(connection)


def _closed_over_it(index: AnalysisIndex, connection: Connection, exchange: Exchange | None) -> bool:
    """Whether the server closed before the handshake was done, or at once after the request."""
    if exchange is None:
        done = _first_fact(index, connection, "handshake-done", -1) is not None
        return connection.closed_by.startswith("server") and connection.decryption.status == "none" and not done
    if exchange.outcome != "abandoned-by-server" or exchange.request is None:
        return False
    end = exchange.ended or connection.last
    return index.steady(end) - index.steady(exchange.request.last) < outcome.STALL_NS


def _presented_first(index: AnalysisIndex, connection: Connection, tls: TlsSummary) -> bool | None:
    """Whether a certificate came in the first handshake; later handshakes speak for themselves."""
    came = _first_fact(index, connection, "client-certificate", -1)
    later = tls.renegotiations[0].position.stamp if tls.renegotiations else None
    if came is not None and isinstance(came.what, ClientCertificate) and (later is None or came.position.stamp < later):
        return came.what.count > 0
    return tls.certificate_presented if later is None else None


def _server_alert(index: AnalysisIndex, connection: Connection, since: int, until: int) -> outcome.SentAlert | None:
    """The server's first fatal alert between two stamps."""
    for alert in outcome.alerts_after(index, connection, since):
        if alert.position.stamp > until:
            return None
        if alert.direction == TO_CLIENT and alert.what.fatal:
            return alert
    return None


def _first_fact(index: AnalysisIndex, connection: Connection, kind: str, since: int) -> Fact | None:
    return next(outcome.facts_after(index, connection, since, kind), None)


def evidence_lines(index: AnalysisIndex, connection: Connection, question: CertificateQuestion) -> list[Evidence]:
    """The request, the question, the answer, and what followed."""
    lines: list[Evidence] = []
    exchange, renegotiation = question.exchange, question.renegotiation
    if exchange is not None:
        lines += evidence.request_begins(index, exchange)
    if renegotiation is not None:
        lines.append(evidence.asked(connection, renegotiation))
    asked = _first_fact(index, connection, "certificate-request", question.since)
    if asked is not None:
        lines.append(Evidence(asked.position, "the server's CertificateRequest"))
    came = _first_fact(index, connection, "client-certificate", question.since)
    if came is not None and question.presented is not None:
        what = "the client's certificate" if question.presented else "the client's certificate message is empty"
        lines.append(Evidence(came.position, what))
    if question.alert is not None:
        lines.append(Evidence(question.alert.position, f"the server's fatal alert {question.alert_name}"))
    if exchange is not None and question.forbidden:
        lines += evidence.final_response(exchange)
    if question.closed or not lines:
        lines.append(evidence.connection_ends(_end(index, connection, exchange), exchange))
    return lines


def _end(index: AnalysisIndex, connection: Connection, exchange: Exchange | None) -> outcome.Ending:
    after = exchange.request.last if exchange is not None and exchange.request is not None else connection.first
    return outcome.closing(index, connection, after)
