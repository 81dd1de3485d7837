"""Reads the handshake messages that TLS 1.3 encrypts (RFC 8446 section 4)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from easpcap import facts
from easpcap.errors import DecodeError
from easpcap.limits import MAX_HANDSHAKE_MESSAGE
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls import codepoints as cp
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.secrets.keyed_hash import hash_state
from easpcap.tls.secrets.schedule13 import finished_contents
from easpcap.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.stream import Anomaly
    from easpcap.tls.events import Place, Seen
    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.negotiation import Negotiation
    from easpcap.tls.handshake.summary import Summary
    from easpcap.tls.record.joiner import Message

    HandshakeEvents = list[Seen | Anomaly]

#: The epochs of a direction, in their order. Each KeyUpdate starts a new generation of the last one.
EARLY, HANDSHAKE, APPLICATION = range(3)

_ZLIB: Final = 1  # RFC 8879 section 3


class CertificateList(NamedTuple):
    """A Certificate message. ``context`` identifies the request that it answers; it is empty in the first handshake."""

    context: bytes
    certificates: list[bytes]


def parse_certificate_list(body: bytes) -> CertificateList:
    """The DER certificates of a Certificate message, the sender's own first (RFC 8446 section 4.4.2)."""
    reader = Reader(body)
    context, entries = reader.vector(1), Reader(reader.vector(3))
    certificates = []
    while len(entries):
        certificates.append(entries.vector(3))
        entries.vector(2)  # extensions
    return CertificateList(context, certificates)


def expand_certificate(body: bytes) -> bytes | None:
    """The Certificate in a CompressedCertificate (RFC 8879 section 4); None if the algorithm is not zlib."""
    reader = Reader(body)
    algorithm, size, compressed = reader.uint(2), reader.uint(3), reader.vector(3)
    if algorithm != _ZLIB:
        return None
    try:
        expanded = zlib.decompressobj().decompress(compressed, MAX_HANDSHAKE_MESSAGE)
    except zlib.error as error:
        raise DecodeError(str(error)) from error
    if len(expanded) != size:
        msg = f"a certificate declared as {size} bytes expands to {len(expanded)}"
        raise DecodeError(msg)
    return expanded


