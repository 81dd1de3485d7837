"""Words a concern: something that failed or was left unread, without a finding that explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.report.decryption_text import REASON_WORDS

if TYPE_CHECKING:
    from easpcap.results import Concern

#: One, and several. The braces are filled with the count and the names of the concern.
_WORDS: Final = {
    "error-response": ("1 response reported an error: {0}", "{n} responses reported an error: {0}"),
    "abandoned": ("1 request was given up before it was answered", "{n} requests were given up before an answer"),
    "interrupted": (
        "packets of 1 exchange are missing, so the capture does not show how it ended",
        "packets of {n} exchanges are missing, so the capture does not show how they ended",
    ),
    "unanswered": (
        "1 request has no complete response when the capture ends",
        "{n} requests have no complete response when the capture ends",
    ),
    "handshake-failed": (
        "1 TLS handshake failed: the {1} sent the fatal alert {0}",
        "{n} TLS handshakes failed: the {1} sent the fatal alert {0}",
    ),
    "handshake-unfinished": (
        "1 TLS handshake was not completed: {0} closed the connection",
        "{n} TLS handshakes were not completed: {0} closed the connection",
    ),
    "unanswered-hello-request": (
        "1 HelloRequest of the server, which asks for a renegotiation, was not answered",
        "{n} HelloRequests of servers, which ask for a renegotiation, were not answered",
    ),
    "refused": ("1 connection was refused (RST)", "{n} connections were refused (RST)"),
    "reset": (
        "1 connection that could not be read was reset by the server",
        "{n} connections that could not be read were reset by the server",
    ),
    "not-decrypted": (
        "1 connection was not decrypted: {0}",
        "{n} connections were not decrypted: {0}",
    ),
    "partly-decrypted": (
        "1 connection was not decrypted completely: {0}",
        "{n} connections were not decrypted completely: {0}",
    ),
    "not-understood": (
        "1 connection carries data in which no HTTP/1.x was found, and which was not examined",
        "{n} connections carry data in which no HTTP/1.x was found, and which was not examined",
    ),
    "missing-bytes": ("1 connection lacks bytes", "{n} connections lack bytes"),
    "damaged-file": ("a capture file is damaged: part of it was not read", "capture files are damaged in {n} places"),
    "packets-not-read": ("1 packet was not read ({0})", "{n} packets were not read ({0})"),
}

_CLOSERS: Final = {
    "client-fin": "the client",
    "client-rst": "a RST of the client",
    "server-fin": "the server",
    "server-rst": "a RST of the server",
}


def concern_text(concern: Concern) -> str:
    """What it is, how often, and where it is seen first: part of a sentence, without a full stop."""
    one, several = _WORDS[concern.kind]
    names = concern.names
    if concern.kind.endswith("-decrypted"):
        names = tuple(words for reason, words in REASON_WORDS.items() if reason in names)
    elif concern.kind == "handshake-unfinished":
        names = tuple(_CLOSERS.get(name, name) for name in names)
    words = (one if concern.count == 1 else several).format(*names, n=f"{concern.count:,}")
    if concern.frame is None:
        return words
    return f"{words} ({'first ' if concern.count > 1 else ''}frame {concern.frame})"
