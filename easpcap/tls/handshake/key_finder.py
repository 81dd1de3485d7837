"""Finds the master secrets that may belong to a handshake. Its first encrypted record proves the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.tls.codepoints import TLS13
from easpcap.tls.handshake.messages import encrypted_premaster
from easpcap.tls.handshake.negotiation import Candidate
from easpcap.tls.handshake.verdict import KeysGiven, missing_secret_reason
from easpcap.tls.secrets.key_log import secret_of_size
from easpcap.tls.secrets.schedule import extended_master_secret, master_secret
from easpcap.tls.secrets.session_cache import Origin

if TYPE_CHECKING:
    from collections.abc import Hashable

    from easpcap.tls.handshake.negotiation import Negotiation
    from easpcap.tls.secrets.keyring import KeyRing
    from easpcap.tls.secrets.session_cache import SessionCache

#: Labels of the secrets that decrypt a TLS 1.3 connection (RFC 9850), except its early data.
TRAFFIC_SECRETS: Final = (
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
)


class KeyFinder:
    """Searches the given keys, and the sessions seen on all connections, for the secrets of one connection."""

    __slots__ = ("_cache", "_keyring", "_server")

    def __init__(self, keyring: KeyRing, cache: SessionCache, server: Hashable) -> None:
        self._keyring = keyring
        self._cache = cache
        self._server = server

    def has_key_for(self, certificate: bytes) -> bool:
        """Whether one of the given private keys belongs to this certificate (DER)."""
        return self._keyring.source_for_certificate(certificate) is not None

    def has_traffic_secret(self, client_random: bytes) -> bool:
        """Whether the key logs have a secret of TRAFFIC_SECRETS for this TLS 1.3 connection."""
        return any(self._keyring.secrets(client_random, label) for label in TRAFFIC_SECRETS)

    def traffic_secrets(self, client_random: bytes, label: str, size: int) -> list[tuple[bytes, int]]:
        """The TLS 1.3 secrets of ``size`` bytes with this label (RFC 9850), and the number of the key log of each."""
        logged = [
            (secret_of_size(secret, size), source) for secret, source in self._keyring.secrets(client_random, label)
        ]
        return list(dict.fromkeys((secret, source) for secret, source in logged if secret is not None))

    def find_by_key_exchange(self, negotiation: Negotiation, body: bytes) -> None:
        """Add the candidates that a ClientKeyExchange gives; the transcript must already contain the message."""
        self._by_key_log(negotiation)
        agreement = negotiation.agreement
        if agreement is None or agreement.version >= TLS13:
            return
        version, chosen, client_random = agreement.version, agreement.suite, agreement.client_random
        if client_random is None:
            return
        if agreement.extended_master and not negotiation.transcript_complete:
            return  # RFC 7627 section 4: needs every message so far
        for premaster, source in self._premasters(negotiation, encrypted_premaster(body, version)):
            if agreement.extended_master:
                master = extended_master_secret(version, chosen, premaster, negotiation.transcript)
            else:
                master = master_secret(version, chosen, premaster, client_random, agreement.server_random)
            negotiation.candidates.append(Candidate(master, source))

    def _premasters(self, negotiation: Negotiation, encrypted: bytes) -> list[tuple[bytes, int]]:
        """The possible premaster secrets; ``encrypted`` is used only if the client encrypts the premaster secret."""
        agreement, ring = negotiation.agreement, self._keyring
        logged = ring.premasters_by_random(agreement.client_random) if agreement and agreement.client_random else ()
        if negotiation.private_key_suffices:
            return [*logged, *ring.premasters(encrypted, negotiation.certificate)]
        rsa = agreement is not None and agreement.suite.rsa_key_transport
        return [*logged, *(ring.logged_premasters(encrypted) if rsa else ())]

    def find_by_resumption(self, negotiation: Negotiation) -> str | None:
        """Add the candidates of the session that an abbreviated handshake resumes.

        Returns how it was resumed: "ticket", "session-id", or None if that is not known.
        """
        negotiation.abbreviated = True
        self._by_key_log(negotiation)
        hello = negotiation.client_hello
        if hello is None:
            return None
        # RFC 5077 section 3.4: a client with a ticket invents an id; a server that accepts the ticket echoes it.
        echoed = hello.session_id if hello.session_id == negotiation.session_id else b""
        by_id = self._cache.by_id(self._server, echoed)
        by_ticket = self._cache.by_ticket(hello.ticket)
        negotiation.origin = by_ticket or by_id
        origins = [found for found in (by_ticket, by_id) if found and found.master]
        for origin in origins:
            if origin.master is not None:
                negotiation.candidates.append(Candidate(origin.master, origin.source))
        if by_ticket or (hello.ticket and not by_id):
            return "ticket"
        return "session-id" if echoed else None

    def _by_key_log(self, negotiation: Negotiation) -> None:
        agreement = negotiation.agreement
        if agreement is None or negotiation.candidates:
            return
        ring, session_id = self._keyring, negotiation.session_id
        found = ring.master_secrets(agreement.client_random or b"")
        found += ring.master_secrets_by_session_id(session_id) if session_id else ()
        negotiation.candidates += [Candidate(*secret) for secret in dict.fromkeys(found)]
        if not session_id or negotiation.abbreviated:  # by ticket, perhaps
            guesses = ring.master_secrets_by_session_id(b"")
            negotiation.candidates += [Candidate(*secret, guessed=True) for secret in guesses]

    def remember(self, negotiation: Negotiation) -> None:
        """Store the session for connections that resume it: its master secret, or the reason why it is unknown."""
        proven = negotiation.proven
        if proven is not None and proven.master:
            origin = Origin(proven.master, proven.source, None)
        else:
            ring = self._keyring
            given = KeysGiven(private_keys=ring.has_private_keys, key_log=ring.has_key_log)
            origin = Origin(None, None, missing_secret_reason(negotiation, given))
        if negotiation.session_id and not (negotiation.abbreviated and origin.master is None):
            self._cache.store_id(self._server, negotiation.session_id, origin)
        self._cache.store_ticket(negotiation.ticket, origin)
