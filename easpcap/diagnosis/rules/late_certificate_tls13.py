"""late-certificate-tls13: the server wants a certificate late, and TLS 1.3 does not let it ask the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.facts import ClientHello
from easpcap.fields import Fields
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.http.exchange import Exchange
    from easpcap.results import Connection, Fact, Finding

RULE = ("late-certificate-tls13", "critical")
#: The same where only a bare 403 speaks for it.
POSSIBLE = ("late-certificate-tls13", "notice")

TITLE = "The server wants a client certificate for the request, and TLS 1.3 does not let it ask"

FORBIDDEN = 403  # RFC 9110 section 15.5.4
FIRST_ERROR = 400


#: What speaks against a bare 403.
DOUBT = "A 403 can have other causes than the certificate; the W3C log says which by sub-status (403.7: none given)."


class Refusal(Fields):
    """How the server refused a request, and whether that names the reason."""

    words: str
    proven: bool
    rule: tuple[str, str]
    against: list[str]


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per request that was refused so."""
    for connection in index.analysis.connections:
        hello = _hello_without_offer(index, connection)
        if hello is not None:
            for exchange in connection.exchanges:
                refusal = _refusal(index, connection, exchange)
                if refusal is not None:
                    yield _finding(index, connection, exchange, hello, refusal)


def _hello_without_offer(index: AnalysisIndex, connection: Connection) -> Fact | None:
    """The ClientHello of a TLS 1.3 connection that rules out being asked later; None where the server did ask."""
    tls = connection.tls
    if tls is None or tls.version != "TLS 1.3" or tls.certificate_requested is not None:
        return None
    hello = next(iter(index.facts(connection, "client-hello")), None)
    if hello is None or not isinstance(hello.what, ClientHello) or hello.what.offers_post_handshake_auth:
        return None
    return hello


def _refusal(index: AnalysisIndex, connection: Connection, exchange: Exchange) -> Refusal | None:
    response = exchange.response
    if exchange.request is None:
        return None
    if response is None:
        return _reset(index, exchange)
    if response.cause_phrase:
        detail = f"the text of the {response.status} says so ({response.cause_phrase})"
        return Refusal(detail, True, RULE, [])
    if response.status != FORBIDDEN or _let_in(index, exchange) or connection.decryption.status == "opaque":
        return None
    return Refusal("the server answered 403, which may be because no certificate came", False, POSSIBLE, [DOUBT])


def _reset(index: AnalysisIndex, exchange: Exchange) -> Refusal | None:
    """A reset instead of a response, at once."""
    request, ended = exchange.request, exchange.ended
    if request is None or ended is None or exchange.ended_by != "server-rst" or exchange.gap_before_response:
        return None
    if index.steady(ended) - index.steady(request.last) >= outcome.STALL_NS or _let_in(index, exchange):
        return None
    doubt = "A reset names no reason: the server may have failed, or something between may have cut the connection."
    return Refusal("the server reset the connection instead of answering", False, RULE, [doubt])


def _let_in(index: AnalysisIndex, exchange: Exchange) -> bool:
    """Whether requests of this kind pass without a certificate."""
    return any(
        other.response is not None and other.response.status < FIRST_ERROR and not index.renegotiations(other)
        for other in index.similar(exchange)
    )


def _finding(
    index: AnalysisIndex, connection: Connection, exchange: Exchange, hello: Fact, refusal: Refusal
) -> Finding:
    lines = [
        Evidence(hello.position, "the client's ClientHello, without post_handshake_auth"),
        *evidence.request_begins(index, exchange),
        *evidence.final_response(exchange),
    ]
    if exchange.response is None and exchange.ended is not None:
        lines.append(Evidence(exchange.ended, f"{evidence.ENDED_BY[exchange.ended_by]} without a response"))
    finding = evidence.finding(
        index,
        refusal.rule,
        connection,
        exchange,
        title=TITLE,
        detail="TLS 1.3 has no renegotiation, and this client does not offer post-handshake authentication: a "
        f"certificate that was not asked for in the first handshake can no longer be requested. Here {refusal.words}.",
        evidence=lines,
        against=refusal.against,
        remedies=remedies.ask_early_or_without_tls13(index.site(connection)),
    )
    if not refusal.proven:
        finding.confidence = "inferred"
    return finding
