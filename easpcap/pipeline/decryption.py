"""The verdict on one connection's decryption, with what only the pipeline knows: the frames, and the records around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.results import Decryption
from easpcap.tls.codepoints import APPLICATION_DATA, HANDSHAKE, TLS13
from easpcap.tls.handshake.verdict import CaptureLosses, KeysGiven, judge, unsupported

if TYPE_CHECKING:
    from easpcap.pipeline.conversation import Conversation
    from easpcap.tcp.assembler import TcpConnection
    from easpcap.tls.secrets.keyring import KeyRing
    from easpcap.tls.session.session import TlsSession

#: Reasons that a secret would remove: where a connection has several handshakes, each has its own secrets.
_MISSING_SECRET = frozenset({"forward-secrecy", "needs-key-log", "key-log-lacks-session", "key-mismatch", "no-key"})


def decryption(tcp: TcpConnection, conversation: Conversation, keyring: KeyRing) -> Decryption:
    """What could be decrypted of a connection; if not all of it, the reason and its parameters."""
    tls = conversation.tls
    if tls is None:
        return Decryption("plaintext" if any(tcp.payload_bytes) else "none")
    losses = CaptureLosses(tcp.truncated, (tcp.gaps[0], tcp.gaps[1]), (tcp.seen[0], tcp.seen[1]))
    given = KeysGiven(keyring.has_private_keys, keyring.has_key_log)
    verdict = Decryption(*judge(tls, losses, given))
    if verdict.status == "none" and conversation.begins_inside_record:  # part of a record is all there is
        verdict = Decryption("opaque", "handshake-not-captured")
    if verdict.reason is not None:
        _add_parameters(verdict, tls, given)
        _add_handshake(verdict, tls, conversation)
    if verdict.status == "partial":
        verdict.first_undecrypted = conversation.undecrypted.first
        verdict.decrypted_later = conversation.undecrypted.decrypted_later
    return verdict


def _add_parameters(verdict: Decryption, tls: TlsSession, given: KeysGiven) -> None:
    """Add what the reason is about: secrets, certificate, cipher suite."""
    verdict.key_log_given = given.key_log
    if verdict.reason == "key-log-lacks-session":
        verdict.missing_secrets = tuple(dict.fromkeys(tls.missing_secrets))
    if verdict.reason in {"key-mismatch", "no-key"} and tls.server_certificate is not None:
        verdict.thumbprint = _thumbprint(tls.server_certificate)
    if verdict.reason == "unsupported-suite":
        verdict.unsupported = unsupported(tls)
    hidden = tls.version == TLS13 and verdict.reason in {"needs-key-log", "key-log-lacks-session"}
    verdict.record_types_hidden = hidden and not verdict.missing_secrets


def _thumbprint(certificate: bytes) -> str:
    """The name that Windows gives a certificate; it protects nothing."""
    from hashlib import sha1

    return sha1(certificate, usedforsecurity=False).hexdigest().upper()


def _add_handshake(verdict: Decryption, tls: TlsSession, conversation: Conversation) -> None:
    """Add which handshake lacks its secrets, where the connection has more than one."""
    if verdict.reason not in _MISSING_SECRET or tls.handshake_without_keys is None:
        return
    if tls.handshake_without_keys.number > 0:
        verdict.later_handshake = tls.handshake_without_keys.number + 1
    else:
        verdict.hides_later_handshake = verdict.status == "opaque" and _renegotiates(conversation)


def _renegotiates(conversation: Conversation) -> bool:
    """Whether handshake records follow application data."""
    data_seen = False
    for run in conversation.record_runs:
        if run.content_type == HANDSHAKE and data_seen:
            return True
        data_seen = data_seen or run.content_type == APPLICATION_DATA
    return False
