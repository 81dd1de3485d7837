"""RenegotiationTracker: follows the later handshakes of one connection, and finds where in a request each began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.facts import (
    NO_RENEGOTIATION,
    Alert,
    CertificateRequest,
    ClientCertificate,
    ClientHello,
    HandshakeDone,
    HelloRequest,
)
from easpcap.results import Renegotiation
from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.facts import TlsOccurrence
    from easpcap.http.exchange import BodyPlace
    from easpcap.stream import Position
    from easpcap.tls.events import Seen


class RenegotiationTracker:
    """Turns the handshake messages of later handshakes into Renegotiation records.

    ``place`` returns where in a request a plaintext offset of the client's stream is. ``received`` and ``sent`` are
    plaintext offsets of that stream: up to the one the server had acknowledged, up to the other the capture shows it.
    """

    __slots__ = ("_open", "_place", "_renegotiations")

    def __init__(self, renegotiations: list[Renegotiation], place: Callable[[int], BodyPlace | None]) -> None:
        self._renegotiations = renegotiations
        self._place = place
        self._open: Renegotiation | None = None

    def add(self, seen: Seen, position: Position, received: int, sent: int) -> None:
        """Add the next handshake message or alert after the first handshake of the connection."""
        current = self._open
        match seen.what:
            case HelloRequest():
                self._add_hello_request(position, received, sent)
            case CertificateRequest(post_handshake=True):
                self._add_certificate_request(position, received, sent)
            case ClientHello(renegotiation=True):
                if current is None or current.client_hello is not None:
                    current = self._begin("client", position, received, seen.plain_offset)
                current.client_hello = position
            case _:
                if current is not None:
                    self._follow(current, seen.what, seen.direction, position)

    def _follow(self, current: Renegotiation, what: TlsOccurrence, direction: int, position: Position) -> None:
        """Update ``current`` by a message after the one that began the handshake."""
        match what:
            case CertificateRequest():
                current.certificate_requested = True
            case ClientCertificate(count=count):
                current.certificate_presented = count > 0
            case HandshakeDone(post_handshake=True):
                current.done = position  # stays open: an alert may still reject the certificate
            case HandshakeDone(abbreviated=abbreviated):
                current.outcome = "abbreviated" if abbreviated else "full"
                current.done = position
                self._open = None
            case Alert():
                self._alert(current, what, direction, position)
            case _:
                pass  # the other messages do not change the outcome

    def _add_hello_request(self, position: Position, received: int, sent: int) -> None:
        """Begin a renegotiation, unless the HelloRequest repeats one in the same HTTP request."""
        current, place = self._open, self._place(received)
        asked_here = place.exchange if place else None
        if current is None or current.client_hello is not None or current.exchange is not asked_here:
            self._begin("server", position, received, sent)

    def _add_certificate_request(self, position: Position, received: int, sent: int) -> None:
        """Begin a post-handshake authentication (RFC 8446 section 4.6.2), TLS 1.3's substitute for a HelloRequest."""
        current, place = self._open, self._place(received)
        asked_here = place.exchange if place else None
        if current is None or current.done is not None or current.exchange is not asked_here:
            current = self._begin("server", position, received, sent)
        current.outcome = "post-handshake"
        current.certificate_requested = True

    def _begin(self, by: str, position: Position, received: int, sent: int) -> Renegotiation:
        """Append a Renegotiation; the bytes that the server had received decide where in the request it began."""
        had, shown = self._place(received), self._place(sent)
        place = had or (shown if by == "client" else None)
        same = place is not None and shown is not None and shown.exchange is place.exchange
        renegotiation = Renegotiation(
            by=by,
            position=position,
            exchange=place.exchange if place else None,
            body_offset_sent=shown.body_offset if same and shown else None,
            body_offset_acknowledged=had.body_offset if had else None,
            body_offset_sent_most=_most(shown) if same else None,
            body_offset_acknowledged_most=_most(had),
        )
        if place is not None and place.exchange.request is not None:
            request = place.exchange.request
            renegotiation.awaiting_continue = (
                request.expects_continue
                and not place.exchange.interim
                and (shown is None or shown.body_offset == 0)
                and not place.complete
            )
            whole = place.complete or place.body_offset + place.uncertain == place.announced
            renegotiation.mid_body = not (whole or place.in_head or renegotiation.awaiting_continue)
        self._renegotiations.append(renegotiation)
        self._open = renegotiation
        return renegotiation

    def _alert(self, current: Renegotiation, alert: Alert, direction: int, position: Position) -> None:
        """Decide whether an alert refuses the handshake, ends it as a failure, or is unrelated."""
        who_may_refuse = TO_CLIENT if current.by == "client" else TO_SERVER  # the side that was asked
        refused = direction == who_may_refuse and alert.description == NO_RENEGOTIATION
        if not refused and not alert.fatal:
            return
        if current.outcome == "refused":  # what follows a refusal is its consequence
            return
        if current.done is not None and not _unanswered(current, direction):
            return
        current.outcome = "refused" if refused else "failed"
        current.alert, current.alert_name = position, alert.name
        if not refused or direction == TO_CLIENT:
            self._open = None


def _most(place: BodyPlace | None) -> int | None:
    """The greatest offset that a place may have, where that is not the least one, too."""
    return place.body_offset + place.uncertain if place is not None and place.uncertain else None


def _unanswered(renegotiation: Renegotiation, direction: int) -> bool:
    """Whether an alert after the client's Finished is the server's answer to it."""
    exchange = renegotiation.exchange
    return direction == TO_CLIENT and exchange is not None and exchange.response is None
