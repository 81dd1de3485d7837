"""The verdict on one connection's decryption, with what only the pipeline knows: the frames, and the records around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.results import Decryption
from easpcap.stream import DIRECTION_NAMES
from easpcap.tls.codepoints import APPLICATION_DATA, HANDSHAKE
from easpcap.tls.handshake.verdict import judge

if TYPE_CHECKING:
    from easpcap.pipeline.conversation import Conversation
    from easpcap.tcp.assembler import TcpConnection
    from easpcap.tls.secrets.keyring import KeyRing
    from easpcap.tls.session.session import TlsSession

#: Reasons that a secret could remove: where there are several handshakes, each has its own.
_SECRET_LACKS = frozenset({"forward-secrecy", "needs-key-log", "key-log-lacks-session", "key-mismatch", "no-key"})

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def decryption(tcp: TcpConnection, conversation: Conversation, keyring: KeyRing) -> Decryption:
    """What could be decrypted, else why not, what to do, and where it stopped."""
    tls = conversation.tls
    if tls is None:
        return Decryption("plaintext" if any(tcp.payload_bytes) else "none")
    status, reason, detail = judge(
        tls,
        truncated=tcp.truncated,
        gaps=(tcp.gaps[0], tcp.gaps[1]),
        seen=(tcp.seen[0], tcp.seen[1]),
        key_log_given=keyring.has_key_log,
        keys_given=keyring.has_private_keys,
    )
    if detail is not None:
        said = [detail, _which_handshake(conversation, tls, status, reason), _where(conversation, status)]
        detail = " ".join(filter(None, said))
    return Decryption(status, reason, detail)


def _which_handshake(conversation: Conversation, tls: TlsSession, status: str, reason: str | None) -> str:
    """Of which handshake the secrets are missing, where the connection has more than one."""
    if reason not in _SECRET_LACKS or tls.unopened is None:
        return ""
    number = tls.unopened.number
    if number > 0:
        which = _ORDINALS[number] if number < len(_ORDINALS) else f"{number + 1}th"
        return f"What is missing are the secrets of its {which} handshake, a renegotiation."
    if status == "opaque" and _renegotiates_in_hiding(conversation):
        return (
            "What is missing are the secrets of its first handshake; a later one is hidden under them, "
            "and needs its own."
        )
    return ""


def _renegotiates_in_hiding(conversation: Conversation) -> bool:
    """Whether records of a handshake stand behind application data."""
    data_seen = False
    for run in conversation.record_runs:
        if run.content_type == HANDSHAKE and data_seen:
            return True
        data_seen = data_seen or run.content_type == APPLICATION_DATA
    return False


def _where(conversation: Conversation, status: str) -> str:
    """Where decryption stopped, so that it can be looked up in Wireshark."""
    stop = conversation.undecrypted.first
    if status != "partial" or stop is None:
        return ""
    way = DIRECTION_NAMES[stop.direction].replace("_", " the ")
    on = "; later records were decrypted again" if conversation.undecrypted.decrypted_later else ""
    return (
        f"The first record not decrypted begins in frame {stop.frame}, {stop.offset:,} bytes into the stream {way}{on}."
    )
