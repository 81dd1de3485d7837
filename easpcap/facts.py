"""What can happen on a connection: one small class for each kind of fact.

``kind`` is the stable name of a class in the timeline and in the rules. Where and when a thing happened is not stored
here: ``tls.events.Seen`` and ``results.Fact`` add the place. The sentences for people are in ``report.fact_text``.
Unknown is None. A fact is never changed after it was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from easpcap.fields import Fields

if TYPE_CHECKING:
    from typing import Self

WARNING: Final = 1
FATAL: Final = 2

CLOSE_NOTIFY: Final = 0
NO_CERTIFICATE: Final = 41
USER_CANCELED: Final = 90
NO_RENEGOTIATION: Final = 100

#: Alerts that only say the connection ends (RFC 8446 section 6.1).
CLOSING_ALERTS: Final = frozenset({CLOSE_NOTIFY, USER_CANCELED})

#: RFC 5246 section 7.2, RFC 6101 section 5.4, and the IANA registry for the later ones.
ALERT_NAMES: Final[dict[int, str]] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    52: "too_many_cids_requested",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}


class _WithoutFields(Fields):
    """Every call returns the same object, because thousands of these are kept."""

    __slots__ = ()
    _only: ClassVar[Any]

    def __init_subclass__(cls) -> None:
        cls._only = object.__new__(cls)

    def __new__(cls) -> Self:
        only: Self = cls._only
        return only


# ---------------------------------------------------------------------------------------------------- TCP


class TcpOpen(_WithoutFields):
    """The first SYN."""

    __slots__ = ()
    kind = "tcp-open"


class ZeroWindow(_WithoutFields):
    """The sender announced a receive window of 0 bytes (RFC 9293 section 3.8.6)."""

    __slots__ = ()
    kind = "zero-window"


class Fin(_WithoutFields):
    """The sender will send no more bytes."""

    __slots__ = ()
    kind = "fin"


class Rst(_WithoutFields):
    """The sender reset the connection."""

    __slots__ = ()
    kind = "rst"


class MissingBytes(Fields):
    """The capture lacks ``length`` bytes of a direction."""

    kind = "gap"
    length: int


class CaptureEnd(_WithoutFields):
    """The capture ends while the connection is open."""

    __slots__ = ()
    kind = "capture-end"


# ---------------------------------------------------------------------------------------------------- TLS


class TlsBegin(Fields):
    """TLS begins after clear text of the protocol ``after`` ("SMTP STARTTLS"; empty where it was not recognised)."""

    kind = "tls-begin"
    after: str


class ClientHello(Fields):
    """``version`` is the field legacy_version, which is 0x0303 in TLS 1.3 (RFC 8446 section 4.1.2)."""

    kind = "client-hello"
    server_name: str | None
    version: int
    renegotiation: bool
    offers_post_handshake_auth: bool


class ServerHello(Fields):
    """The negotiated version and the IANA name of the cipher suite; ``retry`` in a HelloRetryRequest.

    SSL 2.0 has version 0x0002, and its ServerHello chooses no suite.
    """

    kind = "server-hello"
    version: int
    suite: str | None
    retry: bool


class ServerCertificate(Fields):
    """``count`` is None if the message is compressed with an algorithm that is not supported."""

    kind = "certificate"
    count: int | None


class CertificateRequest(Fields):
    """``post_handshake``: TLS 1.3 post-handshake authentication (RFC 8446 section 4.6.2), not a renegotiation."""

    kind = "certificate-request"
    when: Literal["first-handshake", "later"]
    post_handshake: bool = False


class ClientCertificate(Fields):
    """``count`` is 0 if the client has no certificate to present."""

    kind = "client-certificate"
    count: int


class ClientKeyExchange(_WithoutFields):
    """RFC 5246 section 7.4.7."""

    __slots__ = ()
    kind = "client-key-exchange"


class ChangeCipherSpec(_WithoutFields):
    """RFC 5246 section 7.1."""

    __slots__ = ()
    kind = "change-cipher-spec"


class HandshakeDone(Fields):
    """The last Finished of a handshake.

    ``number`` counts the handshakes of a connection from 0. ``verified``: both Finished match the messages before
    them. ``post_handshake``: it ends the client's answer to a CertificateRequest after a TLS 1.3 handshake.
    """

    kind = "handshake-done"
    number: int
    abbreviated: bool
    renegotiation: bool
    verified: bool
    post_handshake: bool = False


class HelloRequest(_WithoutFields):
    """RFC 5246 section 7.4.1.1."""

    __slots__ = ()
    kind = "hello-request"


class Alert(Fields):
    """Any alert except close_notify; the fields are its code points (RFC 5246 section 7.2)."""

    kind = "alert"
    level: int
    description: int

    @property
    def name(self) -> str:
        """Its name in the RFC, or, for example, "alert 200" if it has none."""
        return ALERT_NAMES.get(self.description, f"alert {self.description}")

    @property
    def fatal(self) -> bool:
        """Whether it ends the connection."""
        return self.level == FATAL


class CloseNotify(_WithoutFields):
    """The alert that closes a direction properly (RFC 5246 section 7.2.1)."""

    __slots__ = ()
    kind = "close-notify"


#: What happens on a connection outside of TLS.
ConnectionOccurrence = TcpOpen | ZeroWindow | Fin | Rst | MissingBytes | CaptureEnd | TlsBegin

#: What a TLS session sees.
TlsOccurrence = (
    ClientHello
    | ServerHello
    | ServerCertificate
    | CertificateRequest
    | ClientCertificate
    | ClientKeyExchange
    | ChangeCipherSpec
    | HandshakeDone
    | HelloRequest
    | Alert
    | CloseNotify
)

#: Every kind of fact. mypy reports a ``match`` over this type that omits one.
Occurrence = ConnectionOccurrence | TlsOccurrence
