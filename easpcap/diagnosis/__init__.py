"""Rules over results: what went wrong, what proves it, what speaks against it, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.diagnosis.causes import causes, ordered, relate
from easpcap.diagnosis.overview import overview
from easpcap.diagnosis.registry import RULES, SEVERITIES

if TYPE_CHECKING:
    from easpcap.results import Analysis, Cause, Finding

__all__ = ["RULES", "SEVERITIES", "diagnose", "overview"]


def diagnose(analysis: Analysis) -> tuple[list[Finding], list[Cause]]:
    """Judge an analysis: its findings, critical first, and their causes. Nothing in ``analysis`` is changed."""
    index = AnalysisIndex(analysis)
    findings = ordered(finding for find in RULES.values() for finding in find(index))
    relate(findings)
    return findings, causes(index, findings)
