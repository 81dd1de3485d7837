"""judge(): a Partial in, an Analysis out. Numbers connections and exchanges, reads commands, diagnoses."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from easpcap.activesync.command import parse_command
from easpcap.pipeline.partial import first_frame
from easpcap.results import Analysis, LocatedAnomaly

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easpcap.activesync.command import Command
    from easpcap.http.exchange import Exchange
    from easpcap.pipeline.partial import Partial
    from easpcap.results import Connection, InputFile, KeyFile


def judge(
    partial: Partial,
    inputs: Sequence[InputFile] = (),
    keys: Sequence[KeyFile] = (),
    *,
    file_anomalies: Sequence[LocatedAnomaly] = (),
    packets_ignored: Mapping[str, int] | None = None,
    diagnosis: bool = True,
) -> Analysis:
    """Number and diagnose the connections of a capture that was read completely.

    Args:
        partial: all its connections. They become part of the analysis and are numbered in place.
        inputs: the capture files.
        keys: the key files, in the order of their source numbers; their ``matches`` are set.
        file_anomalies: anomalies of the files, which belong to no connection.
        packets_ignored: how many packets were not read, by reason.
        diagnosis: False leaves out the findings, where nobody reads them.
    """
    connections = sorted(partial.connections, key=first_frame)
    _number_connections(connections, sorted(partial.unanswered))
    exchanges = sorted((e for c in connections for e in c.exchanges), key=_first_byte)
    for number, exchange in enumerate(exchanges):
        exchange.id = number
    _match_keys(keys, connections)
    analysis = Analysis(
        inputs=list(inputs),
        keys=list(keys),
        connections=connections,
        exchanges=exchanges,
        commands=_commands(exchanges),
        anomalies=[*file_anomalies, *_numbered_anomalies(partial, connections)],
        packets_ignored=dict(packets_ignored or {}),
    )
    if diagnosis:
        from easpcap.diagnosis import diagnose, overview  # a tenth of the modules: loaded where it is wanted

        analysis.findings, analysis.causes = diagnose(analysis)
        analysis.overview = overview(analysis, analysis.findings)
    return analysis


def _number_connections(connections: Sequence[Connection], unanswered: Sequence[int]) -> None:
    """Number connections by first packet, including those without a result, as Wireshark's ``tcp.stream`` does."""
    for number, connection in enumerate(connections):
        connection.id = number + bisect_left(unanswered, first_frame(connection))
        for exchange in connection.exchanges:
            exchange.connection = connection.id


def _numbered_anomalies(partial: Partial, connections: Sequence[Connection]) -> list[LocatedAnomaly]:
    """The anomalies of the partial, with the numbers of their connections in place of first frames."""
    numbers = {first_frame(connection): connection.id for connection in connections}
    return [
        LocatedAnomaly(a.code, numbers[a.connection], a.frame, a.time, a.detail)
        for a in partial.anomalies
        if a.connection is not None
    ]


def _match_keys(keys: Sequence[KeyFile], connections: Sequence[Connection]) -> None:
    """Set ``matches`` of each key: the connections that it decrypted, and those whose certificate it belongs to."""
    matches: list[set[int]] = [set() for _ in keys]
    for connection in connections:
        for source in {*connection.key_sources, connection.certificate_key}:
            if source is not None and source < len(keys):
                matches[source].add(connection.id)
    by_fingerprint: dict[str, set[int]] = {}  # the same key in several files matches the same connections
    for key, found in zip(keys, matches, strict=True):
        if key.fingerprint is not None and key.kind != "unusable":
            by_fingerprint.setdefault(key.fingerprint, set()).update(found)
    for key, found in zip(keys, matches, strict=True):
        same_key = by_fingerprint.get(key.fingerprint or "", set()) if key.kind != "unusable" else set()
        key.matches = sorted(found | same_key)


def _first_byte(exchange: Exchange) -> tuple[int, int, int]:
    message = exchange.request or exchange.response
    return (message.first.frame if message else 2**62, exchange.connection, exchange.index)


def _commands(exchanges: Sequence[Exchange]) -> dict[int, Command]:
    """The ActiveSync commands by exchange id; equal requests share one."""
    commands: dict[int, Command] = {}
    known: dict[tuple[str, str, tuple[tuple[str, str], ...]], Command | None] = {}
    for exchange in exchanges:
        request = exchange.request
        if request is not None:
            same = (request.target, request.method, tuple(request.headers))
            if same not in known:
                known[same] = parse_command(request.method, request.target, request.header)
            command = known[same]
            if command is not None:
                commands[exchange.id] = command
    return commands
