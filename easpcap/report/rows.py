"""Results as JSON-ready rows: names, nesting and null rules of the schema ``easpcap.inspect/1`` (docs/output.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easpcap.report.citations import Citer, path_text
from easpcap.report.times import rfc3339, seconds_text
from easpcap.results import LogLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.activesync.command import Command
    from easpcap.http.exchange import Exchange, Interim, Message, Request, Response
    from easpcap.results import (
        Analysis,
        Cause,
        Concern,
        Connection,
        Evidence,
        Finding,
        InputFile,
        KeyFile,
        LocatedAnomaly,
        Remedy,
        Renegotiation,
        TlsSummary,
    )
    from easpcap.stream import Endpoint

Row = dict[str, Any]

SCHEMA = "easpcap.inspect/1"


def tool_row() -> Row:
    """The name and version of this program."""
    from easpcap import __version__

    return {"name": "easpcap", "version": __version__}


def input_row(source: InputFile) -> Row:
    """One capture."""
    return {
        "path": path_text(source.path),
        "sha256": source.sha256,
        "format": source.format,
        "link_type": ", ".join(source.link_types) or None,
        "packets": source.packets,
        "first_frame": source.first_frame if source.packets else None,
        "first_time": rfc3339(source.first_time),
        "last_time": rfc3339(source.last_time),
        "truncated": source.truncated,
        "damaged_places": source.damaged_places,
        "unread_bytes": source.unread_bytes,
        "dropped_packets": source.dropped_packets,
        "large_segments": source.large_segments,
        "clock_offset_s": float(seconds_text(source.clock_offset)),
        "copies": source.copies,
    }


def key_row(key: KeyFile) -> Row:
    """One key file; never its contents."""
    from easpcap.report.key_text import key_contents, key_problem

    return {
        "path": path_text(key.path),
        "kind": key.kind,
        "fingerprint": key.fingerprint,
        "detail": key_contents(key) or None,
        "matches": sorted(key.matches),
        "error": key_problem(key),
    }


def connection_row(connection: Connection) -> Row:
    """One TCP connection with its TLS session and whether it was decrypted."""
    from easpcap.report.decryption_text import decryption_detail

    verdict = connection.decryption
    return {
        "id": connection.id,
        "client": _endpoint(connection.client),
        "server": _endpoint(connection.server),
        "roles_known_by": connection.roles_known_by,
        "first_frame": connection.first.frame,
        "last_frame": connection.last.frame,
        "first_time": rfc3339(connection.first.time_ns),
        "last_time": rfc3339(connection.last.time_ns),
        "packets": connection.packets,
        "payload_bytes": _both(connection.payload_bytes),
        "gaps": _both(connection.gaps),
        "closed_by": connection.closed_by,
        "tls": _tls(connection.tls) if connection.tls is not None else None,
        "decryption": {"status": verdict.status, "reason": verdict.reason, "detail": decryption_detail(verdict)},
        "digest": _digest(connection),
    }


def _endpoint(endpoint: Endpoint) -> Row:
    return {"address": endpoint.address, "port": endpoint.port}


def _both(pair: tuple[int, int]) -> Row:
    return {"to_server": pair[0], "to_client": pair[1]}


def _digest(connection: Connection) -> Row | None:
    if connection.digest is None:
        return None
    to_server, to_client = ({"bytes": size, "sha256": sha256} for size, sha256 in connection.digest)
    return {"to_server": to_server, "to_client": to_client}


def _tls(tls: TlsSummary) -> Row:
    return {
        "version": tls.version,
        "cipher_suite": tls.cipher_suite,
        "server_name": tls.server_name,
        "handshakes": tls.handshakes,
        "resumed": tls.resumed,
        "client_certificate": {"requested": tls.certificate_requested, "presented": tls.certificate_presented},
        "renegotiations": [_renegotiation(renegotiation) for renegotiation in tls.renegotiations],
    }


def _renegotiation(renegotiation: Renegotiation) -> Row:
    exchange = renegotiation.exchange
    return {
        "by": renegotiation.by,
        "frame": renegotiation.position.frame,
        "time": rfc3339(renegotiation.position.time_ns),
        "exchange": exchange.id if exchange is not None else None,
        "body_offset_sent": renegotiation.body_offset_sent,
        "body_offset_acknowledged": renegotiation.body_offset_acknowledged,
        "body_offset_sent_most": renegotiation.body_offset_sent_most,
        "body_offset_acknowledged_most": renegotiation.body_offset_acknowledged_most,
        "outcome": renegotiation.outcome,
        "certificate_requested": renegotiation.certificate_requested,
        "certificate_presented": renegotiation.certificate_presented,
    }


def exchange_row(exchange: Exchange, command: Command | None) -> Row:
    """One request with its responses and its ActiveSync command."""
    request, response = exchange.request, exchange.response
    message = request or response
    return {
        "id": exchange.id,
        "connection": exchange.connection,
        "index": exchange.index,
        "http_version": message.version or None if message is not None else None,
        "stream": exchange.stream,
        "outcome": exchange.outcome,
        "ended_by": exchange.ended_by or None,
        "request": _request(request) if request is not None else None,
        "interim": [_interim(interim) for interim in exchange.interim] if exchange.interim else [],
        "response": _response(response) if response is not None else None,
        "activesync": _activesync(command) if command is not None else None,
    }


def _request(request: Request) -> Row:
    row: Row = {"method": request.method, "target": request.target, "host": _host(request)}
    _add_message(row, request)
    return row


def _host(request: Request) -> str | None:
    for name, value in request.headers:
        if name == "host":
            return value or None
    return None


def _interim(interim: Interim) -> Row:
    return {"status": interim.status, "frame": interim.position.frame, "time": rfc3339(interim.position.time_ns)}


def _response(response: Response) -> Row:
    row: Row = {"status": response.status or None, "reason": response.reason or None}
    _add_message(row, response)
    return row


def _add_message(row: Row, message: Message) -> None:
    _, row["first_frame"], first_time, _ = message.first
    _, row["last_frame"], last_time, _ = message.last
    row["first_time"] = rfc3339(first_time)
    row["last_time"] = rfc3339(last_time)
    row["content_length"] = message.content_length
    row["body_bytes"] = message.body_bytes
    row["complete"] = message.end_offset is not None and not message.missing


def _activesync(command: Command) -> Row:
    return {
        "command": command.command,
        "user": command.user,
        "device_id": command.device_id,
        "device_type": command.device_type,
        "device_name": command.device_name,
        "protocol_version": command.protocol_version,
        "status": command.status,
    }


def finding_row(finding: Finding, citer: Citer) -> Row:
    """One finding with its proof."""
    from easpcap.report.remedies import remedy_lines

    return {
        "id": finding.id,
        "rule": finding.rule,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "connections": finding.connections,
        "exchanges": [exchange.id for exchange in finding.exchanges],
        "title": finding.title,
        "detail": finding.detail,
        "evidence": [_evidence(item, citer) for item in finding.evidence],
        "against": finding.against,
        "remedy": remedy_lines(finding.remedies),
        "wireshark_filter": finding.wireshark_filter,
        "inputs": [
            {"input": path_text(found.input), "wireshark_filter": found.wireshark_filter}
            for found in finding.input_filters
        ],
        "related": finding.related,
        "remedies": [_remedy(remedy) for remedy in finding.remedies],
    }


def _evidence(evidence: Evidence, citer: Citer) -> Row:
    """What one frame or log line shows; ``line`` is null for a frame, the frame numbers are null for a log line."""
    cited, line = evidence.citation, None
    if isinstance(cited, LogLine):
        place, line = {"input": path_text(cited.input), "frame": None, "input_frame": None}, cited.line
    else:
        place = _citation(cited.frame, citer)
    return {**place, "time": rfc3339(cited.time_ns), "what": evidence.what, "line": line}


def _remedy(remedy: Remedy) -> Row:
    """One remedy field by field; texts that are not known are null, lists may be empty."""
    return {
        "action": remedy.action,
        "where": remedy.where,
        "shell": remedy.shell,
        "commands": list(remedy.commands),
        "notes": list(remedy.notes),
        "takes_effect": remedy.takes_effect,
        "verify": list(remedy.verify),
        "undo": list(remedy.undo),
        "beware": list(remedy.beware),
        "source": remedy.source,
        "documented": remedy.documented,
        "stop_gap": remedy.stop_gap,
    }


def _citation(frame: int | None, citer: Citer) -> Row:
    path, input_frame = citer.cite(frame)
    return {"input": path, "frame": frame, "input_frame": input_frame}


def anomaly_row(anomaly: LocatedAnomaly, citer: Citer) -> Row:
    """One anomaly and where it was seen."""
    return {
        "code": anomaly.code,
        "connection": anomaly.connection,
        **_citation(anomaly.frame, citer),
        "time": rfc3339(anomaly.time),
        "detail": anomaly.detail,
    }


def summary_row(analysis: Analysis) -> Row:
    """Findings grouped by cause, and the counts that scripts need most."""
    decryption: dict[str, int] = {}
    for connection in analysis.connections:
        status = connection.decryption.status
        decryption[status] = decryption.get(status, 0) + 1
    severities = dict.fromkeys(("critical", "warning", "notice"), 0)
    for finding in analysis.findings:
        severities[finding.severity] += 1
    overview = analysis.overview
    return {
        "verdict": overview.verdict if overview is not None else None,
        "concerns": [_concern(concern) for concern in overview.concerns] if overview is not None else [],
        "causes": [_cause(cause) for cause in analysis.causes],
        "connections": len(analysis.connections),
        "exchanges": len(analysis.exchanges),
        "findings": severities,
        "decryption": dict(sorted(decryption.items())),
        "packets_ignored": dict(sorted(analysis.packets_ignored.items())),
    }


def _concern(concern: Concern) -> Row:
    from easpcap.report.concern_text import concern_text  # tables and CSV have none

    return {
        "kind": concern.kind,
        "count": concern.count,
        "connection": concern.connection,
        "frame": concern.frame,
        "what": concern_text(concern),
    }


def _cause(cause: Cause) -> Row:
    return {
        "rule": cause.rule,
        "severity": cause.severity,
        "findings": cause.findings,
        "exchanges": cause.exchanges,
        "devices": cause.devices,
        "first_time": rfc3339(cause.first_time),
        "last_time": rfc3339(cause.last_time),
    }


def section_rows(analysis: Analysis, section: str) -> Iterator[Row]:
    """The rows of one section: inputs, keys, connections, exchanges, findings or anomalies."""
    citer = Citer(analysis.inputs)
    sections: dict[str, Iterator[Row]] = {
        "inputs": map(input_row, analysis.inputs),
        "keys": map(key_row, analysis.keys),
        "connections": map(connection_row, analysis.connections),
        "exchanges": (exchange_row(exchange, analysis.commands.get(exchange.id)) for exchange in analysis.exchanges),
        "findings": (finding_row(finding, citer) for finding in analysis.findings),
        "anomalies": (anomaly_row(anomaly, citer) for anomaly in analysis.anomalies),
    }
    return sections[section]
