"""What ``easpcap keys`` reports: each server's certificates, the keys that fit them, and what can be decrypted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.advice.certificates import CertificateFacts, certificate_facts
from easpcap.advice.decryption_steps import Step, next_step
from easpcap.fields import Fields, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easpcap.results import Analysis, Connection, Decryption, KeyFile, TlsSummary
    from easpcap.stream import Endpoint
    from easpcap.tls.handshake.verdict import Reason

#: Statuses of connections that carried encrypted application data.
SECURED: Final = ("decrypted", "partial", "opaque")
OPENED: Final = ("decrypted", "partial")

#: Reasons that the right private key removes, and those that only a key log removes.
_BY_PRIVATE_KEY: Final = ("no-key", "key-mismatch")
_ONLY_BY_KEY_LOG: Final = ("forward-secrecy", "needs-key-log")

#: Reasons of a verdict that also explain why no certificate was seen.
NOT_CAPTURED: Final[tuple[Reason, ...]] = (
    "handshake-not-captured",
    "one-direction-missing",
    "gap",
    "truncated-packets",
)


class SeenCertificate(NamedTuple):
    """A certificate that a server sent, and the key files that hold its private key."""

    facts: CertificateFacts
    connections: list[int]  # ids
    server_names: list[str]  # what those clients had asked for
    first_time: int
    last_time: int
    keys: list[str]  # paths as given

    @property
    def validity(self) -> str | None:
        """``expired`` or ``not-yet-valid`` when it was captured; None where it was valid or that cannot be known."""
        if self.facts.not_after is not None and self.first_time > self.facts.not_after:
            return "expired"
        if self.facts.not_before is not None and self.last_time < self.facts.not_before:
            return "not-yet-valid"
        return None


class Obstacle(NamedTuple):
    """Connections of a server that could not be decrypted, or only in part, for one reason."""

    reason: Reason
    connections: list[int]
    partial: int  # how many of them were decrypted in part
    verdict: Decryption  # on the first of them
    step: Step


class Server(Fields):
    """One address and port, and what its TLS connections have in common. Connections are given by id."""

    endpoint: Endpoint
    names: list[str]  # asked for by the clients (SNI)
    connections: list[int]  # those with TLS
    without_tls: int
    statuses: Counter[str]  # verdicts of those with TLS
    suites: list[tuple[str | None, str | None, int]]  # version, cipher suite, connections; most frequent first
    certificates: list[SeenCertificate]
    unseen: list[tuple[str, int]]  # why a connection showed no certificate: how many
    obstacles: list[Obstacle]

    @property
    def secured(self) -> int:
        """How many connections had something to decrypt."""
        return sum(self.statuses[status] for status in SECURED)

    @property
    def opened(self) -> int:
        """How many of them were decrypted, all or in part."""
        return sum(self.statuses[status] for status in OPENED)


class _Given(NamedTuple):
    """A key file as given, and the connections it was matched with."""

    key: KeyFile
    matches: frozenset[int]


class KeyUse(NamedTuple):
    """What a key file can do for this capture."""

    key: KeyFile
    servers: list[Server]  # one of whose certificates it fits, or one of whose connections it opened
    fits: bool  # the certificate of any
    opened: int  # connections
    reasons: list[Reason]  # why connections with a certificate that it fits were not opened
    by_others: int  # how many of those connections another key or key log opened
    same_as: str | None  # path of an earlier file with the same key


class Preflight(Fields):
    """What is known before an analysis."""

    servers: list[Server]  # with TLS, most connections first
    keys: list[KeyUse]
    servers_without_tls: int
    connections_without_tls: int
    by_private_key: int = 0  # connections not decrypted that the right private key would decrypt
    by_key_log: int = 0  # connections not decrypted that only a key log would decrypt
    statuses: Counter[str] = field(default_factory=Counter)  # of all connections with TLS


def preflight(analysis: Analysis) -> Preflight:
    """Summarise an analysis by server, certificate and key."""
    groups: dict[Endpoint, list[Connection]] = {}
    for connection in analysis.connections:
        groups.setdefault(connection.server, []).append(connection)
    facts: dict[bytes, CertificateFacts] = {}
    given = [_Given(key, frozenset(key.matches)) for key in analysis.keys]
    secure = [(end, group) for end, group in groups.items() if any(c.tls is not None for c in group)]
    servers = [_server(endpoint, group, given, facts) for endpoint, group in secure]
    servers.sort(key=lambda server: (-len(server.connections), server.connections[0]))
    by_id = {connection.id: connection for connection in analysis.connections}
    result = Preflight(
        servers=servers,
        keys=[_use(source, given, servers, by_id) for source in range(len(given))],
        servers_without_tls=len(groups) - len(servers),
        connections_without_tls=sum(connection.tls is None for connection in analysis.connections),
    )
    for connection in analysis.connections:
        if connection.tls is None:
            continue
        status, reason = connection.decryption.status, connection.decryption.reason
        result.statuses[status] += 1
        if status == "opaque" and reason is not None:
            result.by_private_key += _private_key_would_open(connection.tls, reason)
            result.by_key_log += reason in _ONLY_BY_KEY_LOG
    return result


def _private_key_would_open(tls: TlsSummary, reason: Reason) -> bool:
    """A key log that lacks the session does not change that a private key opens RSA key exchange."""
    by_rsa = (tls.cipher_suite or "").startswith("TLS_RSA_WITH_")
    return reason in _BY_PRIVATE_KEY or (reason == "key-log-lacks-session" and by_rsa)


def _server(
    endpoint: Endpoint, group: list[Connection], given: Sequence[_Given], facts: dict[bytes, CertificateFacts]
) -> Server:
    found = [(connection, connection.tls) for connection in group if connection.tls is not None]
    suites = Counter((tls.version, tls.cipher_suite) for _, tls in found)
    certificates = _certificates(found, given, facts)
    unseen = Counter(_why_unseen(connection, tls) for connection, tls in found if tls.server_certificate is None)
    return Server(
        endpoint=endpoint,
        names=_distinct(tls.server_name for _, tls in found),
        connections=[connection.id for connection, _ in found],
        without_tls=len(group) - len(found),
        statuses=Counter(connection.decryption.status for connection, _ in found),
        suites=[(version, suite, number) for (version, suite), number in suites.most_common()],
        certificates=certificates,
        unseen=unseen.most_common(),
        obstacles=_obstacles([connection for connection, _ in found], certificates),
    )


def _distinct(texts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _certificates(
    found: list[tuple[Connection, TlsSummary]], given: Sequence[_Given], facts: dict[bytes, CertificateFacts]
) -> list[SeenCertificate]:
    """The certificates of one server in the order in which it first sent them."""
    shown: dict[bytes, list[tuple[Connection, TlsSummary]]] = {}
    for connection, tls in found:
        if tls.server_certificate is not None:
            shown.setdefault(tls.server_certificate, []).append((connection, tls))
    certificates = []
    for der, group in shown.items():
        if der not in facts:
            facts[der] = certificate_facts(der)
        ids = [connection.id for connection, _ in group]
        certificates.append(
            SeenCertificate(
                facts=facts[der],
                connections=ids,
                server_names=_distinct(tls.server_name for _, tls in group),
                first_time=min(connection.first.time_ns for connection, _ in group),
                last_time=max(connection.last.time_ns for connection, _ in group),
                keys=_distinct(g.key.path for g in given if g.key.kind != "unusable" and _fits(g, facts[der], ids)),
            )
        )
    return certificates


def _fits(given: _Given, facts: CertificateFacts, connections: Sequence[int]) -> bool:
    """Whether a file holds the private key: its first key by fingerprint, any other by the connections it matched."""
    if given.key.fingerprint is None:  # a key log
        return False
    return given.key.fingerprint == facts.fingerprint or not given.matches.isdisjoint(connections)


def _why_unseen(connection: Connection, tls: TlsSummary) -> str:
    """Why no certificate of the server was seen on a connection."""
    reason, suite = connection.decryption.reason, tls.cipher_suite or ""
    if tls.version == "SSL 2.0":
        return "unsupported-version"
    if tls.resumed is not None or reason == "resumed-session-not-captured":
        return "resumed"
    if tls.version == "TLS 1.3":
        return "encrypted"
    if "_anon_" in suite or "_SRP_SHA_WITH_" in suite or ("_PSK_" in suite and "_RSA_PSK_" not in suite):
        return "none-sent"
    if reason in NOT_CAPTURED:
        return str(reason)
    if any(connection.gaps):
        return "gap"
    return "unanswered" if tls.version is None else "unfinished"


def _obstacles(connections: list[Connection], certificates: list[SeenCertificate]) -> list[Obstacle]:
    """Connections not fully decrypted, grouped by reason; the most frequent reason first."""
    reasons: dict[Reason, list[Connection]] = {}
    for connection in connections:
        reason = connection.decryption.reason
        if reason is not None and connection.decryption.status in SECURED:
            reasons.setdefault(reason, []).append(connection)
    obstacles = []
    for reason, group in sorted(reasons.items(), key=lambda item: -len(item[1])):
        ids = [connection.id for connection in group]
        obstacles.append(
            Obstacle(
                reason=reason,
                connections=ids,
                partial=sum(connection.decryption.status == "partial" for connection in group),
                verdict=group[0].decryption,
                step=next_step(reason, _one_thumbprint(ids, certificates)),
            )
        )
    return obstacles


def _one_thumbprint(connections: list[int], certificates: list[SeenCertificate]) -> str | None:
    """The thumbprint of the certificate sent on these connections, where it was only one."""
    shown = {c.facts.sha1 for c in certificates if not set(c.connections).isdisjoint(connections)}
    return shown.pop() if len(shown) == 1 else None


def _use(source: int, given: list[_Given], servers: list[Server], by_id: dict[int, Connection]) -> KeyUse:
    """What the key file with this source number can do."""
    opened = {
        identity
        for identity, connection in by_id.items()
        if source in connection.key_sources and connection.decryption.status in OPENED
    }
    fitted: set[int] = set()
    concerned = []
    for server in servers:
        fitting = [c for c in server.certificates if _fits(given[source], c.facts, c.connections)]
        fitted.update(identity for certificate in fitting for identity in certificate.connections)
        if fitting or not opened.isdisjoint(server.connections):
            concerned.append(server)
    verdicts = [by_id[identity].decryption for identity in sorted(fitted - opened)]
    by_others = sum(verdict.status in OPENED for verdict in verdicts)
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason is not None)
    key = given[source].key
    twins = (g.key.path for g in given[:source] if key.fingerprint and g.key.fingerprint == key.fingerprint)
    return KeyUse(
        key=key,
        servers=concerned,
        fits=bool(fitted),
        opened=len(opened),
        reasons=[reason for reason, _ in reasons.most_common()],
        by_others=by_others,
        same_as=next(twins, None) if key.kind != "unusable" else None,
    )
