"""All rules, by id. A new rule is a module in rules/, a line here, and a section in docs/findings.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.diagnosis.rules import (
    client_certificate_missing,
    client_certificate_rejected,
    command_abandoned,
    late_certificate_tls13,
    renegotiation_deadlock,
    renegotiation_failed,
    renegotiation_mid_body,
    renegotiation_per_request,
    renegotiation_refused,
    request_too_large,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.results import Finding

_MODULES = (
    renegotiation_deadlock,
    renegotiation_mid_body,
    renegotiation_refused,
    renegotiation_failed,
    renegotiation_per_request,
    request_too_large,
    client_certificate_missing,
    client_certificate_rejected,
    late_certificate_tls13,
    command_abandoned,
)

#: Rule id to the function that finds it.
RULES: Final[dict[str, Callable[[AnalysisIndex], Iterator[Finding]]]] = {
    module.RULE[0]: module.find for module in _MODULES
}

#: Rule id to its severity.
SEVERITIES: Final[dict[str, str]] = {module.RULE[0]: module.RULE[1] for module in _MODULES}
