"""The order in which handshake messages may come, as a table."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls import codepoints as cp

#: ChangeCipherSpec is no handshake message, but has its place among them (RFC 5246 section 7.1).
CHANGE_CIPHER_SPEC: Final = 256


class State(IntEnum):
    """How far the handshake of a connection has come, as an observer sees it. An integer: hashed for every message."""

    START = auto()  # nothing agreed yet
    HELLO_SENT = auto()  # the client has asked
    SERVER_CHOSE = auto()  # the ServerHello; whether it resumes is not known yet
    SERVER_FLIGHT = auto()  # full: certificate, key exchange, certificate request ...
    CLIENT_FLIGHT = auto()  # full: the server is done, the client's certificate may come
    CLIENT_KEYED = auto()  # full: the ClientKeyExchange was sent
    CLIENT_CHANGED = auto()  # full: the client writes under the new keys
    CLIENT_FINISHED = auto()  # full: its Finished was sent; the server's ticket may come
    SERVER_CHANGED = auto()  # full: the server writes under the new keys
    RESUMED = auto()  # abbreviated: a new ticket came
    RESUMED_SERVER_CHANGED = auto()  # abbreviated: the server writes under the new keys, first
    RESUMED_SERVER_FINISHED = auto()  # abbreviated: the client has still to follow
    RESUMED_CLIENT_CHANGED = auto()
    ESTABLISHED = auto()  # both Finished passed
    HIDDEN = auto()  # TLS 1.3: what follows the ServerHello is encrypted


# RFC 5246 section 7.3, figures 1 and 2, with the ticket of RFC 5077 section 3.1, CertificateStatus of RFC 6066
# section 8, SupplementalData of RFC 4680, and the two messages browsers once sent under the new keys before Finished.
#
# A renegotiation is the same figure again, begun from ESTABLISHED by a ClientHello that comes encrypted. In a full
# handshake the client changes keys first, in an abbreviated one the server does; the ServerHello does not say which
# it is: a Certificate (or anything else of the full flight) or a ticket or ChangeCipherSpec decides. A HelloRequest
# may come at any time, changes nothing, and belongs to no transcript (section 7.4.1.1). A ClientHello that has no
# place begins a new handshake for the machine, and is reported as an anomaly.
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
    # drafts of TLS 1.3 up to 21 have a HelloRetryRequest of its own; another ClientHello follows
    (State.HELLO_SENT, TO_CLIENT, cp.HELLO_RETRY_REQUEST): State.START,
    # TLS 1.3: only hellos and the ChangeCipherSpec of middleboxes are seen in plain (RFC 8446 appendix D.4)
    (State.HIDDEN, TO_SERVER, cp.CLIENT_HELLO): State.HIDDEN,
    (State.HIDDEN, TO_CLIENT, cp.SERVER_HELLO): State.HIDDEN,
    (State.HIDDEN, TO_SERVER, CHANGE_CIPHER_SPEC): State.HIDDEN,
    (State.HIDDEN, TO_CLIENT, CHANGE_CIPHER_SPEC): State.HIDDEN,
}

#: States in which the ServerHello turned out to resume a session.
RESUMING: Final = frozenset({State.RESUMED, State.RESUMED_SERVER_CHANGED})