class EncryptedHandshake13:
    """Reads the encrypted messages of one connection.

    ``early_accepted``: whether the server accepted the client's early data; None while that is not known.
    """

    __slots__ = ("_finder", "_secrets", "_summary", "early_accepted", "negotiation")

    def __init__(self, finder: KeyFinder, summary: Summary) -> None:
        self.early_accepted: bool | None = None
        self.negotiation: Negotiation | None = None
        self._finder = finder
        self._summary = summary
        self._secrets: tuple[bytes | None, bytes | None] = (None, None)

    def begin(self, negotiation: Negotiation, secrets: tuple[bytes | None, bytes | None]) -> None:
        """Take over what the ServerHello agreed; ``secrets`` are the handshake traffic secrets by direction."""
        self.negotiation = negotiation
        self._secrets = secrets

    def use_secret(self, direction: int, secret: bytes) -> None:
        """A record of the handshake opened under this secret: it is the right one of several."""
        client, server = self._secrets
        self._secrets = (secret, server) if direction == TO_SERVER else (client, secret)

    def take(self, message: Message, place: Place, epoch: int) -> HandshakeEvents:
        """Process one message that was decrypted with the keys of ``epoch``."""
        negotiation = self.negotiation
        action = self._ACTIONS.get((place.direction, epoch == APPLICATION, message.message_type))
        name = cp.MESSAGE_NAMES.get(message.message_type, f"handshake message of type {message.message_type}")
        if action is None or negotiation is None:
            when = "after the handshake" if epoch == APPLICATION else "in the handshake"
            return [place.anomaly("tls-unexpected-message", f"{name} came {when}")]
        try:
            events = action(self, negotiation, message, place)
        except DecodeError as error:
            events = [place.anomaly("tls-broken-message", f"the {name} cannot be read: {error}")]
        if epoch != APPLICATION:
            negotiation.record(message)
        return events

    def _ignore(self, _negotiation: Negotiation, _message: Message, _place: Place) -> HandshakeEvents:
        return []

    def _extensions(self, _negotiation: Negotiation, message: Message, _place: Place) -> HandshakeEvents:
        accepted = ext.EARLY_DATA in ext.parse_extensions(Reader(message.body))
        self.early_accepted = accepted
        return []

    def _certificate_request(self, _negotiation: Negotiation, _message: Message, place: Place) -> HandshakeEvents:
        self._summary.certificate_requested = self._summary.certificate_requested or "first-handshake"
        return [place.seen(facts.CertificateRequest("first-handshake"))]

    def _late_request(self, _negotiation: Negotiation, _message: Message, place: Place) -> HandshakeEvents:
        """Post-handshake authentication (RFC 8446 section 4.6.2)."""
        self._summary.certificate_requested = self._summary.certificate_requested or "later"
        return [place.seen(facts.CertificateRequest("later", post_handshake=True))]

    def _server_certificate(self, negotiation: Negotiation, message: Message, place: Place) -> HandshakeEvents:
        certificates = _certificates(message)
        if certificates:
            negotiation.certificate = certificates[0]
            negotiation.certificate_matches_key = self._finder.has_key_for(certificates[0])
            self._summary.server_certificate = self._summary.server_certificate or certificates[0]
        count = None if certificates is None else len(certificates)
        return [place.seen(facts.ServerCertificate(count))]

    def _client_certificate(self, _negotiation: Negotiation, message: Message, place: Place) -> HandshakeEvents:
        certificates = _certificates(message)
        count = 1 if certificates is None else len(certificates)  # nobody compresses an empty list
        self._summary.certificate_presented = count > 0
        return [place.seen(facts.ClientCertificate(count))]

    def _finished(self, negotiation: Negotiation, message: Message, place: Place) -> HandshakeEvents:
        events: HandshakeEvents = []
        if self._verify(negotiation, message, place.direction) is False:
            detail = "the Finished does not match the handshake messages before it"
            events.append(place.anomaly("tls-finished-mismatch", detail))
        negotiation.finished[place.direction] = True
        if place.direction == TO_SERVER:
            negotiation.break_transcript()  # no later Finished is verified
            done = facts.HandshakeDone(
                negotiation.number,
                abbreviated=self._summary.resumed is not None,
                renegotiation=False,
                verified=all(negotiation.verified),
            )
            events.append(place.seen(done))
        return events

    def _verify(self, negotiation: Negotiation, message: Message, direction: int) -> bool | None:
        """Whether a Finished matches the transcript; None if the secret or a message is missing."""
        agreement, secret = negotiation.agreement, self._secrets[direction]
        if agreement is None or secret is None or not negotiation.transcript_complete:
            return None
        if agreement.client_random is None or not negotiation.client_hello:
            return None
        so_far = hash_state(agreement.suite.prf_hash, negotiation.transcript).digest()
        verified = message.body == finished_contents(agreement.suite, secret, so_far, agreement.draft)
        negotiation.verified[direction] = verified
        return verified

    def _late_finished(self, negotiation: Negotiation, _message: Message, place: Place) -> HandshakeEvents:
        done = facts.HandshakeDone(
            negotiation.number, abbreviated=False, renegotiation=False, verified=False, post_handshake=True
        )
        return [place.seen(done)]

    #: By direction, whether the handshake is over, and type.
    _ACTIONS: ClassVar[
        dict[tuple[int, bool, int], Callable[[EncryptedHandshake13, Negotiation, Message, Place], HandshakeEvents]]
    ] = {
        (TO_CLIENT, False, cp.ENCRYPTED_EXTENSIONS): _extensions,
        (TO_CLIENT, False, cp.CERTIFICATE_REQUEST): _certificate_request,
        (TO_CLIENT, False, cp.CERTIFICATE): _server_certificate,
        (TO_CLIENT, False, cp.COMPRESSED_CERTIFICATE): _server_certificate,
        (TO_CLIENT, False, cp.CERTIFICATE_VERIFY): _ignore,
        (TO_CLIENT, False, cp.FINISHED): _finished,
        (TO_SERVER, False, cp.END_OF_EARLY_DATA): _ignore,
        (TO_SERVER, False, cp.CERTIFICATE): _client_certificate,
        (TO_SERVER, False, cp.COMPRESSED_CERTIFICATE): _client_certificate,
        (TO_SERVER, False, cp.CERTIFICATE_VERIFY): _ignore,
        (TO_SERVER, False, cp.FINISHED): _finished,
        (TO_CLIENT, True, cp.NEW_SESSION_TICKET): _ignore,
        (TO_CLIENT, True, cp.CERTIFICATE_REQUEST): _late_request,
        (TO_CLIENT, True, cp.KEY_UPDATE): _ignore,
        (TO_SERVER, True, cp.CERTIFICATE): _client_certificate,
        (TO_SERVER, True, cp.COMPRESSED_CERTIFICATE): _client_certificate,
        (TO_SERVER, True, cp.CERTIFICATE_VERIFY): _ignore,
        (TO_SERVER, True, cp.FINISHED): _late_finished,
        (TO_SERVER, True, cp.KEY_UPDATE): _ignore,
    }


def _certificates(message: Message) -> list[bytes] | None:
    """The certificates in a message, compressed or not; None if the compression algorithm is not supported."""
    body: bytes | None = message.body
    if message.message_type == cp.COMPRESSED_CERTIFICATE:
        body = expand_certificate(message.body)
    return None if body is None else parse_certificate_list(body).certificates
