"""The documented limitations that explain why tshark sees less than easpcap, or the other way round.

Each one is named only where the connection itself shows that it applies. What none of them explains stays unexplained.
``docs/verify.md`` describes them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

from easpcap.facts import HandshakeDone, TlsBegin
from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from easpcap.http.exchange import Message
    from easpcap.results import Connection
    from easpcap.verify.opinion import Opinion

Limitation = Literal[
    "lost-bytes",
    "damaged-record",
    "late-segment",
    "ignored-segment",
    "padding",
    "segmentation-offload",
    "incomplete-head",
    "blank-in-target",
    "unknown-method",
    "post-handshake-authentication",
    "tls-after-clear-text",
    "unsupported-suite",
]

#: The anomalies that say a TLS record is damaged, and that a segment did not count.
DAMAGED_RECORDS: Final = frozenset({"tls-bad-mac", "tls-bad-record", "tls-broken-message"})
IGNORED_SEGMENTS: Final = frozenset({"tcp-out-of-window", "tcp-reset-ignored", "tcp-syn-ignored"})

_BLANK: Final = "%20"

#: The methods that Wireshark's HTTP dissector takes for a request (WebDAV, DeltaV, MS-RPCH and a few others).
_KNOWN_METHODS: Final = frozenset({
    "BASELINE-CONTROL", "BCOPY", "BDELETE", "BMOVE", "BPROPFIND", "BPROPPATCH", "CCM_POST", "CHECKIN",
    "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LABEL", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY",
    "MKCOL", "MKWORKSPACE", "MOVE", "OPTIONS", "PATCH", "POLL", "POST", "PROPFIND", "PROPPATCH", "PUT",
    "REPORT", "RPC_CONNECT", "RPC_IN_DATA", "RPC_OUT_DATA", "SEARCH", "SOURCE", "SSTP_DUPLEX_POST", "TRACE",
    "UNCHECKOUT", "UNLOCK", "UPDATE", "VERSION-CONTROL",
})  # fmt: skip


def explain_segments(own: Opinion, other: Opinion) -> list[Limitation]:
    """Why tshark may see anything else on a connection: it counts segments that the receiver ignored."""
    if own.anomalies & IGNORED_SEGMENTS:
        return ["ignored-segment"]
    return ["padding"] if other.padding else []


def explain_data(connection: Connection, direction: int, own: Opinion, other: Opinion) -> list[Limitation]:
    """Why the data of a direction differs; empty where no limitation explains it."""
    if own.data is None or other.data is None:
        return []
    mine, theirs = own.data[direction], other.data[direction]
    if theirs.bytes < mine.bytes and other.unread_packets[direction]:
        return ["segmentation-offload"]
    if connection.tls is None:
        same_length = mine.bytes + mine.missing == theirs.bytes + theirs.missing
        return ["late-segment"] if same_length and theirs.missing > mine.missing else []
    if theirs.bytes < mine.bytes:
        if direction == TO_SERVER and _authenticated_after_handshake(connection):
            return ["post-handshake-authentication"]
        if mine.missing or (any(connection.gaps) and own.client_hellos > 1):  # the hellos of new keys are lost to it
            return ["lost-bytes"]
        if own.anomalies & DAMAGED_RECORDS:
            return ["damaged-record"]
        if not other.server_hellos and _begins_in_clear_text(connection):
            return ["tls-after-clear-text"]
    elif theirs.bytes > mine.bytes and connection.decryption.unsupported is not None:
        return ["unsupported-suite"]
    return []


def explain_handshakes(connection: Connection, own: Opinion, other: Opinion) -> list[Limitation]:
    """Why the handshake messages differ."""
    fewer = (
        other.client_hellos <= own.client_hellos
        and other.hello_requests <= own.hello_requests
        and not Counter(other.server_hellos) - Counter(own.server_hellos)
    )
    if not fewer:
        return ["unsupported-suite"] if connection.decryption.unsupported is not None else []
    if any(other.unread_packets):
        return ["segmentation-offload"]
    if any(connection.gaps):
        return ["lost-bytes"]
    if own.anomalies & DAMAGED_RECORDS:
        return ["damaged-record"]
    return ["tls-after-clear-text"] if not other.server_hellos and _begins_in_clear_text(connection) else []


def explain_requests(connection: Connection, own: Opinion, other: Opinion) -> list[Limitation]:
    """Why the requests differ."""
    lacking, extra = own.requests - other.requests, other.requests - own.requests
    cut = Counter({(method, target): lacking[method, target] for method, target in lacking if _BLANK in target})
    found: list[Limitation] = []
    for (method, target), number in cut.items():
        shown = method, target.partition(_BLANK)[0]
        if extra[shown] >= number:
            extra[shown] -= number
            del lacking[method, target]
            found = ["blank-in-target"]
    if +extra:
        return []
    unknown = [request for request in lacking if request[0] not in _KNOWN_METHODS]
    for request in unknown:
        del lacking[request]
    found += ["unknown-method"] if unknown else []
    unfinished = Counter(
        (exchange.request.method, exchange.request.target)
        for exchange in connection.exchanges
        if exchange.request is not None and _head_is_incomplete(exchange.request)
    )
    return _explain_lacking(lacking, unfinished, found, _messages_cause(connection, TO_SERVER, own, other))


def explain_statuses(connection: Connection, own: Opinion, other: Opinion) -> list[Limitation]:
    """Why the statuses differ."""
    if other.statuses - own.statuses:
        return []
    unfinished = Counter(
        exchange.response.status
        for exchange in connection.exchanges
        if exchange.response is not None and _head_is_incomplete(exchange.response)
    )
    cause = _messages_cause(connection, TO_CLIENT, own, other)
    return _explain_lacking(own.statuses - other.statuses, unfinished, [], cause)


def _explain_lacking(
    lacking: Counter[tuple[str, str]] | Counter[int],
    unfinished: Counter[tuple[str, str]] | Counter[int],
    found: list[Limitation],
    cause: list[Limitation],
) -> list[Limitation]:
    """Why messages lack: their heads are incomplete, else the cause that holds for all of the direction."""
    left = {message for message, number in lacking.items() if number > unfinished[message]}  # type: ignore[index]
    if not left:
        return [*found, "incomplete-head"] if lacking else found
    return [*found, *cause] if cause else []


def _messages_cause(connection: Connection, direction: int, own: Opinion, other: Opinion) -> list[Limitation]:
    """Why tshark does not see every message of a direction: the data that it lacks."""
    if connection.tls is None and not other.unread_packets[direction]:
        return ["lost-bytes"] if connection.gaps[direction] else []
    return explain_data(connection, direction, own, other)


def _head_is_incomplete(message: Message) -> bool:
    return message.framing == "none" and message.end_offset is None


def _authenticated_after_handshake(connection: Connection) -> bool:
    return any(isinstance(fact.what, HandshakeDone) and fact.what.post_handshake for fact in connection.facts)


def _begins_in_clear_text(connection: Connection) -> bool:
    return any(isinstance(fact.what, TlsBegin) for fact in connection.facts)
