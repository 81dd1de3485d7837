"""How a finding is put together from what proves it."""

from __future__ import annotations

import pytest

from easpcap.diagnosis import diagnose, evidence
from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.results import Evidence, LocatedAnomaly, LogLine
from easpcap.stream import TO_SERVER
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


def test_the_filter_names_addresses_where_wireshark_splits_the_stream():
    found = analysis(Story().request(10).close("server-rst"))
    (finding,) = diagnose(found)[0]
    assert finding.wireshark_filter.startswith("tcp.stream eq 0 && ")
    found.anomalies = [LocatedAnomaly("tcp-syn-ignored", 0, 5, None, "")]
    (finding,) = diagnose(found)[0]
    assert finding.wireshark_filter.startswith("ip.addr == 10.20.0.51 && tcp.port == 50000 && frame.number >= ")


@pytest.mark.parametrize(("gap", "confidence"), [(False, "proven"), (True, "inferred")])
def test_what_rests_on_absence_is_inferred_where_bytes_are_missing(gap, confidence):
    story = Story().request(10).body(10)
    if gap:
        story.gap(TO_SERVER)
    (finding,) = diagnose(analysis(story.close("client-fin")))[0]
    assert (finding.rule, finding.confidence) == ("command-abandoned", confidence)
    assert any("missing from the capture" in text for text in finding.against) is gap
