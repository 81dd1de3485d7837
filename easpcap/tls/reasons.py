"""How far a connection was decrypted, and the reasons why one was not: stable names that the JSON shows."""

from __future__ import annotations

from typing import Literal

#: ``plaintext`` means no TLS; ``none`` means no application data.
Status = Literal["decrypted", "partial", "opaque", "plaintext", "none"]

Reason = Literal[
    "handshake-not-captured",
    "one-direction-missing",
    "gap",
    "truncated-packets",
    "resumed-session-not-captured",
    "unsupported-suite",
    "forward-secrecy",
    "needs-key-log",
    "key-log-lacks-session",
    "key-mismatch",
    "no-key",
    "mac-failure",
]
