"""One handshake of a connection: what was agreed, which secrets may belong to it, and which one was proven."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, NamedTuple

from easpcap.limits import MAX_TRANSCRIPT_BYTES
from easpcap.stream import TO_SERVER
from easpcap.tls.codepoints import HELLO_REQUEST, TLS13
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.protection.choose import protection
from easpcap.tls.protection.deflate import inflating
from easpcap.tls.protection.null_unverified import UnverifiedNull
from easpcap.tls.secrets.keyed_hash import hash_state
from easpcap.tls.secrets.schedule import epoch_keys, verify_data
from easpcap.tls.suites.suite import UnsupportedSuite, suite

if TYPE_CHECKING:
    from easpcap.tls.handshake.messages import ClientHello, ServerHello
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.joiner import Message
    from easpcap.tls.secrets.schedule import EpochKeys
    from easpcap.tls.secrets.session_cache import Origin
    from easpcap.tls.suites.suite import CipherSuite

NO_COMPRESSION, DEFLATE = 0, 1  # RFC 3749 section 2


class Candidate(NamedTuple):
    """A master secret that may be the right one, and the number of the key or key log it came from (None: unknown).

    ``guessed``: nothing says that it belongs to this handshake.
    """

    master: bytes
    source: int | None
    guessed: bool = False

    def __repr__(self) -> str:
        return f"Candidate(source={self.source})"


class Agreement(NamedTuple):
    """What both hellos agreed on; known once the ServerHello was seen."""

    version: int
    suite: CipherSuite
    compression: int
    client_random: bytes | None
    server_random: bytes
    encrypt_then_mac: bool
    extended_master: bool
    draft: int = 0  # number of the TLS 1.3 draft; 0: no draft


class Negotiation:
    """One handshake, from its ClientHello on. ``number`` counts the ServerHellos before it."""

    __slots__ = (
        "_keys",
        "_transcript",
        "abbreviated",
        "agreement",
        "candidates",
        "certificate",
        "certificate_matches_key",
        "changed",
        "client_hello",
        "client_key_exchange_seen",
        "ephemeral_key",
        "failed",
        "finished",
        "number",
        "origin",
        "proven",
        "renegotiation",
        "session_id",
        "ticket",
        "transcript_complete",
        "unsupported",
        "verified",
    )

    def __init__(self, number: int, *, renegotiation: bool) -> None:
        self.number = number
        self.renegotiation = renegotiation
        self.client_hello: ClientHello | None = None
        self.agreement: Agreement | None = None
        self.session_id = b""  # chosen by the server
        self.ticket = b""  # issued by the server in this handshake
        self.certificate: bytes | None = None
        self.ephemeral_key = False  # a ServerKeyExchange was seen
        self.client_key_exchange_seen = False
        self.abbreviated = False
        self.origin: Origin | None = None  # of the session that it resumes
        self.candidates: list[Candidate] = []
        self.certificate_matches_key: bool | None = None  # of any key given; None: no certificate was seen
        self.proven: Candidate | None = None
        self.unsupported = False  # secrets are known, but the cipher suite is not supported
        self.failed = False  # candidates were tried, and none decrypted the first record
        self.changed = [False, False]
        self.finished = [False, False]
        self.verified = [False, False]
        self._keys: dict[Candidate, tuple[EpochKeys, EpochKeys]] = {}
        self._transcript = bytearray()
        self.transcript_complete = True  # no message is missing in the transcript

    @property
    def has_candidates(self) -> bool:
        """Whether a secret was found for this handshake, one that is not only a guess."""
        return any(not candidate.guessed for candidate in self.candidates)

    @property
    def private_key_suffices(self) -> bool:
        """Whether the server's private key alone decrypts the premaster secret.

        It does not if a ServerKeyExchange brought another RSA key, as in export suites (RFC 2246 section 7.4.3).
        """
        return self.agreement is not None and self.agreement.suite.rsa_key_transport and not self.ephemeral_key

    def agree(self, hello: ServerHello) -> Agreement:
        """Combine ClientHello and ServerHello into the agreement, and return it."""
        offered = self.client_hello.extensions if self.client_hello else hello.extensions
        self.session_id = hello.session_id
        self.agreement = Agreement(
            hello.version,
            suite(hello.suite),
            hello.compression,
            self.client_hello.random if self.client_hello else None,
            hello.random,
            ext.ENCRYPT_THEN_MAC in hello.extensions and ext.ENCRYPT_THEN_MAC in offered,
            ext.EXTENDED_MASTER_SECRET in hello.extensions and ext.EXTENDED_MASTER_SECRET in offered,
            hello.draft,
        )
        return self.agreement

    def record(self, message: Message) -> None:
        """Add a message to the transcript, unless it is a HelloRequest (RFC 5246 section 7.4.1.1)."""
        if message.message_type == HELLO_REQUEST:
            return
        if len(self._transcript) + len(message.raw) > MAX_TRANSCRIPT_BYTES:
            self.break_transcript()
        elif self.transcript_complete:
            self._transcript += message.raw

    def break_transcript(self) -> None:
        """Drop the transcript, because a message is missing: no Finished or extended master secret can be computed."""
        self.transcript_complete = False
        self._transcript.clear()

    def hash_first_hello(self) -> None:
        """Replace the ClientHello in the transcript by its hash, for a HelloRetryRequest (RFC 8446 section 4.4.1)."""
        if self.agreement is not None and self.transcript_complete:
            hashed = hash_state(self.agreement.suite.prf_hash, self.transcript).digest()
            self._transcript[:] = b"\xfe\0\0" + bytes([len(hashed)]) + hashed

    @property
    def transcript(self) -> bytes:
        """The messages so far."""
        return bytes(self._transcript)

    def verify(self, direction: int, contents: bytes) -> bool | None:
        """Whether a Finished matches the transcript before it; None if the secret or a message is missing."""
        agreement, proven = self.agreement, self.proven
        if agreement is None or proven is None or not proven.master or not self.transcript_complete:
            return None
        expected = verify_data(
            agreement.version, agreement.suite, proven.master, direction == TO_SERVER, self.transcript
        )
        self.verified[direction] = compare_digest(expected, contents)
        return self.verified[direction]

    def protections(self, direction: int) -> list[tuple[Candidate, Protection]]:
        """The protections that may open the records of ``direction`` in the next epoch, one per candidate."""
        agreement = self.agreement
        if agreement is None or agreement.version >= TLS13:
            return []
        candidates = [self.proven] if self.proven else self.candidates
        found: list[tuple[Candidate, Protection]] = []
        try:
            if agreement.client_random is not None:
                found += [(candidate, self._protection(agreement, candidate, direction)) for candidate in candidates]
        except UnsupportedSuite:
            self.unsupported = True
            return []
        mac_decides = candidates and (self.proven or self.certificate_matches_key is not None)
        if agreement.suite.cipher == "NULL" and agreement.compression == NO_COMPRESSION and not mac_decides:
            found.append((Candidate(b"", None), UnverifiedNull(agreement.suite)))
        return found

    def _protection(self, agreement: Agreement, candidate: Candidate, direction: int) -> Protection:
        version, chosen = agreement.version, agreement.suite
        if not candidate.master:
            return UnverifiedNull(chosen)
        if agreement.compression not in (NO_COMPRESSION, DEFLATE) or agreement.client_random is None:
            raise UnsupportedSuite(chosen.name)
        keys = self._keys.get(candidate)
        if keys is None:  # both directions come from one key block
            keys = epoch_keys(version, chosen, candidate.master, agreement.client_random, agreement.server_random)
            self._keys[candidate] = keys
        reading = protection(version, chosen, keys[direction], encrypt_then_mac=agreement.encrypt_then_mac)
        return inflating(reading) if agreement.compression == DEFLATE else reading
