"""Decides whether a connection was decrypted, and if not, which reason applies first. The words are the reports'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.tls.codepoints import SSL2, SSL3, TLS10, TLS11, TLS12, TLS13
from easpcap.tls.handshake.messages import OLDEST_DRAFT

if TYPE_CHECKING:
    from easpcap.tls.handshake.negotiation import Negotiation
    from easpcap.tls.handshake.summary import Summary
    from easpcap.tls.reasons import Reason, Status


class Verdict(NamedTuple):
    """``reason`` is None where everything was decrypted, or where there was nothing to decrypt."""

    status: Status
    reason: Reason | None = None


class CaptureLosses(NamedTuple):
    """What a capture lacks of one connection. Pairs are indexed by direction."""

    truncated: bool = False  # packets were cut short when they were captured
    gaps: tuple[int, int] = (0, 0)  # missing bytes
    seen: tuple[bool, bool] = (True, True)  # whether any packet of the direction was captured


class KeysGiven(NamedTuple):
    """Which kinds of keys the user gave."""

    private_keys: bool
    key_log: bool


class Unsupported(NamedTuple):
    """What cannot be decrypted. Only where the cipher suite is supported do ``compression`` and ``draft`` matter."""

    version: str | None
    cipher_suite: str | None  # IANA name
    suite_supported: bool = False
    compression: int = 0  # method (RFC 3749); 0: none
    draft: int = 0  # of TLS 1.3; 0: none


_VERSION_NAMES: Final[dict[int, str]] = {
    SSL2: "SSL 2.0",
    SSL3: "SSL 3.0",
    TLS10: "TLS 1.0",
    TLS11: "TLS 1.1",
    TLS12: "TLS 1.2",
    TLS13: "TLS 1.3",
}


def version_name(version: int | None) -> str | None:
    """The name of a protocol version; None stays None, and an unknown version keeps its number."""
    return None if version is None else _VERSION_NAMES.get(version, f"0x{version:04x}")


def version_named(name: str | None) -> int | None:
    """The protocol version of a name that version_name gave; None for any other."""
    return next((version for version, known in _VERSION_NAMES.items() if known == name), None)


def judge(summary: Summary, losses: CaptureLosses, given: KeysGiven) -> Verdict:
    """The status of a connection, and the first reason why not all of it was decrypted."""
    opened, unopened = any(summary.application_records), any(summary.opaque_records)
    lost = summary.gap_in_data or summary.gap_in_handshake
    if not opened and not unopened:
        return Verdict("none")
    if opened and not unopened and not lost:
        return Verdict("decrypted")
    reason = _reason(summary, losses, given, opened=opened)
    if reason == "gap" and losses.truncated:
        reason = "truncated-packets"
    return Verdict("partial" if opened else "opaque", reason)


def _reason(summary: Summary, losses: CaptureLosses, given: KeysGiven, *, opened: bool) -> Reason:
    """The first reason that applies. The order is the argument: the capture, then the handshake, then the keys."""
    lost = summary.gap_in_data or summary.gap_in_handshake
    hellos = (summary.client_hello_seen, summary.server_hello_seen)
    if opened and lost:
        return "gap"
    if not opened:
        if summary.version == SSL2:
            return "unsupported-suite"
        if not all(hellos) and not summary.gap_in_handshake and (all(losses.seen) or not any(hellos)):
            return "handshake-not-captured"
        if not all(losses.seen):
            return "one-direction-missing"
        if summary.gap_in_handshake or (any(losses.gaps) and summary.handshake_without_keys is None):
            return "gap"
    if summary.handshake_without_keys is not None:
        return missing_secret_reason(summary.handshake_without_keys, given)
    return "gap" if lost else "mac-failure"


def missing_secret_reason(negotiation: Negotiation, given: KeysGiven) -> Reason:
    """Why no secret was found for a handshake that was captured: the first reason that applies."""
    agreement = negotiation.agreement
    if agreement is None:
        return "handshake-not-captured"
    if negotiation.abbreviated and not negotiation.has_candidates:
        origin = negotiation.origin
        return (origin.reason if origin else None) or "resumed-session-not-captured"
    if _is_unsupported(negotiation):
        return "unsupported-suite"
    if negotiation.failed:
        from_key = not given.key_log and not negotiation.abbreviated
        return "key-mismatch" if from_key and not negotiation.certificate_matches_key else "mac-failure"
    suite, tls13 = agreement.suite, agreement.version >= TLS13
    if not tls13 and (suite.forward_secret or (suite.rsa_key_transport and negotiation.ephemeral_key)):
        return "forward-secrecy"
    if tls13 or not suite.rsa_key_transport:
        return "key-log-lacks-session" if given.key_log else "needs-key-log"
    if negotiation.certificate_matches_key:
        # RFC 7627 section 4: the extended master secret depends on every message of the handshake
        needs_transcript = agreement.extended_master and not negotiation.transcript_complete
        if needs_transcript or not negotiation.client_key_exchange_seen:
            return "gap"
        return "mac-failure" if given.private_keys else "no-key"
    if given.key_log:
        return "key-log-lacks-session"
    return "key-mismatch" if given.private_keys else "no-key"


def _is_unsupported(negotiation: Negotiation) -> bool:
    """Whether no secret could decrypt the records of this handshake."""
    agreement = negotiation.agreement
    if agreement is None:
        return False
    without_protection = negotiation.unsupported and agreement.version < TLS13
    return without_protection or not agreement.suite.decryptable or 0 < agreement.draft < OLDEST_DRAFT


def unsupported(summary: Summary) -> Unsupported:
    """What cannot be decrypted on a connection whose reason is ``unsupported-suite``."""
    negotiation = summary.handshake_without_keys
    agreement = negotiation.agreement if negotiation else None
    if agreement is None:
        return Unsupported(version_name(summary.version), summary.suite.name if summary.suite else None)
    suite = agreement.suite
    version = version_name(agreement.version)
    return Unsupported(version, suite.name, suite.decryptable, agreement.compression, agreement.draft)
