"""Tells tshark on which ports TLS and HTTP are spoken: it knows only the usual ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.facts import TlsBegin
from easpcap.limits import MAX_DECODED_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from easpcap.results import Connection

#: Where a port speaks several protocols, the first bytes of each connection decide.
_BY_CONTENTS = ["-o", "tcp.try_heuristic_first:TRUE", "--enable-heuristic", "http_tcp"]


def protocol_arguments(connections: Iterable[Connection]) -> list[str]:
    """Arguments that name the protocols of the servers' ports.

    Connections that switch to TLS after clear text are left to tshark, which knows some of their protocols.
    """
    spoken: dict[tuple[str, int], set[str]] = {}
    for connection in connections:
        for layer, protocol in _protocols(connection):
            spoken.setdefault((layer, connection.server.port), set()).add(protocol)
    arguments: list[str] = []
    if any(len(protocols) > 1 for protocols in spoken.values()):
        arguments += _BY_CONTENTS
    clear = [(layer, port, min(names)) for (layer, port), names in spoken.items() if len(names) == 1]
    for layer, port, protocol in clear[:MAX_DECODED_PORTS]:
        arguments += ["-d", f"{layer}.port=={port},{protocol}"]
    return arguments


def _protocols(connection: Connection) -> Iterator[tuple[str, str]]:
    """The layers whose protocol is known, and the protocol on top of each."""
    if connection.tls is None:
        if connection.exchanges:
            yield "tcp", "http"
    elif not any(isinstance(fact.what, TlsBegin) for fact in connection.facts):
        yield "tcp", "tls"
        if connection.exchanges:
            yield "tls", "http"
