"""One handshake of a connection: what it agreed, the secrets that may belong to it, and whether they proved right."""

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
    """A master secret that may be the right one, and the number of the key or key log it came from (None: unknown)."""

    master: bytes
    source: int | None

    def __repr__(self) -> str:
        return f"Candidate(source={self.source})"


class Agreement(NamedTuple):
    """What both hellos agreed on; exists once the ServerHello was seen."""

    version: int
    suite: CipherSuite
    compression: int
    client_random: bytes | None
    server_random: bytes
    encrypt_then_mac: bool
    extended_master: bool
    draft: int = 0  # of TLS 1.3, where it is one


class Negotiation:
    """One handshake, from its ClientHello on. ``number`` counts the ServerHellos before it."""

    __slots__ = (
        "_keys",
        "_transcript",
        "abbreviated",
        "agreement",
        "candidates",
        "certificate",
        "changed",
        "client_hello",
        "ephemeral_key",
        "failed",
        "finished",
        "intact",
        "key_fits",
        "keyed",
        "number",
        "origin",
        "proven",
        "renegotiation",
        "session_id",
        "ticket",
        "unsupported",
        "verified",
    )

    def __init__(self, number: int, *, renegotiation: bool) -> None:
        self.number = number
        self.renegotiation = renegotiation
        self.client_hello: ClientHello | None = None
        self.agreement: Agreement | None = None
        self.session_id = b""  # the one the server named
        self.ticket = b""  # the one the server issued in this handshake
        self.certificate: bytes | None = None
        self.ephemeral_key = False  # a ServerKeyExchange was seen
        self.keyed = False  # a ClientKeyExchange was seen
        self.abbreviated = False
        self.origin: Origin | None = None  # of the session that it resumes
        self.candidates: list[Candidate] = []
        self.key_fits: bool | None = None  # whether a private key given fits the certificate; None: no certificate seen
        self.proven: Candidate | None = None
        self.unsupported = False  # secrets are known, but not how such records are opened
        self.failed = False  # candidates were tried, and none opened the first record
        self.changed = [False, False]
        self.finished = [False, False]
        self.verified = [False, False]
        self._keys: dict[Candidate, tuple[EpochKeys, EpochKeys]] = {}
        self._transcript = bytearray()
        self.intact = True  # the transcript is whole

    @property
    def opened_by_private_key(self) -> bool:
        """Whether the server's private key is what opens this handshake.

        Not where a ServerKeyExchange brought another RSA key, as export suites do (RFC 2246 section 7.4.3).
        """
        return self.agreement is not None and self.agreement.suite.rsa_key_transport and not self.ephemeral_key

    def agree(self, hello: ServerHello) -> Agreement:
        """Settle version, suite and randoms by the ServerHello."""
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
        """Add a message to the transcript; a HelloRequest belongs to none (RFC 5246 section 7.4.1.1)."""
        if message.message_type == HELLO_REQUEST:
            return
        if len(self._transcript) + len(message.raw) > MAX_TRANSCRIPT_BYTES:
            self.break_transcript()
        elif self.intact:
            self._transcript += message.raw

    def break_transcript(self) -> None:
        """Messages are missing: Finished cannot be proven, and no extended master secret be derived."""
        self.intact = False
        self._transcript.clear()

    def fold_transcript(self) -> None:
        """Before a HelloRetryRequest: the ClientHello counts by its hash only (RFC 8446 section 4.4.1)."""
        if self.agreement is not None and self.intact:
            hashed = hash_state(self.agreement.suite.prf_hash, self.transcript).digest()
            self._transcript[:] = b"\xfe\0\0" + bytes([len(hashed)]) + hashed

    @property
    def transcript(self) -> bytes:
        """The messages so far."""
        return bytes(self._transcript)

    def verify(self, direction: int, contents: bytes) -> bool | None:
        """Whether a Finished fits the transcript before it; None where that cannot be known."""
        agreement, proven = self.agreement, self.proven
        if agreement is None or proven is None or not proven.master or not self.intact:
            return None
        expected = verify_data(
            agreement.version, agreement.suite, proven.master, direction == TO_SERVER, self.transcript
        )
        self.verified[direction] = compare_digest(expected, contents)
        return self.verified[direction]

    def protections(self, direction: int) -> list[tuple[Candidate, Protection]]:
        """How the records of ``direction`` may be opened under this handshake's keys, one way for each candidate."""
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
        trusted = candidates and (self.proven or self.key_fits is not None)  # then the MAC decides, and must hold
        if agreement.suite.cipher == "NULL" and agreement.compression == NO_COMPRESSION and not trusted:
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
