"""A finding may cite frames of a capture and lines of a log: every renderer shows both."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.diagnosis.causes import causes, ordered
from easpcap.report import Layout, render_json, render_text
from easpcap.report.timeline import timeline_rows
from easpcap.results import Evidence, LogLine
from tests.report import builders

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/easpcap.inspect.1.json").read_text())
LOGGED = Evidence(LogLine("logs/httperr1.log", 17, builders.START + 41 * builders.SECOND), "Timer_EntityBody")


def with_log_line(*, alone=False):
    """The incident, its deadlock proven by a line of HTTPERR too, or by that line alone."""
    analysis = builders.incident()
    finding = analysis.findings[0]
    finding.evidence = [LOGGED] if alone else [*finding.evidence, LOGGED]
    return analysis


def test_json_names_the_log_and_the_line_and_leaves_the_frame_unknown():
    document = json.loads("".join(render_json(with_log_line())))
    Draft202012Validator(SCHEMA).validate(document)
    *frames, line = document["findings"][0]["evidence"]
    assert [(item["frame"], item["line"]) for item in frames] == [(58, None), (113, None), (121, None), (163, None)]
    assert line == {
        "input": "logs/httperr1.log",
        "frame": None,
        "input_frame": None,
        "time": "2010-11-15T22:47:42.112000000Z",
        "what": "Timer_EntityBody",
        "line": 17,
    }


def test_the_text_report_names_the_log_and_the_line_in_the_column_of_the_frames():
    text = "".join(render_text(with_log_line(), Layout(120), arguments="trace.pcap"))
    assert "            frame 163             30.049 s  the server closes the connection" in text
    assert "            httperr1.log line 17  30.000 s  Timer_EntityBody" in text


def test_the_timeline_places_a_finding_after_its_last_frame_whatever_the_log_says():
    (row,) = [row for row in timeline_rows(with_log_line()) if "deadlock" in (row["detail"] or "")]
    assert (row["event"], row["frame"]) == ("finding", 163)


def test_a_finding_that_cites_only_a_log_comes_at_the_end_of_its_connection():
    analysis = with_log_line(alone=True)
    (row,) = [row for row in timeline_rows(analysis) if "deadlock" in (row["detail"] or "")]
    assert row["frame"] == analysis.connections[2].last.frame


def test_findings_that_cite_only_a_log_come_last_in_their_severity_and_count_by_their_time():
    logged, framed = with_log_line(alone=True).findings[0], builders.incident().findings[0]
    assert ordered([logged, framed]) == [framed, logged]
    assert [finding.id for finding in (framed, logged)] == [0, 1]
    (group,) = causes(AnalysisIndex(builders.incident()), [logged])
    assert group.first_time == group.last_time == LOGGED.citation.time_ns
