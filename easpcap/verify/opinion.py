"""Opinion: what one tool says about one connection, in a form in which two tools can be compared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from easpcap.facts import ClientHello, HelloRequest, ServerHello
from easpcap.fields import Fields, field
from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from easpcap.results import Connection


class StreamData(NamedTuple):
    """The application data of one direction: decrypted where TLS protects it. Missing bytes are left out."""

    bytes: int
    sha256: str
    missing: int = 0  # bytes of which the tool says that the capture lacks them


class Opinion(Fields):
    """What a tool says about one connection."""

    client_hellos: int = 0
    hello_requests: int = 0
    #: version and cipher suite of each ServerHello, in their order
    server_hellos: list[tuple[str, str]] = field(default_factory=list)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # method and target
    statuses: Counter[int] = field(default_factory=Counter)
    retried: bool = False  # the latest ServerHello is a HelloRetryRequest
    data: tuple[StreamData, StreamData] | None = None  # by direction; None: not known
    #: by direction: whether the tool cannot read some of the packets that one host sent to the other
    unread_packets: list[bool] = field(default_factory=lambda: [False, False])
    padding: bool = False  # segments hold a few zeros, which may be padding
    #: codes of the anomalies of the connection; easpcap's opinion only
    anomalies: frozenset[str] = frozenset()


def own_opinion(connection: Connection, anomalies: frozenset[str] = frozenset()) -> Opinion:
    """What easpcap says about a connection that was analyzed with ``digest``; ``anomalies`` are its codes."""
    opinion = Opinion(anomalies=anomalies)
    for fact in connection.facts:
        what = fact.what
        if isinstance(what, ClientHello):
            opinion.client_hellos += 1
        elif isinstance(what, HelloRequest):
            opinion.hello_requests += 1
        elif isinstance(what, ServerHello) and what.suite is not None:
            opinion.server_hellos.append((version_text(what.version), what.suite))
    for exchange in connection.exchanges:
        if exchange.request is not None:
            opinion.requests[exchange.request.method, exchange.request.target] += 1
        opinion.statuses.update(interim.status for interim in exchange.interim)
        if exchange.response is not None:
            opinion.statuses[exchange.response.status] += 1
    if connection.digest is not None:
        to_server, to_client = (
            StreamData(*connection.digest[direction], missing=connection.gaps[direction])
            for direction in (TO_SERVER, TO_CLIENT)
        )
        opinion.data = to_server, to_client
    return opinion


def version_text(version: int) -> str:
    """The name of a TLS version; drafts of TLS 1.3 count as TLS 1.3."""
    from easpcap.tls.handshake.verdict import version_name

    return version_name(0x0304 if version >> 8 == 0x7F else version) or ""
