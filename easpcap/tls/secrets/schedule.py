"""The key schedule of SSL 3.0 to TLS 1.2: from premaster secret to the keys of an epoch, and the Finished contents."""

from __future__ import annotations

from hashlib import md5, sha1
from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.tls.codepoints import SSL3, TLS11, TLS12
from easpcap.tls.secrets.keyed_hash import hash_state, hmac_states
from easpcap.tls.suites.suite import CIPHERS, EXPORT_KEYS, MAC_SIZES, UnsupportedSuite

if TYPE_CHECKING:
    from easpcap.tls.suites.suite import CipherSuite

MASTER_SECRET_SIZE: Final = 48


class EpochKeys(NamedTuple):
    """The keys of one direction in one epoch; ``iv`` is empty if every record carries its own."""

    mac_key: bytes
    key: bytes
    iv: bytes

    def __repr__(self) -> str:
        return "EpochKeys(...)"


def master_secret(
    version: int, suite: CipherSuite, premaster: bytes, client_random: bytes, server_random: bytes
) -> bytes:
    """The 48-byte master secret (SSL 3.0: RFC 6101 section 6.1; RFC 2246, 4346 and 5246 section 8.1)."""
    if version == SSL3:
        return _ssl3_expand(premaster, client_random + server_random, MASTER_SECRET_SIZE)
    return prf(version, suite, premaster, b"master secret", client_random + server_random, MASTER_SECRET_SIZE)


def extended_master_secret(version: int, suite: CipherSuite, premaster: bytes, messages: bytes) -> bytes:
    """The master secret bound to its handshake (RFC 7627 section 4).

    ``messages``: the handshake messages with their headers, ClientHello to ClientKeyExchange, both included.
    """
    session_hash = _transcript_hash(version, suite, messages)
    return prf(version, suite, premaster, b"extended master secret", session_hash, MASTER_SECRET_SIZE)


def verify_data(version: int, suite: CipherSuite, master: bytes, client: bool, messages: bytes) -> bytes:
    """The contents of the Finished message that ``client`` (else the server) sends after ``messages``.

    12 bytes (RFC 5246 section 7.4.9); SSL 3.0: 36 bytes (RFC 6101 section 5.6.9).
    """
    if version == SSL3:
        return _ssl3_finished(master, b"CLNT" if client else b"SRVR", messages)
    label = b"client finished" if client else b"server finished"
    return prf(version, suite, master, label, _transcript_hash(version, suite, messages), 12)


def epoch_keys(
    version: int, suite: CipherSuite, master: bytes, client_random: bytes, server_random: bytes
) -> tuple[EpochKeys, EpochKeys]:
    """The keys the client and the server write with (RFC 5246 section 6.3, RFC 6101 section 6.2.2).

    Raises UnsupportedSuite if easpcap cannot decrypt the suite.
    """
    shape = CIPHERS.get(suite.cipher)
    if shape is None or not suite.decryptable:
        raise UnsupportedSuite(suite.name)
    mac, key, iv = MAC_SIZES[suite.mac], shape.key, shape.fixed_iv
    if suite.export:
        key = EXPORT_KEYS[suite.cipher]
    if shape.kind == "block" and version >= TLS11:
        iv = 0  # RFC 4346 section 6.2.3.2: every record carries its own
    size = 2 * (mac + key + iv)
    randoms = server_random + client_random
    if version == SSL3:
        block = _ssl3_expand(master, randoms, size)
    else:
        block = prf(version, suite, master, b"key expansion", randoms, size)
    macs, keys, ivs = block[: 2 * mac], block[2 * mac : 2 * (mac + key)], block[2 * (mac + key) :]
    both = EpochKeys(macs[:mac], keys[:key], ivs[:iv]), EpochKeys(macs[mac:], keys[key:], ivs[iv:])
    if not suite.export:
        return both
    expand = _ssl3_export if version == SSL3 else _tls_export
    return expand(version, suite, both, client_random, server_random)


