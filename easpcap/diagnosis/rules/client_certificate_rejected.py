"""client-certificate-rejected: the client gave a certificate, and an alert about it or a 403 followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import certificates, evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.diagnosis.certificates import CertificateQuestion
    from easpcap.results import Connection, Finding

RULE = ("client-certificate-rejected", "critical")

#: Alerts 40, 42 to 49 and 51 (RFC 5246 section 7.2.2): what servers send about a certificate they do not like.
ABOUT_CERTIFICATES = frozenset(
    {
        "handshake_failure",
        "bad_certificate",
        "unsupported_certificate",
        "certificate_revoked",
        "certificate_expired",
        "certificate_unknown",
        "illegal_parameter",
        "unknown_ca",
        "access_denied",
        "decrypt_error",
    }
)

#: Of these, the ones that are also sent for other reasons.
AMBIGUOUS = frozenset({"handshake_failure", "illegal_parameter", "decrypt_error"})


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per question that was answered in vain."""
    for connection in index.analysis.connections:
        for question in certificates.questions(index, connection):
            if question.presented and (question.forbidden or question.alert_name in ABOUT_CERTIFICATES):
                yield _finding(index, connection, question)


def _finding(index: AnalysisIndex, connection: Connection, question: CertificateQuestion) -> Finding:
    finding = evidence.finding(
        index,
        RULE,
        connection,
        question.exchange,
        title="The client presents a certificate and the server does not accept it",
        detail=f"The server asked for a certificate {question.when} and the client presented one; {question.trouble}.",
        evidence=certificates.evidence_lines(index, connection, question),
        against=_against(question),
        remedies=remedies.mend_certificate(None if question.forbidden else question.alert_name),
    )
    finding.confidence = certificates.confidence(connection, question)
    return finding


def _against(question: CertificateQuestion) -> list[str]:
    if question.forbidden:
        return [
            (
                "A 403 can have other causes than the certificate; the sub-status in the W3C log says which "
                "(403.13, 403.16, 403.17)."
            )
        ]
    if question.alert_name in AMBIGUOUS:
        return [f"The alert {question.alert_name} is also sent for reasons other than the certificate."]
    return []
