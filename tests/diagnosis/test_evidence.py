"""How a finding is put together from what proves it."""

from __future__ import annotations

from easpcap.diagnosis import evidence
from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.results import Evidence, LogLine
from tests.diagnosis.builders import START, Story, analysis

RULE = ("a-rule", "warning")


def finding_with(*items, compared=()):
    """A finding on a small story, proven by ``items``."""
    whole = analysis(Story().request(100).body(100).response(500))
    return evidence.finding(
        AnalysisIndex(whole), RULE, whole.connections[0], whole.exchanges[0], title="", detail="",
        evidence=items, remedies=[], compared=compared,
    )  # fmt: skip


def test_frames_come_in_causal_order_then_log_lines_by_time_then_what_is_compared():
    story = Story()
    first, second, other = (Evidence(story.here(), what) for what in ("first", "second", "other request"))
    early = Evidence(LogLine("httperr1.log", 9, 0), "early")  # a log without a usable clock
    late = Evidence(LogLine("httperr1.log", 3, START + 1), "late")
    found = finding_with(late, second, early, first, compared=[other])
    assert [item.what for item in found.evidence] == ["first", "second", "early", "late", "other request"]
    assert found.wireshark_filter.endswith(
        f"frame.number >= {first.position.frame} && frame.number <= {second.position.frame}"
    )


def test_a_finding_that_only_a_log_proves_shows_the_whole_connection_in_wireshark():
    found = finding_with(Evidence(LogLine("httperr1.log", 3, START), "Timer_EntityBody"))
    assert found.evidence[0].position is None
    assert found.wireshark_filter == "tcp.stream eq 0 && frame.number >= 1 && frame.number <= 5"
