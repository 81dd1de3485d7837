"""Follows the handshakes of one connection: messages in, facts and the secrets of the next epoch out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from easpcap import facts
from easpcap.errors import DecodeError
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls import codepoints as cp
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.handshake import messages as hs
from easpcap.tls.handshake.negotiation import Negotiation
from easpcap.tls.handshake.states import CHANGE_CIPHER_SPEC, RESUMING, TRANSITIONS, State
from easpcap.tls.record.joiner import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.stream import Anomaly
    from easpcap.tls.events import Place, Seen
    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.messages import ClientHello, ServerHello
    from easpcap.tls.handshake.summary import Summary

    HandshakeEvents = list[Seen | Anomaly]


class HandshakeMachine:
    """The handshakes of a connection, one after the other; ``negotiation`` is the current or latest one."""

    __slots__ = ("_finder", "_summary", "negotiation", "retrying", "state")

    def __init__(self, finder: KeyFinder, summary: Summary) -> None:
        self.state = State.START
        self.retrying = False  # a HelloRetryRequest was the latest hello
        self.negotiation = Negotiation(0, renegotiation=False)
        self._finder = finder
        self._summary = summary

    @property
    def is_tls13(self) -> bool:
        """Whether a ServerHello has chosen TLS 1.3."""
        return self.state is State.TLS13

    def is_compatibility_ccs(self, direction: int) -> bool:
        """Whether a ChangeCipherSpec here is the one TLS 1.3 sends only for middleboxes (RFC 8446 appendix D.4)."""
        hello = self.negotiation.client_hello
        before_answer = self.state is State.HELLO_SENT and direction == TO_SERVER and hello is not None
        return self.is_tls13 or (before_answer and hello is not None and ext.SUPPORTED_VERSIONS in hello.extensions)

    @property
    def busy(self) -> bool:
        """Whether a handshake is under way."""
        return self.state not in (State.START, State.ESTABLISHED)

    def take(self, message: Message, place: Place) -> HandshakeEvents:
        """Process the next handshake message of the connection."""
        events = self._advance(message.message_type, place)
        action = self._ACTIONS.get((place.direction, message.message_type))
        try:
            if action is None:
                self.negotiation.record(message)
            else:
                events += action(self, message, place)
        except DecodeError as error:
            name = cp.MESSAGE_NAMES.get(message.message_type, "handshake message")
            events.append(place.anomaly("tls-broken-message", f"the {name} cannot be read: {error}"))
            self.negotiation.record(message)
        return events

    def take_ssl2_hello(self, body: bytes, place: Place) -> HandshakeEvents:
        """Process a ClientHello in SSLv2 format; the transcript omits its record header (RFC 5246 appendix E.2)."""
        events = self._advance(cp.CLIENT_HELLO, place)
        message = Message(cp.CLIENT_HELLO, body, place.offset, place.end)
        return events + self._begin(hs.parse_ssl2_client_hello(body), message, place)

    def change_cipher_spec(self, place: Place) -> HandshakeEvents:
        """Process a ChangeCipherSpec: from here on this direction uses the keys of the current negotiation."""
        events = self._advance(CHANGE_CIPHER_SPEC, place)
        events.append(place.seen(facts.ChangeCipherSpec()))
        self.negotiation.changed[place.direction] = True
        return events

    def take_undecrypted_finished(self, place: Place) -> HandshakeEvents:
        """Process the first handshake record that was not decrypted: it is the Finished (RFC 5246 section 7.4.9)."""
        self._advance(cp.FINISHED, place)
        self.negotiation.break_transcript()  # the other Finished covers this one
        return self._finish(place)

    def take_alert(self, level: int, description: int, place: Place) -> HandshakeEvents:
        """Process an alert. A refused renegotiation is over, and the connection continues with its old keys."""
        alert = facts.CloseNotify() if description == facts.CLOSE_NOTIFY else facts.Alert(level, description)
        events: HandshakeEvents = [place.seen(alert)]
        if description == facts.NO_RENEGOTIATION and self.negotiation.renegotiation and self.busy and not self.is_tls13:
            self.state = State.ESTABLISHED
        elif description == facts.NO_CERTIFICATE and place.direction == TO_SERVER and level != facts.FATAL:
            events.append(self._certificates_presented(0, place))  # RFC 6101 section 5.6.6
        return events

    def lose(self) -> None:
        """Note that bytes are missing, which may contain messages of the current handshake."""
        if self.busy:
            self.negotiation.break_transcript()

    def _advance(self, message_type: int, place: Place) -> HandshakeEvents:
        """Go to the next state. An unexpected message is an anomaly and does not change the state."""
        state = TRANSITIONS.get((self.state, place.direction, message_type))
        if state is None:
            name = cp.MESSAGE_NAMES.get(message_type, f"handshake message of type {message_type}")
            name = "ChangeCipherSpec" if message_type == CHANGE_CIPHER_SPEC else name
            detail = f"{name} came in state {self.state.name.lower().replace('_', '-')}"
            return [place.anomaly("tls-unexpected-message", detail)]
        self.state = state
        if state in RESUMING and not self.negotiation.abbreviated:
            resumed = self._finder.find_by_resumption(self.negotiation)
            if self.negotiation.number == 0:
                self._summary.resumed = resumed
        return []

    def _hello_request(self, message: Message, place: Place) -> HandshakeEvents:
        del message  # it is empty, and belongs to no transcript
        return [place.seen(facts.HelloRequest())]

    def _client_hello(self, message: Message, place: Place) -> HandshakeEvents:
        if self.is_tls13:  # the second one, after a HelloRetryRequest
            self.negotiation.record(message)
            return []
        return self._begin(hs.parse_client_hello(message.body), message, place)

    def _begin(self, hello: ClientHello, message: Message, place: Place) -> HandshakeEvents:
        summary = self._summary
        renegotiation = summary.server_hello_seen or place.encrypted
        summary.client_hello_seen = True
        self.state = State.HELLO_SENT  # even if it was unexpected: a new handshake begins
        self.negotiation = Negotiation(summary.handshakes, renegotiation=renegotiation)
        self.negotiation.client_hello = hello
        self.negotiation.record(message)
        name = ext.server_name(hello.extensions)
        summary.server_name = summary.server_name or name
        offers = ext.POST_HANDSHAKE_AUTH in hello.extensions
        return [place.seen(facts.ClientHello(name, hello.version, renegotiation, offers))]

    def _server_hello(self, message: Message, place: Place) -> HandshakeEvents:
        hello, summary = hs.parse_server_hello(message.body), self._summary
        if self.state is not State.SERVER_CHOSE and not self.is_tls13:  # the ClientHello was not seen
            self.negotiation = Negotiation(summary.handshakes, renegotiation=summary.server_hello_seen)
            self.negotiation.break_transcript()
            self.state = State.SERVER_CHOSE
        agreement = self.negotiation.agree(hello)
        if hello.is_retry:
            self.negotiation.hash_first_hello()
        self.negotiation.record(message)
        if not summary.server_hello_seen:
            summary.server_hello_seen = True
            summary.version, summary.suite = agreement.version, agreement.suite
        summary.handshakes += (
            not self.is_tls13
        )  # the ServerHello after a HelloRetryRequest belongs to the same handshake
        if agreement.version >= cp.TLS13:
            self._enter_tls13(hello, agreement.client_random)
        what = facts.ServerHello(agreement.version, agreement.suite.name, hello.is_retry)
        events: HandshakeEvents = [place.seen(what)]
        if hello.draft:
            events.append(place.anomaly("tls-draft", f"this is draft {hello.draft} of TLS 1.3"))
        return events

    def _enter_tls13(self, hello: ServerHello, client_random: bytes | None) -> None:
        """Everything after this hello is encrypted; only a HelloRetryRequest is followed by hellos."""
        self.state = State.TLS13
        self.retrying = hello.is_retry
        self._summary.resumed = "psk" if ext.PRE_SHARED_KEY in hello.extensions else None
        if client_random is None or not self._finder.has_traffic_secret(client_random):
            self._summary.handshake_without_keys = self.negotiation

    def _server_certificate(self, message: Message, place: Place) -> HandshakeEvents:
        self.negotiation.record(message)
        certificates = hs.parse_certificates(message.body)
        if certificates:
            self.negotiation.certificate = certificates[0]
            self.negotiation.certificate_matches_key = self._finder.has_key_for(certificates[0])
            self._summary.server_certificate = self._summary.server_certificate or certificates[0]
        return [place.seen(facts.ServerCertificate(len(certificates)))]

    def _server_key_exchange(self, message: Message, place: Place) -> HandshakeEvents:
        del place  # the message gives no fact
        self.negotiation.record(message)
        self.negotiation.ephemeral_key = True
        return []

    def _certificate_request(self, message: Message, place: Place) -> HandshakeEvents:
        self.negotiation.record(message)
        later = self.negotiation.number or self.negotiation.renegotiation
        request = facts.CertificateRequest("later" if later else "first-handshake")
        self._summary.certificate_requested = self._summary.certificate_requested or request.when
        return [place.seen(request)]

    def _new_session_ticket(self, message: Message, place: Place) -> HandshakeEvents:
        del place  # the message gives no fact
        self.negotiation.record(message)
        self.negotiation.ticket = hs.parse_new_session_ticket(message.body)
        if self.negotiation.proven is not None or self.negotiation.failed:
            self._finder.remember(self.negotiation)
        return []

    def _client_certificate(self, message: Message, place: Place) -> HandshakeEvents:
        self.negotiation.record(message)
        return [self._certificates_presented(len(hs.parse_certificates(message.body)), place)]

    def _certificates_presented(self, count: int, place: Place) -> Seen:
        self._summary.certificate_presented = count > 0
        return place.seen(facts.ClientCertificate(count))

    def _client_key_exchange(self, message: Message, place: Place) -> HandshakeEvents:
        self.negotiation.record(message)
        self.negotiation.client_key_exchange_seen = True
        self._finder.find_by_key_exchange(self.negotiation, message.body)
        return [place.seen(facts.ClientKeyExchange())]

    def _finished(self, message: Message, place: Place) -> HandshakeEvents:
        events: HandshakeEvents = []
        if self.negotiation.verify(place.direction, message.body) is False:
            detail = "the Finished does not match the handshake messages before it"
            events.append(place.anomaly("tls-finished-mismatch", detail))
        self.negotiation.record(message)
        return events + self._finish(place)

    def _finish(self, place: Place) -> HandshakeEvents:
        """Note a Finished; the second one completes the handshake."""
        negotiation = self.negotiation
        already = all(negotiation.finished)
        negotiation.finished[place.direction] = True
        if already or not all(negotiation.finished):
            return []
        self.state = State.ESTABLISHED
        done = facts.HandshakeDone(
            negotiation.number, negotiation.abbreviated, negotiation.renegotiation, all(negotiation.verified)
        )
        return [place.seen(done)]

    _ACTIONS: ClassVar[dict[tuple[int, int], Callable[[HandshakeMachine, Message, Place], HandshakeEvents]]] = {
        (TO_CLIENT, cp.HELLO_REQUEST): _hello_request,
        (TO_SERVER, cp.CLIENT_HELLO): _client_hello,
        (TO_CLIENT, cp.SERVER_HELLO): _server_hello,
        (TO_CLIENT, cp.CERTIFICATE): _server_certificate,
        (TO_CLIENT, cp.SERVER_KEY_EXCHANGE): _server_key_exchange,
        (TO_CLIENT, cp.CERTIFICATE_REQUEST): _certificate_request,
        (TO_CLIENT, cp.NEW_SESSION_TICKET): _new_session_ticket,
        (TO_SERVER, cp.CERTIFICATE): _client_certificate,
        (TO_SERVER, cp.CLIENT_KEY_EXCHANGE): _client_key_exchange,
        (TO_SERVER, cp.FINISHED): _finished,
        (TO_CLIENT, cp.FINISHED): _finished,
    }
