"""Says whether a connection was opened, and if not, the first reason that applies and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.tls.codepoints import SSL2, SSL3, TLS10, TLS11, TLS12, TLS13
from easpcap.tls.handshake.messages import OLDEST_DRAFT

if TYPE_CHECKING:
    from easpcap.tls.handshake.negotiation import Agreement, Negotiation
    from easpcap.tls.handshake.summary import Summary

Verdict = tuple[str, str | None, str | None]

_DETAILS: Final[dict[str, str]] = {
    "handshake-not-captured": "The capture begins after this connection's TLS handshake; start the capture before the "
    "client connects, or make the client reconnect.",
    "one-direction-missing": "Only one direction of this connection was captured; capture where both directions pass.",
    "gap": "Bytes are missing from the capture; capture again on a less busy machine or with a larger capture buffer.",
    "truncated-packets": "Packets were cut when they were captured; capture again with whole packets "
    "(snapshot length 0).",
    "resumed-session-not-captured": "This connection resumes a TLS session whose first handshake is not in the "
    "capture; add the capture that holds it, or start capturing before the client's first connection.",
    "unsupported-suite": "{} cannot be decrypted here; let client and server agree on another cipher suite, such as "
    "TLS_RSA_WITH_AES_128_CBC_SHA.",
    "forward-secrecy": "The key exchange is ephemeral, and no private key opens it; take a key log on the client "
    "(SSLKEYLOGFILE), or allow only cipher suites with RSA key exchange while capturing.",
    "needs-key-log": "This connection can only be opened with a key log; take one on the client (SSLKEYLOGFILE).",
    "key-log-lacks-session": "The key log has no line for this connection; it must be written by the same client "
    "while the capture runs.",
    "key-mismatch": "No private key given belongs to the certificate of this server; export the key of the certificate "
    "that is bound to this address and port.",
    "no-key": "Give the server's private key (--key) or a key log (--key-log).",
    "mac-failure": "Records did not pass their integrity check although a key was found; the captured bytes are "
    "damaged, or the key belongs to another server.",
}

_LOG_LACKS_PART: Final = (
    "The key log knows this connection, but has no {} line for it; take the whole log, written by the client from "
    "before the connection began until it ended."
)
_HIDDEN: Final = (
    " TLS 1.3 hides what its records are: without the key log nothing can be told of a certificate that was asked for "
    "late."
)
_LOG_LACKS: Final = "The key exchange is ephemeral, and the key log given has no line for this connection."


_VERSION_NAMES: Final[dict[int, str]] = {
    SSL2: "SSL 2.0",
    SSL3: "SSL 3.0",
    TLS10: "TLS 1.0",
    TLS11: "TLS 1.1",
    TLS12: "TLS 1.2",
    TLS13: "TLS 1.3",
}


def version_name(version: int | None) -> str | None:
    """What a protocol version is called; None stays None, an unknown one keeps its number."""
    return None if version is None else _VERSION_NAMES.get(version, f"0x{version:04x}")


def judge(
    summary: Summary,
    *,
    truncated: bool,
    gaps: tuple[int, int],
    seen: tuple[bool, bool],
    key_log_given: bool,
    keys_given: bool,
) -> Verdict:
    """(status, reason, what to do); the reason is None where all was opened or there was nothing to open."""
    opened, unopened = any(summary.application_records), any(summary.opaque_records)
    lost = summary.gap_in_data or summary.gap_in_handshake
    if not opened and not unopened:
        return "none", None, None
    if opened and not unopened and not lost:
        return "decrypted", None, None
    if opened:
        status, reason = "partial", _partial_reason(summary, truncated=truncated)
    else:
        status, reason = "opaque", _early_reason(summary, truncated=truncated, gaps=gaps, seen=seen)
    if reason is None and summary.unopened is not None:
        reason = opaque_reason(summary.unopened, key_log_given=key_log_given, keys_given=keys_given)
    reason = reason or ("gap" if lost else "mac-failure")
    if reason == "gap" and truncated:
        reason = "truncated-packets"
    return status, reason, _detail(reason, summary, key_log_given=key_log_given)


def _partial_reason(summary: Summary, *, truncated: bool) -> str | None:
    if summary.gap_in_data or summary.gap_in_handshake:
        return "truncated-packets" if truncated else "gap"
    return None


def _early_reason(summary: Summary, *, truncated: bool, gaps: tuple[int, int], seen: tuple[bool, bool]) -> str | None:
    """The reasons that have nothing to do with keys."""
    if summary.version == SSL2:
        return "unsupported-suite"
    hellos = (summary.client_hello_seen, summary.server_hello_seen)
    if not all(hellos) and not summary.gap_in_handshake and (all(seen) or not any(hellos)):
        return "handshake-not-captured"
    if not all(seen):
        return "one-direction-missing"
    if summary.gap_in_handshake or (any(gaps) and summary.unopened is None):
        return "truncated-packets" if truncated else "gap"
    return None


def opaque_reason(negotiation: Negotiation, *, key_log_given: bool, keys_given: bool) -> str:
    """Why no key was found for a handshake that was seen."""
    agreement = negotiation.agreement
    if agreement is None:
        return "handshake-not-captured"
    if negotiation.abbreviated and not negotiation.candidates:
        origin = negotiation.origin
        return origin.reason if origin and origin.reason else "resumed-session-not-captured"
    suite = agreement.suite
    unsupported = negotiation.unsupported and agreement.version < TLS13
    if unsupported or not suite.decryptable or 0 < agreement.draft < OLDEST_DRAFT:
        return "unsupported-suite"
    if negotiation.failed:
        by_wrong_key = negotiation.key_fits is not True and not key_log_given and not negotiation.abbreviated
        return "key-mismatch" if by_wrong_key else "mac-failure"
    ephemeral = suite.forward_secret or (suite.rsa_key_transport and negotiation.ephemeral_key)
    if agreement.version >= TLS13 or not ephemeral:
        return _key_reason(negotiation, agreement, key_log_given=key_log_given, keys_given=keys_given)
    return "forward-secrecy"


def _key_reason(negotiation: Negotiation, agreement: Agreement, *, key_log_given: bool, keys_given: bool) -> str:
    if agreement.version >= TLS13 or not agreement.suite.rsa_key_transport:
        return "key-log-lacks-session" if key_log_given else "needs-key-log"
    if negotiation.key_fits and agreement.extended_master and not negotiation.intact:
        return "gap"  # RFC 7627 section 4: the secret depends on every message of the handshake
    if negotiation.key_fits and not negotiation.keyed:
        return "gap"
    if key_log_given and not negotiation.key_fits:
        return "key-log-lacks-session"
    if keys_given:
        return "mac-failure" if negotiation.key_fits else "key-mismatch"
    return "no-key"


def _detail(reason: str, summary: Summary, *, key_log_given: bool) -> str:
    if reason == "key-log-lacks-session" and summary.missing_secrets:
        return _LOG_LACKS_PART.format(" and no ".join(dict.fromkeys(summary.missing_secrets)))
    if reason == "forward-secrecy" and key_log_given:
        return f"{_LOG_LACKS} {_DETAILS['key-log-lacks-session'].partition('; ')[2].capitalize()}"
    if reason == "unsupported-suite":
        return _DETAILS[reason].format(_unsupported(summary))
    hidden = summary.version == TLS13 and reason in {"needs-key-log", "key-log-lacks-session"}
    return _DETAILS[reason] + (_HIDDEN if hidden else "")


def _unsupported(summary: Summary) -> str:
    """What it is that cannot be decrypted."""
    agreement = summary.unopened.agreement if summary.unopened else None
    suite = agreement.suite if agreement else summary.suite
    name = suite.name if suite else "This cipher suite"
    if summary.version == SSL2:
        return f"SSL 2.0 ({name})" if suite else "SSL 2.0"
    if suite is not None and suite.decryptable and agreement is not None:
        return f"{name} in this form ({version_name(agreement.version)}, compression method {agreement.compression})"
    return name
