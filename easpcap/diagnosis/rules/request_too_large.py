"""request-too-large: a final 413, and what most likely set the limit."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from easpcap.advice import remedies
from easpcap.advice.site import proxy_name
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.fields import Fields
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.http.exchange import Exchange
    from easpcap.results import Connection, Finding, Renegotiation

RULE = ("request-too-large", "critical")

TOO_LARGE = 413  # RFC 9110 section 15.5.14
FIRST_ERROR = 400

KNOWN_LIMITS = (
    (remedies.READ_AHEAD_DEFAULT, "IIS reads 49,152 bytes ahead unless uploadReadAheadSize says otherwise"),
    (remedies.APACHE_BUFFER_DEFAULT, "Apache reads 131,072 bytes ahead unless SSLRenegBufferSize says otherwise"),
)


class Grounds(Fields):
    """What the capture says about the limit that was met."""

    size: int  # announced, else seen
    pending: bool  # the server had asked for a certificate in this very request and still waited for it
    settled: str | None  # why a renegotiation in this request cannot have set the limit
    renegotiated: Exchange | None  # the largest smaller request of the same kind that renegotiated and passed
    accepted: int | None  # body bytes of the largest request of the kind that was let through
    larger_accepted: int | None  # the same, where it was larger than this one
    asked_elsewhere: bool  # the server renegotiated for a certificate in requests of another kind
    asked_first: bool  # certificate asked in the first handshake
    encrypted: bool
    authorization: bool
    proxy: str | None


class Passed(Fields):
    """Requests of one kind that the server let through, by size."""

    sizes: list[int]
    renegotiated: list[Exchange]


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per exchange with a final 413."""
    kinds: dict[object, Passed] = {}
    for exchange in index.analysis.exchanges:
        if exchange.response is not None and exchange.response.status == TOO_LARGE:
            kind = index.kind(exchange)
            if kind not in kinds:
                kinds[kind] = _passed(index, exchange)
            yield _finding(index, exchange, _grounds(index, exchange, kinds[kind]))


def _passed(index: AnalysisIndex, exchange: Exchange) -> Passed:
    found = [e for e in index.similar(exchange) if e.response is not None and e.response.status < FIRST_ERROR]
    found.sort(key=_size)
    return Passed([_size(e) for e in found], [e for e in found if _renegotiated(index, e)])


def _grounds(index: AnalysisIndex, exchange: Exchange, passed: Passed) -> Grounds:
    connection, request = index.connection(exchange), exchange.request
    size = _size(exchange)
    smaller = bisect_left(passed.sizes, size)
    renegotiated = bisect_left(passed.renegotiated, size, key=_size)
    settled = [_settled(exchange, r) for r in index.renegotiations(exchange) if r.by == "server"]
    pending = None in settled
    return Grounds(
        size=size,
        pending=pending,
        settled=settled[-1] if settled and not pending else None,
        renegotiated=passed.renegotiated[renegotiated - 1] if renegotiated else None,
        accepted=passed.sizes[smaller - 1] if smaller else None,
        larger_accepted=passed.sizes[-1] if passed.sizes and passed.sizes[-1] > size else None,
        asked_elsewhere=connection.server in index.servers_that_ask_late,
        encrypted=connection.tls is not None,
        asked_first=connection.tls is not None and connection.tls.certificate_requested == "first-handshake",
        authorization=request is not None and request.header("authorization") is not None,
        proxy=proxy_name(exchange.response.header("server") if exchange.response else None),
    )


def _settled(exchange: Exchange, renegotiation: Renegotiation) -> str | None:
    """Why this renegotiation did not cause the 413; None where it was still open when the 413 came."""
    request, response, done = exchange.request, exchange.response, renegotiation.done
    if response is not None and renegotiation.position.stamp > response.first.stamp:
        return "the server renegotiated only after the 413"
    before = done is None or response is None or done.stamp < response.first.stamp
    if outcome.completed(renegotiation) and before:
        if not renegotiation.certificate_requested:
            return "the renegotiation in this request asked for no certificate"
        return "the certificate was asked for in this request, and that handshake was complete before the 413"
    had = renegotiation.body_offset_acknowledged
    if request is not None and request.complete and had is not None and had >= request.body_bytes:
        return "the server had the whole body before it asked for a certificate"
    return None


def _renegotiated(index: AnalysisIndex, exchange: Exchange) -> bool:
    """Whether the server asked for a certificate by renegotiation in this exchange, and got its handshake."""
    return any(
        r.by == "server" and r.certificate_requested and outcome.completed(r) for r in index.renegotiations(exchange)
    )


def _size(exchange: Exchange) -> int:
    """The announced size of the body, else what was seen of it."""
    request = exchange.request
    if request is None:
        return 0
    return request.content_length if request.content_length is not None else request.body_bytes


def _finding(index: AnalysisIndex, exchange: Exchange, grounds: Grounds) -> Finding:
    connection = index.connection(exchange)
    verdict = _judge(grounds)
    site = index.site(connection)
    cures = remedies.raise_other_limit(site, grounds.size) if verdict.other_limit else []
    if verdict.late_certificate:
        cures = remedies.ask_in_first_handshake(site, *remedies.raise_read_ahead(site, grounds.size), *cures)
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title="The server refuses the request as too large (413)",
        detail=f"{_what(index, exchange, grounds)} {verdict.words}",
        evidence=[
            *evidence.request_begins(index, exchange),
            *[evidence.asked(connection, r) for r in index.renegotiations(exchange) if r.by == "server"],
            *_answer(exchange),
            *_close(index, connection, exchange),
        ],
        against=_against(grounds, late=verdict.late_certificate),
        remedies=cures,
        compared=_compared(index, grounds),
    )


