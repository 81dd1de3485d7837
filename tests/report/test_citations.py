"""A finding may cite frames of a capture and lines of a log: every renderer shows both."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.diagnosis.causes import causes, ordered
from easpcap.report import Layout, render_json, render_text
from easpcap.report.citations import short_names
from easpcap.report.timeline import timeline_rows
from easpcap.results import Evidence, InputFile, InputFilter, LogLine
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


# ---------------------------------------------------------------------- several captures


def captures(*paths):
    return [
        InputFile(path, "", "pcap", [], 100, builders.START, builders.START, False, first_frame=1 + 100 * number)
        for number, path in enumerate(paths)
    ]


def test_captures_of_one_name_are_told_apart_by_their_folders():
    names = short_names(captures("/a/day1/ring.pcap", "/a/day2/ring.pcap", "/a/day2/other.pcap", "C:\\b\\day1\\x.pcap"))
    assert list(names.values()) == ["day1/ring.pcap", "day2/ring.pcap", "other.pcap", "x.pcap"]


def test_long_names_are_shortened_only_where_they_still_differ():
    long = "capture_of_the_front_end_server"
    names = short_names(captures(f"{long}_00001.pcap", f"{long}_00002.pcap", f"{'another' * 5}.pcap"))
    assert list(names.values()) == [f"{long}_00001.pcap", f"{long}_00002.pcap", "anotheranotheranother..."]


def test_the_text_report_names_captures_of_one_name_with_their_folders_and_a_filter_for_each():
    analysis = builders.incident()
    analysis.inputs = captures("day1/ring.pcap", "day2/ring.pcap")
    filters = [InputFilter(source.path, f"frame.number == {n}") for n, source in enumerate(analysis.inputs, 7)]
    analysis.findings[0].input_filters = filters
    text = "".join(render_text(analysis, Layout(120), arguments="day*/ring.pcap"))
    assert "day1/ring.pcap frame 58 " in text
    assert "day2/ring.pcap frame 63 " in text
    assert "Check    Wireshark, day1/ring.pcap: frame.number == 7" in text
    assert "         Wireshark, day2/ring.pcap: frame.number == 8" in text


def test_json_gives_the_filter_for_each_capture():
    analysis = builders.incident()
    analysis.findings[0].input_filters = [InputFilter("a.pcap", "tcp")]
    document = json.loads("".join(render_json(analysis)))
    Draft202012Validator(SCHEMA).validate(document)
    assert document["findings"][0]["inputs"] == [{"input": "a.pcap", "wireshark_filter": "tcp"}]
