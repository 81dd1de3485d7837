"""client-certificate-missing: asked for, an empty (or no) certificate came, and the request failed over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import certificates, evidence
from easpcap.stream import TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.certificates import CertificateQuestion
    from easpcap.results import Connection, Finding

RULE = ("client-certificate-missing", "critical")

#: Alerts of a server that got no certificate, where the capture does not show what came
#: (RFC 5246 section 7.2.2, RFC 8446 section 6.2).
NONE_CAME = frozenset({"handshake_failure", "no_certificate", "certificate_required"})


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per question that went without a certificate and came to harm."""
    for connection in index.analysis.connections:
        for question in certificates.questions(index, connection):
            if question.trouble and _none_came(connection, question):
                yield _finding(index, connection, question)


def _none_came(connection: Connection, question: CertificateQuestion) -> bool:
    if question.presented is None:  # not seen: only an alert that says so, and nothing missing, makes it sure
        return question.alert_name in NONE_CAME and not connection.gaps[TO_SERVER]
    return not question.presented


def _finding(index: AnalysisIndex, connection: Connection, question: CertificateQuestion) -> Finding:
    came = "sent an empty certificate message" if question.presented is False else "sent none"
    finding = evidence.finding(
        index,
        RULE,
        connection,
        question.exchange,
        title="The server asks for a client certificate and the client presents none",
        detail=f"The server asked for a certificate {question.when} and the client {came}; {question.trouble}.",
        evidence=certificates.evidence_lines(index, connection, question),
        against=_against(question),
        remedies=remedies.supply_certificate(index.site(connection)),
    )
    finding.confidence = certificates.confidence(connection, question)
    return finding


def _against(question: CertificateQuestion) -> list[str]:
    if question.forbidden:
        return ["A 403 can have other causes; sub-status 7 in the W3C log would prove this one."]
    if question.alert_name is None:
        return ["The server closed without saying why."]
    return []
