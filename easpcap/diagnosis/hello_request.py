"""How long an encrypted HelloRequest is: the mark by which it is recognised without keys.

Its plaintext is always four bytes (RFC 5246 section 7.4.1.1), so the fragment has one size per suite and version.
"""

from __future__ import annotations

from functools import lru_cache

from easpcap.tls.codepoints import MESSAGE_HEADER_SIZE, SSL3
from easpcap.tls.handshake.verdict import version_named
from easpcap.tls.suites.record_layout import record_layout
from easpcap.tls.suites.suite import suite_named


@lru_cache(maxsize=256)
def hello_request_sizes(version_name: str | None, cipher_suite: str | None) -> frozenset[int]:
    """Fragment sizes that a HelloRequest can have; empty where they are not known, or where none exists (TLS 1.3).

    CBC suites have two, for MAC then encrypt and encrypt then MAC (RFC 7366): which one was agreed is not looked at.
    Peers that add more padding than they need are not recognised: a miss is better than a false alarm.
    """
    version, suite = version_named(version_name), suite_named(cipher_suite)
    layout = record_layout(version, suite) if version is not None and suite is not None else None
    if layout is None:
        return frozenset()
    orders = (False,) if version == SSL3 else (False, True)  # SSL 3.0 has no extensions
    return frozenset(layout.fragment_size(MESSAGE_HEADER_SIZE, encrypt_then_mac=order) for order in orders)
