"""KeyRing: all secrets given to an analysis, found by what a connection shows in the clear."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import easpcap.limits as limits
from easpcap.tls.secrets.certificate import PublicKey, certificate_fingerprint, certificate_public_key
from easpcap.tls.secrets.key_log import MASTER, PREMASTER, PREMASTER_BY_RANDOM, SESSION, BadLine, parse_key_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["KeyRing", "certificate_fingerprint"]

_PREMASTER_SIZE: Final = 48  # RFC 5246 section 7.4.7.1
_MAX_CACHED_CERTIFICATES: Final = 1024


class Ahead(Protocol):
    """A decryption that was started before its result is needed."""

    def result(self) -> bytes | None:
        """Wait for the premaster secret and return it."""

    def cancel(self) -> object:
        """Nobody will ask for the result."""


class _PrivateKey(NamedTuple):
    key: RSAPrivateKey
    source: int
    public: PublicKey
    size: int  # bytes of the modulus, and so of every ciphertext

    def __repr__(self) -> str:
        return f"_PrivateKey({self.public.fingerprint})"


class KeyRing:
    """Private keys and key logs; every secret is returned with the source number it was added under."""

    def __init__(self) -> None:
        self._private: list[_PrivateKey] = []
        self._logs = 0
        self._by_label: dict[str, dict[bytes, tuple[bytes, int]]] = {MASTER: {}, PREMASTER: {}, SESSION: {}}
        self._decrypted: OrderedDict[tuple[str, bytes], bytes | None] = OrderedDict()
        self._ahead: OrderedDict[bytes, Ahead] = OrderedDict()  # by ciphertext, of the only key
        self._certificates: OrderedDict[bytes, PublicKey | None] = OrderedDict()

    def __repr__(self) -> str:
        secrets = sum(map(len, self._by_label.values()))
        return f"KeyRing({len(self._private)} private keys, {secrets} secrets)"

    @property
    def has_private_keys(self) -> bool:
        """Whether a private key was added."""
        return bool(self._private)

    @property
    def has_key_log(self) -> bool:
        """Whether a key log was added, be it an empty one."""
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

        Returns the number of usable lines, and those that are not, at most limits.MAX_KEY_LOG_COMPLAINTS. Of a secret
        that was logged twice the last line counts.
        """
        self._logs += 1
        usable = 0
        complaints: list[BadLine] = []
        for line in parse_key_log(data):
            if isinstance(line, BadLine):
                if len(complaints) < limits.MAX_KEY_LOG_COMPLAINTS:
                    complaints.append(line)
                continue
            self._by_label.setdefault(line.label, {})[line.identifier] = (line.secret, source)
            usable += 1
        return usable, complaints

    def premasters(self, encrypted: bytes, certificate: bytes | None) -> list[tuple[bytes, int]]:
        """What the encrypted premaster secret of a ClientKeyExchange may be: (48 bytes, source), likeliest first.

        With the server's certificate (DER) only the key that fits it is tried, else every key of fitting size. A wrong
        key may give 48 random bytes (implicit rejection of PKCS #1 v1.5 errors), so that only Finished or a MAC proves
        a candidate. ``encrypted`` is the ciphertext without its length.
        """
        candidates = self.logged_premasters(encrypted)
        for private in self._fitting(encrypted, certificate):
            premaster = self._decrypt(private, encrypted)
            if premaster is not None:
                candidates.append((premaster, private.source))
        return candidates

    def logged_premasters(self, encrypted: bytes) -> list[tuple[bytes, int]]:
        """What a key log alone says of an encrypted premaster secret."""
        logged = self._by_label[PREMASTER].get(encrypted[:8])
        return [] if logged is None else [logged]

    def premaster_by_random(self, client_random: bytes) -> tuple[bytes, int] | None:
        """The premaster secret, of any key exchange, that a key log gives for a ClientHello's random."""
        return self.secrets(client_random, PREMASTER_BY_RANDOM)

    def master_secret(self, client_random: bytes) -> tuple[bytes, int] | None:
        """The master secret that a key log gives for a ClientHello's random."""
        return self._by_label[MASTER].get(client_random)

    def master_secret_by_session_id(self, session_id: bytes) -> tuple[bytes, int] | None:
        """The master secret that a key log gives for a session id."""
        return self._by_label[SESSION].get(session_id)

    def secrets(self, client_random: bytes, label: str) -> tuple[bytes, int] | None:
        """A TLS 1.3 secret by its label of RFC 9850, e.g. CLIENT_TRAFFIC_SECRET_0."""
        return self._by_label.get(label, {}).get(client_random)

    def source_for_certificate(self, certificate: bytes) -> int | None:
        """The source of the private key that fits a certificate (DER)."""
        public = self._public_key(certificate)
        return next((private.source for private in self._private if _fits(private, public)), None)

    def start_decrypting(self, encrypted: bytes, submit: Callable[..., Ahead]) -> None:
        """Have an encrypted premaster secret decrypted before it is asked for, where only one key can be meant.

        ``submit`` takes a function and its arguments and calls it some time, in another thread.
        """
        if len(self._private) == 1 and self._private[0].size == len(encrypted) and encrypted not in self._ahead:
            self._ahead[encrypted] = submit(_decrypt, self._private[0], encrypted)
            if len(self._ahead) > limits.MAX_CACHED_PREMASTERS:
                self._ahead.popitem(last=False)[1].cancel()

    def _fitting(self, encrypted: bytes, certificate: bytes | None) -> list[_PrivateKey]:
        public = self._public_key(certificate) if certificate else None
        if public is None:
            return [private for private in self._private if private.size == len(encrypted)]
        return [private for private in self._private if _fits(private, public) and len(encrypted) <= private.size]

    def _public_key(self, certificate: bytes) -> PublicKey | None:
        if certificate not in self._certificates:
            self._certificates[certificate] = certificate_public_key(certificate)
            if len(self._certificates) > _MAX_CACHED_CERTIFICATES:
                self._certificates.popitem(last=False)
        return self._certificates[certificate]

    def _decrypt(self, private: _PrivateKey, encrypted: bytes) -> bytes | None:
        """The premaster secret under one key; None where the plaintext has not the size of one."""
        known = (private.public.fingerprint, encrypted)
        if known not in self._decrypted:
            ahead = self._ahead.pop(encrypted, None)
            self._decrypted[known] = ahead.result() if ahead is not None else _decrypt(private, encrypted)
            if len(self._decrypted) > limits.MAX_CACHED_PREMASTERS:
                self._decrypted.popitem(last=False)
        return self._decrypted[known]


def _fits(private: _PrivateKey, public: PublicKey | None) -> bool:
    """Compared by numbers: encodings of the same key may differ."""
    return public is not None and private.public[1:] == public[1:]


def _decrypt(private: _PrivateKey, encrypted: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    try:
        # some senders leave out leading zero bytes of the ciphertext
        premaster = private.key.decrypt(encrypted.rjust(private.size, b"\0"), PKCS1v15())
    except ValueError:  # a number above the modulus
        return None
    return premaster if len(premaster) == _PREMASTER_SIZE else None
