"""KeyRing: all secrets given to an analysis, looked up by what a connection sends in the clear."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import easpcap.limits as limits
from easpcap.tls.secrets.certificate import PublicKey, certificate_fingerprint, certificate_public_key
from easpcap.tls.secrets.key_log import (
    MASTER,
    PREMASTER,
    PREMASTER_BY_RANDOM,
    SESSION,
    BadLine,
    parse_key_log,
    secret_of_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from easpcap.tls.secrets.key_log import Secret

__all__ = ["KeyRing", "certificate_fingerprint"]

#: (secret, number of the key log it came from), in the order of the lines.
LoggedSecrets = tuple[tuple[bytes, int], ...]

_PREMASTER_SIZE: Final = 48  # RFC 5246 section 7.4.7.1
_PREMASTER_SIZES: Final = (32, _PREMASTER_SIZE, 56, 66)  # P-256 and X25519; RSA and P-384; X448; P-521 (RFC 8422)
_MAX_CACHED_CERTIFICATES: Final = 1024


class PendingDecryption(Protocol):
    """A decryption that was started before its result is needed."""

    def result(self) -> bytes | None:
        """Wait for the premaster secret and return it."""

    def cancel(self) -> object:
        """Abandon it: the result is not needed."""


class _PrivateKey(NamedTuple):
    key: RSAPrivateKey
    source: int
    public: PublicKey
    size: int  # bytes of the modulus and of every ciphertext

    def __repr__(self) -> str:
        return f"_PrivateKey({self.public.fingerprint})"


class KeyRing:
    """Private keys and key logs. Every secret is returned with the source number of the key or key log it came from."""

    def __init__(self) -> None:
        self._private: list[_PrivateKey] = []
        self._logs = 0
        self._by_label: dict[str, dict[bytes, LoggedSecrets]] = {}
        self._decrypted: OrderedDict[tuple[str, bytes], bytes | None] = OrderedDict()
        self._pending: OrderedDict[bytes, PendingDecryption] = OrderedDict()  # by ciphertext, for the only key
        self._certificates: OrderedDict[bytes, PublicKey | None] = OrderedDict()

    def __repr__(self) -> str:
        secrets = sum(len(secrets) for by_identifier in self._by_label.values() for secrets in by_identifier.values())
        return f"KeyRing({len(self._private)} private keys, {secrets} secrets)"

    @property
    def has_private_keys(self) -> bool:
        """Whether a private key was added."""
        return bool(self._private)

    @property
    def has_key_log(self) -> bool:
        """Whether a key log was added, even an empty one."""
        return self._logs > 0

    def add_private_key(self, key: RSAPrivateKey, source: int) -> str:
        """Add a server's key; returns its fingerprint: the sha256 of its SubjectPublicKeyInfo, hex."""
        from hashlib import sha256

        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = key.public_key()
        info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        numbers = public.public_numbers()
        named = PublicKey(sha256(info).hexdigest(), numbers.n, numbers.e)
        if all(known.public != named for known in self._private):
            self._private.append(_PrivateKey(key, source, named, (key.key_size + 7) // 8))
        return named.fingerprint

    def add_key_log(self, data: bytes, source: int) -> tuple[int, list[BadLine]]:
        """Add the lines of a key log (RFC 9850).

        Returns the number of usable lines, and those that are not, at most limits.MAX_KEY_LOG_COMPLAINTS. Where lines
        give different secrets for the same connection, all are kept.
        """
        self._logs += 1
        usable = 0
        complaints: list[BadLine] = []
        for line in parse_key_log(data):
            if isinstance(line, BadLine):
                if len(complaints) < limits.MAX_KEY_LOG_COMPLAINTS:
                    complaints.append(line)
                continue
            self._add_secret(line, source)
            usable += 1
        return usable, complaints

    def _add_secret(self, line: Secret, source: int) -> None:
        by_identifier = self._by_label.setdefault(line.label, {})
        known = by_identifier.get(line.identifier)
        if known is None:
            by_identifier[line.identifier] = ((line.secret, source),)
            return
        most = limits.MAX_SECRETS_PER_IDENTIFIER if line.identifier else limits.MAX_SECRETS_WITHOUT_IDENTIFIER
        if len(known) < most and all(secret != line.secret for secret, _ in known):
            by_identifier[line.identifier] = (*known, (line.secret, source))

    def premasters(self, encrypted: bytes, certificate: bytes | None) -> list[tuple[bytes, int]]:
        """The possible premaster secrets of a ClientKeyExchange: (48 bytes, source), likeliest first.

        With the server's certificate (DER) only its own key is tried, else every key of the right size. A wrong key may
        give 48 random bytes (implicit rejection of PKCS #1 v1.5 errors), so that only Finished or a MAC proves a
        candidate. ``encrypted`` is the ciphertext without its length.
        """
        candidates = list(self.logged_premasters(encrypted))
        for private in self._possible_keys(encrypted, certificate):
            premaster = self._decrypt(private, encrypted)
            if premaster is not None:
                candidates.append((premaster, private.source))
        return candidates

    def logged_premasters(self, encrypted: bytes) -> LoggedSecrets:
        """The premaster secrets (48 bytes) that key logs give for an encrypted one."""
        return self.secrets(encrypted[:8], PREMASTER)

    def premasters_by_random(self, client_random: bytes) -> LoggedSecrets:
        """The premaster secrets of any key exchange that key logs give for a ClientHello's random.

        Their length is not known: where zeros may fill one up, it is there without them as well.
        """
        return tuple(
            (unfilled, source)
            for secret, source in self.secrets(client_random, PREMASTER_BY_RANDOM)
            for unfilled in _unfilled_premasters(secret)
        )

    def master_secrets(self, client_random: bytes) -> LoggedSecrets:
        """The master secrets that key logs give for a ClientHello's random."""
        return self.secrets(client_random, MASTER)

    def master_secrets_by_session_id(self, session_id: bytes) -> LoggedSecrets:
        """The master secrets that key logs give for a session id.

        Those of the empty id may belong to any session that has no id or was resumed by a ticket.
        """
        return self.secrets(session_id, SESSION)

    def secrets(self, identifier: bytes, label: str) -> LoggedSecrets:
        """All secrets with a label of RFC 9850, e.g. CLIENT_TRAFFIC_SECRET_0 by client random.

        Those of TLS 1.3 may be filled up with zeros (``secret_of_size``).
        """
        return self._by_label.get(label, {}).get(identifier, ())

    def source_for_certificate(self, certificate: bytes) -> int | None:
        """The source of the private key that belongs to a certificate (DER); None if there is none."""
        public = self._public_key(certificate)
        return next((private.source for private in self._private if _matches(private, public)), None)

    def start_decrypting(self, encrypted: bytes, submit: Callable[..., PendingDecryption]) -> None:
        """Start to decrypt an encrypted premaster secret before it is needed, if there is exactly one private key.

        ``submit`` takes a function and its arguments and calls it later in another thread.
        """
        if len(self._private) == 1 and self._private[0].size == len(encrypted) and encrypted not in self._pending:
            self._pending[encrypted] = submit(_decrypt, self._private[0], encrypted)
            if len(self._pending) > limits.MAX_CACHED_PREMASTERS:
                self._pending.popitem(last=False)[1].cancel()

    def _possible_keys(self, encrypted: bytes, certificate: bytes | None) -> list[_PrivateKey]:
        public = self._public_key(certificate) if certificate else None
        if public is None:
            return [private for private in self._private if private.size == len(encrypted)]
        return [private for private in self._private if _matches(private, public) and len(encrypted) <= private.size]

    def _public_key(self, certificate: bytes) -> PublicKey | None:
        if certificate not in self._certificates:
            self._certificates[certificate] = certificate_public_key(certificate)
            if len(self._certificates) > _MAX_CACHED_CERTIFICATES:
                self._certificates.popitem(last=False)
        return self._certificates[certificate]

    def _decrypt(self, private: _PrivateKey, encrypted: bytes) -> bytes | None:
        """The premaster secret decrypted with one key; None if the plaintext is not 48 bytes long."""
        known = (private.public.fingerprint, encrypted)
        if known not in self._decrypted:
            pending = self._pending.pop(encrypted, None)
            self._decrypted[known] = pending.result() if pending is not None else _decrypt(private, encrypted)
            if len(self._decrypted) > limits.MAX_CACHED_PREMASTERS:
                self._decrypted.popitem(last=False)
        return self._decrypted[known]


def _matches(private: _PrivateKey, public: PublicKey | None) -> bool:
    """Whether both are the same key. Their numbers are compared, because encodings of the same key may differ."""
    return public is not None and private.public[1:] == public[1:]


def _unfilled_premasters(secret: bytes) -> list[bytes]:
    """The premaster secrets that one may be that zeros perhaps fill up: as it is, and in the usual lengths."""
    return list(dict.fromkeys(filter(None, (secret, *(secret_of_size(secret, size) for size in _PREMASTER_SIZES)))))


def _decrypt(private: _PrivateKey, encrypted: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    try:
        # some senders leave out leading zero bytes of the ciphertext
        premaster = private.key.decrypt(encrypted.rjust(private.size, b"\0"), PKCS1v15())
    except ValueError:  # a number above the modulus
        return None
    return premaster if len(premaster) == _PREMASTER_SIZE else None
