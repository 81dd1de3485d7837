"""The summary of a TLS connection: counts and facts that are kept when its events are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easpcap.tls.handshake.negotiation import Negotiation
    from easpcap.tls.suites.suite import CipherSuite


class Summary:
    """Facts of one connection; pairs are indexed by direction. Unknown is None.

    ``version`` and ``suite`` are those of the first ServerHello (0x0002: SSL 2.0). ``handshakes`` counts ServerHellos.
    ``resumed``: None, session-id, ticket, psk. ``certificate_requested``: None, first-handshake, later.
    ``certificate_presented``: False if the client sent an empty Certificate. ``key_sources``: numbers of the keys and
    key logs that decrypted it. ``application_bytes`` and ``application_records`` count decrypted application data,
    ``opaque_records`` and ``opaque_bytes`` the application data records that were not decrypted.
    """

    def __init__(self) -> None:
        self.version: int | None = None
        self.suite: CipherSuite | None = None
        self.server_name: str | None = None
        self.handshakes = 0
        self.resumed: str | None = None
        self.certificate_requested: str | None = None
        self.certificate_presented: bool | None = None
        self.server_certificate: bytes | None = None
        self.key_sources: set[int] = set()
        self.application_bytes = [0, 0]
        self.application_records = [0, 0]
        self.opaque_records = [0, 0]
        self.opaque_bytes = [0, 0]
        self.bytes_after_close = [0, 0]
        self.client_hello_seen = False
        self.server_hello_seen = False
        self.gap_in_handshake = False  # bytes are missing before encryption began
        self.gap_in_data = False  # bytes are missing after encryption began
        self.handshake_without_keys: Negotiation | None = None  # the first handshake whose keys were not found
        self.missing_secrets: list[str] = []  # TLS 1.3: labels that the key log lacks, if it has others

    def note_missing_keys(self, negotiation: Negotiation) -> None:
        """Keep the first handshake whose keys were not found."""
        self.handshake_without_keys = self.handshake_without_keys or negotiation
