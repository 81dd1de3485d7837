"""Alerts: their levels and names (RFC 5246 section 7.2, RFC 6101 section 5.4, the IANA registry for the later ones)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.tls.codepoints import CLOSE_NOTIFY, FATAL, USER_CANCELED

if TYPE_CHECKING:
    from easpcap.tls.events import Place, Seen

#: Alerts that only say the connection ends (RFC 8446 section 6.1).
CLOSING: Final = frozenset({CLOSE_NOTIFY, USER_CANCELED})

NAMES: Final[dict[int, str]] = {
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


def alert_seen(level: int, description: int, place: Place) -> Seen:
    """The fact that an alert came; close_notify is a kind of its own."""
    name = NAMES.get(description, f"alert {description}")
    data = {"level": level, "description": description, "name": name, "fatal": level == FATAL}
    if description == CLOSE_NOTIFY:
        return place.seen("close-notify", "close_notify", data)
    strength = "fatal" if level == FATAL else "warning"
    return place.seen("alert", f"{strength} alert {name}", data)
