"""Servers and keys as JSON-ready rows: schema ``easpcap.keys/1`` (docs/output.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.report.citations import path_text
from easpcap.report.decryption_text import decryption_detail
from easpcap.report.rows import Row, input_row, key_row
from easpcap.report.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.advice.preflight import KeyUse, Obstacle, Preflight, SeenCertificate, Server
    from easpcap.results import Analysis

SCHEMA = "easpcap.keys/1"

UNREADABLE_CERTIFICATE = "not a readable X.509 certificate"

CSV_COLUMNS = (
    "server.address",
    "server.port",
    "server.names",
    "certificate.subject",
    "certificate.issuer",
    "certificate.serial",
    "certificate.not_before",
    "certificate.not_after",
    "certificate.validity",
    "certificate.sha1",
    "certificate.sha256",
    "certificate.key_type",
    "certificate.key_bits",
    "certificate.names",
    "certificate.keys",
    "certificate.connections",
    "certificate.error",
    "unseen",
    "suites",
    "connections.tls",
    "connections.decrypted",
    "connections.partial",
    "connections.opaque",
    "connections.none",
    "obstacles",
)


def sections(analysis: Analysis, found: Preflight) -> dict[str, Iterator[Row]]:
    """The rows of a document, section by section."""
    return {
        "inputs": map(input_row, analysis.inputs),
        "keys": map(_key, found.keys),
        "servers": map(_server, found.servers),
    }


def summary(found: Preflight) -> Row:
    """The counts a script asks for first."""
    return {
        "servers": len(found.servers),
        "servers_without_tls": found.servers_without_tls,
        "connections": _statuses(found),
        "connections_without_tls": found.connections_without_tls,
        "openable": {"by_private_key": found.by_private_key, "by_key_log": found.by_key_log},
    }


def csv_rows(found: Preflight) -> Iterator[Row]:
    """One row per server and certificate, and one row without a certificate where none was seen."""
    for server in found.servers:
        row = _server(server)
        obstacles = [
            {"reason": o["reason"], "connections": len(o["connections"]), "next_step": o["next_step"]}
            for o in row["obstacles"]
        ]
        end = {"address": row["address"], "port": row["port"], "names": row["names"]}
        for certificate in row["certificates"] or [None]:
            yield {**row, "server": end, "certificate": certificate, "obstacles": obstacles}


def _key(use: KeyUse) -> Row:
    row = key_row(use.key)
    row["servers"] = [str(server.endpoint) for server in use.servers]
    row["fits"] = use.fits
    row["opened"] = use.opened
    return row


def _server(server: Server) -> Row:
    return {
        "address": server.endpoint.address,
        "port": server.endpoint.port,
        "names": server.names,
        "certificates": [_certificate(certificate) for certificate in server.certificates],
        "unseen": [{"why": why, "connections": number} for why, number in server.unseen],
        "suites": [
            {"version": version, "cipher_suite": suite, "connections": number}
            for version, suite, number in server.suites
        ],
        "connections": {**_statuses(server), "without_tls": server.without_tls},
        "obstacles": [_obstacle(obstacle) for obstacle in server.obstacles],
    }


def _statuses(counted: Server | Preflight) -> Row:
    statuses = counted.statuses
    return {"tls": statuses.total(), **{name: statuses[name] for name in ("decrypted", "partial", "opaque", "none")}}


def _certificate(certificate: SeenCertificate) -> Row:
    facts = certificate.facts
    return {
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "not_before": rfc3339(facts.not_before),
        "not_after": rfc3339(facts.not_after),
        "validity": certificate.validity,
        "sha1": facts.sha1,
        "sha256": facts.sha256,
        "fingerprint": facts.fingerprint,
        "key_type": facts.key_type,
        "key_bits": facts.key_bits,
        "names": list(facts.names),
        "server_names": certificate.server_names,
        "keys": [path_text(path) for path in certificate.keys],
        "connections": certificate.connections,
        "error": None if facts.readable else UNREADABLE_CERTIFICATE,
    }


def _obstacle(obstacle: Obstacle) -> Row:
    return {
        "reason": obstacle.reason,
        "connections": obstacle.connections,
        "partial": obstacle.partial,
        "detail": decryption_detail(obstacle.verdict),
        "next_step": obstacle.step.what,
        "how": [{"where": how.where, "commands": list(how.commands)} for how in obstacle.step.how],
    }