def _ssl3_export(
    _version: int, suite: CipherSuite, both: tuple[EpochKeys, EpochKeys], client_random: bytes, server_random: bytes
) -> tuple[EpochKeys, EpochKeys]:
    """The final keys and IVs of an export suite: MD5 of both randoms, the writer's first (RFC 6101 section 6.2.2.1)."""
    size = CIPHERS[suite.cipher].key
    client, server = (
        EpochKeys(
            keys.mac_key,
            md5(keys.key + randoms, usedforsecurity=False).digest()[:size],
            md5(randoms, usedforsecurity=False).digest()[: len(keys.iv)],
        )
        for keys, randoms in zip(both, (client_random + server_random, server_random + client_random), strict=True)
    )
    return client, server


def _tls_export(
    version: int, suite: CipherSuite, both: tuple[EpochKeys, EpochKeys], client_random: bytes, server_random: bytes
) -> tuple[EpochKeys, EpochKeys]:
    """The same with the PRF (RFC 2246 section 6.3.1); RFC 4346 dropped these suites, but OpenSSL kept them."""
    randoms = client_random + server_random
    size, iv = CIPHERS[suite.cipher].key, len(both[0].iv)
    ivs = prf(version, suite, b"", b"IV block", randoms, 2 * iv) if iv else b""
    client, server = (
        EpochKeys(keys.mac_key, prf(version, suite, keys.key, label, randoms, size), part)
        for keys, label, part in zip(
            both, (b"client write key", b"server write key"), (ivs[:iv], ivs[iv:]), strict=True
        )
    )
    return client, server


def prf(version: int, suite: CipherSuite, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """``size`` bytes of the pseudorandom function (TLS 1.2: RFC 5246 section 5; before: RFC 2246 section 5)."""
    seed = label + seed
    if version >= TLS12:
        return _p_hash(suite.prf_hash, secret, seed, size)
    half = (len(secret) + 1) // 2  # the middle byte of a secret of odd length belongs to both halves
    left = _p_hash("md5", secret[:half], seed, size)
    right = _p_hash("sha1", secret[len(secret) - half :], seed, size)
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(size, "big")


def _p_hash(name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash of RFC 5246 section 5."""
    keyed_inner, keyed_outer = hmac_states(name, secret)
    output = b""
    link = seed
    while True:
        inner, outer = keyed_inner(), keyed_outer()
        inner.update(link)
        outer.update(inner.digest())
        link = outer.digest()
        inner, outer = keyed_inner(), keyed_outer()
        inner.update(link + seed)
        outer.update(inner.digest())
        output += outer.digest()
        if len(output) >= size:
            return output[:size]


def _transcript_hash(version: int, suite: CipherSuite, messages: bytes) -> bytes:
    if version >= TLS12:
        return hash_state(suite.prf_hash, messages).digest()
    return md5(messages, usedforsecurity=False).digest() + sha1(messages, usedforsecurity=False).digest()


def _ssl3_expand(secret: bytes, seed: bytes, size: int) -> bytes:
    """MD5(secret + SHA('A' + secret + seed)) + MD5(secret + SHA('BB' + ...)) ... (RFC 6101 section 6.1)."""
    output = b""
    for count in range(1, size // 16 + 2):
        salt = bytes([64 + count]) * count
        inner = sha1(salt + secret + seed, usedforsecurity=False).digest()
        output += md5(secret + inner, usedforsecurity=False).digest()
    return output[:size]


def _ssl3_finished(master: bytes, sender: bytes, messages: bytes) -> bytes:
    output = b""
    for algorithm, pads in ((md5, 48), (sha1, 40)):
        inner = algorithm(messages + sender + master + b"\x36" * pads, usedforsecurity=False).digest()
        output += algorithm(master + b"\x5c" * pads + inner, usedforsecurity=False).digest()
    return output
