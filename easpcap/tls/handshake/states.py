"""The order in which handshake messages may come, as a table."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls import codepoints as cp

#: ChangeCipherSpec is not a handshake message, but it is ordered among them (RFC 5246 section 7.1).
CHANGE_CIPHER_SPEC: Final = 256


class State(IntEnum):
    """The state of a connection's handshake as an observer sees it. An integer, because every message hashes it."""

    START = auto()  # no hello seen
    HELLO_SENT = auto()  # the ClientHello was sent
    SERVER_CHOSE = auto()  # the ServerHello was sent; whether it resumes a session is not known yet
    SERVER_FLIGHT = auto()  # full: certificate, key exchange, certificate request ...
    CLIENT_FLIGHT = auto()  # full: the ServerHelloDone was sent; the client's certificate may come
    CLIENT_KEYED = auto()  # full: the ClientKeyExchange was sent
    CLIENT_CHANGED = auto()  # full: the client writes with the new keys
    CLIENT_FINISHED = auto()  # full: its Finished was sent; the server's ticket may come
    SERVER_CHANGED = auto()  # full: the server writes with the new keys
    RESUMED = auto()  # abbreviated: the server sent a new ticket
    RESUMED_SERVER_CHANGED = auto()  # abbreviated: the server, which is first, writes with the new keys
    RESUMED_SERVER_FINISHED = auto()  # abbreviated: the client's Finished is still to come
    RESUMED_CLIENT_CHANGED = auto()
    ESTABLISHED = auto()  # both Finished were sent
    TLS13 = auto()  # TLS 1.3: everything after the ServerHello is encrypted


# RFC 5246 section 7.3, figures 1 and 2, with the ticket of RFC 5077 section 3.1, CertificateStatus of RFC 6066
# section 8, SupplementalData of RFC 4680, and the two messages browsers once sent with the new keys before Finished.
#
# An encrypted ClientHello in ESTABLISHED starts a renegotiation, which follows the same figures. In a full handshake
# the client changes keys first, in an abbreviated one the server does. The ServerHello does not say which one it is:
# a Certificate (or another message of the full flight) or else a ticket or ChangeCipherSpec decides. A HelloRequest
# may come at any time, changes nothing, and belongs to no transcript (section 7.4.1.1). An unexpected ClientHello
# begins a new handshake, and is reported as an anomaly.
TRANSITIONS: Final[dict[tuple[State, int, int], State]] = {
    **{(state, TO_CLIENT, cp.HELLO_REQUEST): state for state in State},
    (State.START, TO_SERVER, cp.CLIENT_HELLO): State.HELLO_SENT,
    (State.ESTABLISHED, TO_SERVER, cp.CLIENT_HELLO): State.HELLO_SENT,
    (State.HELLO_SENT, TO_CLIENT, cp.SERVER_HELLO): State.SERVER_CHOSE,
    # full
    **{
        (state, TO_CLIENT, message): State.SERVER_FLIGHT
        for state in (State.SERVER_CHOSE, State.SERVER_FLIGHT)
        for message in (
            cp.SUPPLEMENTAL_DATA,
            cp.CERTIFICATE,
            cp.CERTIFICATE_STATUS,
            cp.SERVER_KEY_EXCHANGE,
            cp.CERTIFICATE_REQUEST,
        )
    },
    (State.SERVER_CHOSE, TO_CLIENT, cp.SERVER_HELLO_DONE): State.CLIENT_FLIGHT,
    (State.SERVER_FLIGHT, TO_CLIENT, cp.SERVER_HELLO_DONE): State.CLIENT_FLIGHT,
    (State.CLIENT_FLIGHT, TO_SERVER, cp.SUPPLEMENTAL_DATA): State.CLIENT_FLIGHT,
    (State.CLIENT_FLIGHT, TO_SERVER, cp.CERTIFICATE): State.CLIENT_FLIGHT,
    (State.CLIENT_FLIGHT, TO_SERVER, cp.CLIENT_KEY_EXCHANGE): State.CLIENT_KEYED,
    (State.CLIENT_KEYED, TO_SERVER, cp.CERTIFICATE_VERIFY): State.CLIENT_KEYED,
    (State.CLIENT_KEYED, TO_SERVER, CHANGE_CIPHER_SPEC): State.CLIENT_CHANGED,
    (State.CLIENT_CHANGED, TO_SERVER, cp.NEXT_PROTOCOL): State.CLIENT_CHANGED,
    (State.CLIENT_CHANGED, TO_SERVER, cp.CHANNEL_ID): State.CLIENT_CHANGED,
    (State.CLIENT_CHANGED, TO_SERVER, cp.FINISHED): State.CLIENT_FINISHED,
    (State.CLIENT_FINISHED, TO_CLIENT, cp.NEW_SESSION_TICKET): State.CLIENT_FINISHED,
    (State.CLIENT_FINISHED, TO_CLIENT, CHANGE_CIPHER_SPEC): State.SERVER_CHANGED,
    (State.SERVER_CHANGED, TO_CLIENT, cp.FINISHED): State.ESTABLISHED,
    # abbreviated
    (State.SERVER_CHOSE, TO_CLIENT, cp.NEW_SESSION_TICKET): State.RESUMED,
    (State.SERVER_CHOSE, TO_CLIENT, CHANGE_CIPHER_SPEC): State.RESUMED_SERVER_CHANGED,
    (State.RESUMED, TO_CLIENT, CHANGE_CIPHER_SPEC): State.RESUMED_SERVER_CHANGED,
    (State.RESUMED_SERVER_CHANGED, TO_CLIENT, cp.FINISHED): State.RESUMED_SERVER_FINISHED,
    (State.RESUMED_SERVER_FINISHED, TO_SERVER, CHANGE_CIPHER_SPEC): State.RESUMED_CLIENT_CHANGED,
    (State.RESUMED_CLIENT_CHANGED, TO_SERVER, cp.NEXT_PROTOCOL): State.RESUMED_CLIENT_CHANGED,
    (State.RESUMED_CLIENT_CHANGED, TO_SERVER, cp.CHANNEL_ID): State.RESUMED_CLIENT_CHANGED,
    (State.RESUMED_CLIENT_CHANGED, TO_SERVER, cp.FINISHED): State.ESTABLISHED,
    # up to draft 21 of TLS 1.3 HelloRetryRequest is a message type; another ClientHello follows it
    (State.HELLO_SENT, TO_CLIENT, cp.HELLO_RETRY_REQUEST): State.START,
    # TLS 1.3: only hellos and the ChangeCipherSpec for middleboxes are not encrypted (RFC 8446 appendix D.4)
    (State.TLS13, TO_SERVER, cp.CLIENT_HELLO): State.TLS13,
    (State.TLS13, TO_CLIENT, cp.SERVER_HELLO): State.TLS13,
    (State.TLS13, TO_SERVER, CHANGE_CIPHER_SPEC): State.TLS13,
    (State.TLS13, TO_CLIENT, CHANGE_CIPHER_SPEC): State.TLS13,
}

#: States in which the ServerHello turned out to resume a session.
RESUMING: Final = frozenset({State.RESUMED, State.RESUMED_SERVER_CHANGED})
