"""Orders, numbers and groups findings: what belongs to the same exchange, and what has the same cause."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from easpcap.results import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.results import Finding

SEVERITY_ORDER = {"critical": 0, "warning": 1, "notice": 2}


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Critical first, then by the first frame of evidence, then by rule; numbered from 0 in that order."""
    result = sorted(findings, key=_order)
    for number, finding in enumerate(result):
        finding.id = number
    return result


def _order(finding: Finding) -> tuple[int, float, str, list[int]]:
    """Sort key; findings that cite only log lines come last in their severity."""
    frames = (item.position.frame for item in finding.evidence if item.position is not None)
    return SEVERITY_ORDER[finding.severity], next(frames, inf), finding.rule, finding.connections


def relate(findings: list[Finding]) -> None:
    """Fill ``related``: findings about the same exchange, or about the same connection where there is none."""
    groups: dict[tuple[int, int | None], list[Finding]] = {}
    for finding in findings:
        for subject in _subjects(finding):
            groups.setdefault(subject, []).append(finding)
    for group in groups.values():
        for finding in group:
            finding.related = sorted({other.id for other in group if other is not finding} | set(finding.related))


def _subjects(finding: Finding) -> list[tuple[int, int | None]]:
    """What a finding is about: exchanges by their key, or connections, which have no index."""
    if finding.exchanges:
        return [exchange.key for exchange in finding.exchanges]
    return [(number, None) for number in finding.connections]


def causes(index: AnalysisIndex, findings: list[Finding]) -> list[Cause]:
    """One cause for every rule that fired, the order of its first finding kept."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    return [_cause(index, rule, group) for rule, group in by_rule.items()]


def _cause(index: AnalysisIndex, rule: str, findings: list[Finding]) -> Cause:
    exchanges = {exchange.key: exchange for finding in findings for exchange in finding.exchanges}
    commands = (index.command(exchange) for exchange in exchanges.values())
    devices = {command.device_id for command in commands if command is not None and command.device_id}
    times = [item.citation.time_ns for finding in findings for item in finding.evidence]
    return Cause(
        rule=rule,
        severity=findings[0].severity,
        findings=[finding.id for finding in findings],
        exchanges=len(exchanges),
        devices=len(devices),
        first_time=min(times),
        last_time=max(times),
    )