def _what(index: AnalysisIndex, exchange: Exchange, grounds: Grounds) -> str:
    request = exchange.request
    if request is None:
        return "A request whose head was not captured was answered 413."
    announced = request.content_length is not None
    size = f"{grounds.size:,} bytes" if announced else f"at least {grounds.size:,} bytes (chunked, size not announced)"
    return f"{index.label(exchange)} with a body of {size} was answered 413."


LATE = (
    "the server asks for the client certificate only after the request has begun, and buffers only a limited part of "
    "the body before it asks"
)


class Verdict(NamedTuple):
    """What most likely set the limit, in words, and which cures are worth giving for it."""

    words: str
    late_certificate: bool = False
    other_limit: bool = True


def _judge(grounds: Grounds) -> Verdict:
    """The first explanation that fits. The order is the argument: what is proven, what excludes, what is likely."""
    if grounds.pending:
        return _late("Confirmed", "; it asked in this very exchange, and had no answer yet when it sent the 413")
    if grounds.settled:
        return Verdict(f"Cause: another limit; {grounds.settled}.")
    if grounds.renegotiated and grounds.larger_accepted is None:
        largest = _size(grounds.renegotiated)
        accepted = (
            f". For requests of the same kind of up to {largest:,} bytes it asked by renegotiation and then accepted "
            "the request"
        )
        return _late("Likely", accepted, _limit_between(largest, grounds.size))
    if grounds.proxy:
        return Verdict(f"Likely cause: the limit of a proxy in front ({grounds.proxy} by its Server header).")
    if grounds.asked_first:
        why = "the server asked for the certificate in the first handshake, so it need not ask late"
        return Verdict(f"Cause: another limit; {why}.")
    if not grounds.encrypted:
        return Verdict("Cause: another limit; the connection is not encrypted, so no certificate was wanted.")
    if grounds.larger_accepted is not None:
        larger = f"the server accepted a larger request of the same kind ({grounds.larger_accepted:,} bytes)"
        return Verdict(f"Cause: not known; {larger}.")
    if grounds.authorization and grounds.size <= remedies.READ_AHEAD_DEFAULT:
        why = "the body is smaller than what servers buffer before they ask for a certificate late"
        return Verdict(f"Likely cause: another limit; {why}.")
    return _possible(grounds, _limit_between(grounds.accepted or 0, grounds.size))


def _possible(grounds: Grounds, limits: str) -> Verdict:
    """Nothing in this exchange shows what set the limit."""
    if grounds.asked_elsewhere:
        return _late("Possible", ". The server does so for other requests in this capture", limits)
    unproven = "The server did not ask for a certificate in the first handshake; this capture does not prove it"
    if not grounds.authorization:
        return _late("Possible", f". {unproven}", limits)
    either = "; another size limit is equally likely, because the request already carries an Authorization header"
    return _late("Possible", f"{either}. {unproven}", limits)._replace(other_limit=True)


def _late(how_sure: str, grounds: str, limits: str = "") -> Verdict:
    return Verdict(f"{how_sure} cause: {LATE}{grounds}.{limits}", late_certificate=True, other_limit=False)


def _limit_between(accepted: int, refused: int) -> str:
    """Known limits that lie between what was accepted and what was refused."""
    found = [text for limit, text in KNOWN_LIMITS if accepted <= limit < refused]
    if found:
        return f" {'; '.join(found)}."
    if 0 < refused <= remedies.READ_AHEAD_DEFAULT:
        return (
            " That is below the default of IIS. The unit of its setting is bytes: a site set to 200, meant as KB, "
            "refuses 201 bytes."
        )
    return ""


def _answer(exchange: Exchange) -> list[Evidence]:
    request, lines = exchange.request, evidence.final_response(exchange)
    if request is not None and request.body_bytes:
        state = "complete" if request.complete else "not complete"
        lines.append(Evidence(request.last, f"the request so far: {request.body_bytes:,} body bytes, {state}"))
    return lines


def _close(index: AnalysisIndex, connection: Connection, exchange: Exchange) -> list[Evidence]:
    response = exchange.response
    if response is None:
        return []
    end = outcome.closing(index, connection, response.first)
    return [] if end.by == "capture" else [evidence.connection_ends(end, exchange)]


def _compared(index: AnalysisIndex, grounds: Grounds) -> list[Evidence]:
    """The largest request of the same kind that was renegotiated for and let through."""
    largest = grounds.renegotiated
    if largest is None or largest.request is None or largest.response is None:
        return []
    what = (
        f"for comparison, connection {largest.connection}: {index.label(largest)} with {_size(largest):,} bytes "
        "was asked for a certificate"
    )
    return [Evidence(largest.request.first, f"{what} and answered {largest.response.status}")]


def _against(grounds: Grounds, *, late: bool) -> list[str]:
    if grounds.pending:
        return []
    found = []
    if grounds.settled:
        found.append(f"Against a late certificate: {grounds.settled}.")
    if late:
        if not grounds.renegotiated:
            found.append(
                "The capture shows no smaller request for which the server asked for a certificate: another limit on "
                "request bodies would look the same."
            )
        if grounds.authorization:
            found.append("The request has an Authorization header: the server may not want a certificate for it.")
        if grounds.asked_first:
            found.append("On this connection the server asked for the certificate in the first handshake.")
        if grounds.proxy:
            found.append(f"The Server header names {grounds.proxy}, which may have a body limit too.")
    if grounds.larger_accepted is not None:
        found.append(f"A larger request of the same kind ({grounds.larger_accepted:,} bytes) was accepted.")
    return found
