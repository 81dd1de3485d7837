"""Words the verdict on a connection's decryption: why it was not decrypted, and what to do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from easpcap.stream import TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.results import Decryption
    from easpcap.tls.handshake.verdict import Reason, Unsupported

#: Why, in a few words.
REASON_WORDS: Final[dict[Reason, str]] = {
    "handshake-not-captured": "the connection began before the capture",
    "one-direction-missing": "only one direction was captured",
    "gap": "packets are missing from the capture",
    "truncated-packets": "packets were cut short when they were captured",
    "resumed-session-not-captured": "a session is resumed whose first handshake is not in the capture",
    "unsupported-suite": "easpcap cannot decrypt this cipher suite or version",
    "forward-secrecy": "the key exchange is ephemeral, so no private key can decrypt it",
    "needs-key-log": "this kind of handshake needs a key log",
    "key-log-lacks-session": "the key log has no line for it",
    "key-mismatch": "no key given is the key of the server's certificate",
    "no-key": "no key was given",
    "mac-failure": "records failed their integrity check",
}

#: Why, and what to do. The braces are filled with the parameters of the verdict.
_DETAILS: Final[dict[Reason, str]] = {
    "handshake-not-captured": "The capture begins after this connection's TLS handshake. Start the capture before the "
    "client connects, or make the client reconnect.",
    "one-direction-missing": "Only one direction of this connection was captured. Capture where both directions pass, "
    "ideally on the server.",
    "gap": "Packets are missing from the capture. Capture again on a less busy machine, or with a larger capture "
    "buffer.",
    "truncated-packets": "Packets were cut short when they were captured. Capture again with whole packets "
    "(snapshot length 0).",
    "resumed-session-not-captured": "This connection resumes a TLS session whose first handshake is not in the "
    "capture. Add the capture that holds it, or start capturing before the client's first connection.",
    "unsupported-suite": "easpcap cannot decrypt {unsupported}. {instead}",
    "forward-secrecy": "The key exchange is ephemeral (forward secrecy), so no private key can decrypt it. Take a key "
    "log on the client (SSLKEYLOGFILE), or allow only cipher suites with RSA key exchange while you capture.",
    "needs-key-log": "Only a key log can decrypt this connection. Take one on the client (SSLKEYLOGFILE).",
    "key-log-lacks-session": "The key log has no line for this connection. The same client must write it while the "
    "capture runs.",
    "key-mismatch": "None of the keys you gave matches this server's certificate{thumbprint}. Export the key of the "
    "certificate bound to this address and port.",
    "no-key": "No key was given. Give the private key of the server's certificate{thumbprint} with --key, or a key log "
    "from the client with --key-log.",
    "mac-failure": "A key was found, but records failed their integrity check. Either the captured bytes are damaged, "
    "or the key belongs to another server.",
}
_EPHEMERAL_WITH_KEY_LOG: Final = (
    "The key exchange is ephemeral (forward secrecy), so no private key can decrypt it, and the key log you gave has "
    "no line for this connection. The same client must write it while the capture runs."
)
_SECRETS_MISSING: Final = (
    "The key log knows this connection but has no {labels} line for it. Take the whole log, written by the client from "
    "before the connection begins until it ends."
)
_RECORD_TYPES_HIDDEN: Final = (
    "TLS 1.3 hides record types: without the key log easpcap cannot tell whether a certificate was requested late."
)
_OTHER_SUITE: Final = (
    "Let client and server agree on another cipher suite, such as TLS_RSA_WITH_AES_128_CBC_SHA with TLS 1.2."
)
_NO_COMPRESSION: Final = "Turn TLS compression off on the client or the server."
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def decryption_detail(verdict: Decryption) -> str | None:
    """Why a connection was not decrypted, or only in part, and what to do; None where there is no reason."""
    return _joined(decryption_advice(verdict), _first_undecrypted(verdict))


def decryption_advice(verdict: Decryption, *, with_thumbprint: bool = True) -> str | None:
    """The same without the place where decryption stopped."""
    if verdict.reason is None:
        return None
    return _joined(
        _detail(verdict, verdict.reason, with_thumbprint=with_thumbprint),
        _RECORD_TYPES_HIDDEN if verdict.record_types_hidden else None,
        _which_handshake(verdict),
    )


def common_advice(verdicts: Sequence[Decryption]) -> str | None:
    """The advice that most of several connections with the same reason need; it names a certificate that all share."""
    same_certificate = len({verdict.thumbprint for verdict in verdicts}) == 1
    advice = Counter(decryption_advice(verdict, with_thumbprint=same_certificate) for verdict in verdicts)
    return advice.most_common(1)[0][0] if advice else None


def _joined(*sentences: str | None) -> str | None:
    return " ".join(sentence for sentence in sentences if sentence) or None


def _detail(verdict: Decryption, reason: Reason, *, with_thumbprint: bool) -> str:
    if reason == "key-log-lacks-session" and verdict.missing_secrets:
        return _SECRETS_MISSING.format(labels=" and no ".join(verdict.missing_secrets))
    if reason == "forward-secrecy" and verdict.key_log_given:
        return _EPHEMERAL_WITH_KEY_LOG
    what = verdict.unsupported
    return _DETAILS[reason].format(
        thumbprint=f" (thumbprint {verdict.thumbprint})" if verdict.thumbprint and with_thumbprint else "",
        unsupported=_unsupported(what) if what else "this cipher suite",
        instead=_NO_COMPRESSION if what and what.suite_supported and what.compression else _OTHER_SUITE,
    )


def _unsupported(what: Unsupported) -> str:
    """What easpcap cannot decrypt: the suite, or a supported suite in this version or with this compression."""
    suite = what.cipher_suite or "this cipher suite"
    if what.version == "SSL 2.0":
        return f"SSL 2.0 ({suite})" if what.cipher_suite else "SSL 2.0"
    if not what.suite_supported:
        return suite
    if what.compression:
        return f"{suite} with compression method {what.compression}"
    return f"{suite} with {what.version}" + (f" draft {what.draft}" if what.draft else "")


def _which_handshake(verdict: Decryption) -> str | None:
    number = verdict.later_handshake
    if number is not None:
        which = _ORDINALS[number - 1] if number <= len(_ORDINALS) else f"{number}th"
        return f"The secrets of the {which} handshake, a renegotiation, are missing."
    if verdict.hides_later_handshake:
        return (
            "The secrets of the first handshake are missing. A later handshake is encrypted under them and needs "
            "its own secrets."
        )
    return None


def _first_undecrypted(verdict: Decryption) -> str | None:
    """Where decryption stopped, so that it can be looked up in Wireshark."""
    place = verdict.first_undecrypted
    if place is None:
        return None
    side = "server" if place.direction == TO_SERVER else "client"
    later = "; later records were decrypted again" if verdict.decrypted_later else ""
    return (
        f"The first record not decrypted begins in frame {place.frame}, {place.offset:,} bytes into the stream to the "
        f"{side}{later}."
    )
