"""connection_result(): the result of a closed connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.facts import CaptureEnd
from easpcap.limits import MAX_FACTS
from easpcap.pipeline.decryption import decryption
from easpcap.results import Connection, Fact, TlsSummary
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.handshake.verdict import version_name

if TYPE_CHECKING:
    from easpcap.pipeline.conversation import Conversation
    from easpcap.stream import Position
    from easpcap.tcp.assembler import TcpConnection
    from easpcap.tls.secrets.keyring import KeyRing

_END_OF_STREAM = 2**63  # an offset beyond every stream: its position is that of the last byte


def connection_result(tcp: TcpConnection, conversation: Conversation, keyring: KeyRing) -> Connection:
    """The result of a finished conversation. Its id is the frame of its first packet until `judge` numbers it."""
    if not all(tcp.seen):  # the capture lacks one direction, so it cannot show which side gave up
        for exchange in conversation.exchanges:
            if exchange.outcome.startswith("abandoned"):
                exchange.outcome = "interrupted"
    if len(conversation.facts) < MAX_FACTS and tcp.closed_by == "open":
        conversation.facts.append(Fact(CaptureEnd(), TO_SERVER, tcp.last))
    tls = conversation.tls
    certificate = tls.server_certificate if tls is not None else None
    return Connection(
        id=tcp.first.frame,
        client=tcp.client,
        server=tcp.server,
        roles_known_by=tcp.roles_known_by,
        first=tcp.first,
        last=tcp.last,
        packets=tcp.packets,
        payload_bytes=(tcp.payload_bytes[0], tcp.payload_bytes[1]),
        gaps=(tcp.gaps[0], tcp.gaps[1]),
        closed_by=tcp.closed_by,
        tls=_tls_summary(conversation),
        decryption=decryption(tcp, conversation, keyring),
        exchanges=conversation.exchanges,
        facts=conversation.facts,
        record_runs=conversation.record_runs,
        key_sources=frozenset(tls.key_sources) if tls is not None else frozenset(),
        certificate_key=keyring.source_for_certificate(certificate) if certificate is not None else None,
        digest=conversation.digest.result() if conversation.digest is not None else None,
        last_data=[_last_byte(tcp, TO_SERVER), _last_byte(tcp, TO_CLIENT)],
    )


def _tls_summary(conversation: Conversation) -> TlsSummary | None:
    tls = conversation.tls
    if tls is None:
        return None
    return TlsSummary(
        version=version_name(tls.version),
        cipher_suite=tls.suite.name if tls.suite else None,
        server_name=tls.server_name,
        handshakes=tls.handshakes,
        resumed=tls.resumed,
        certificate_requested=tls.certificate_requested,
        certificate_presented=tls.certificate_presented,
        renegotiations=conversation.renegotiations,
        server_certificate=tls.server_certificate,
    )


def _last_byte(tcp: TcpConnection, direction: int) -> Position | None:
    return tcp.locate(direction, _END_OF_STREAM) if tcp.payload_bytes[direction] else None
