"""The top of the text report: the captures, and what is missing from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from easpcap.report.text import Layout, render_text
from easpcap.report.text.reading import _SHOWN_ELSEWHERE, ANOMALY_WORDS
from easpcap.results import Analysis, LocatedAnomaly
from tests.report import builders

DOCS = (Path(__file__).parents[2] / "docs" / "output.md").read_text()


def report(analysis: Analysis) -> str:
    """The report with its line breaks removed."""
    return " ".join("".join(render_text(analysis, Layout(120))).split())


def anomalies(*codes: str) -> list[LocatedAnomaly]:
    return [LocatedAnomaly(code, 0, 5, builders.START, "") for code in codes]


def test_every_documented_anomaly_has_words():
    table = DOCS.partition("### `anomalies`")[2].partition("###")[0]
    codes = set(re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE))
    assert len(codes) > 20
    assert codes - _SHOWN_ELSEWHERE == set(ANOMALY_WORDS)


@pytest.mark.parametrize("code", ANOMALY_WORDS)
def test_no_anomaly_is_shown_as_a_code(code):
    analysis = builders.quiet()
    analysis.anomalies = anomalies(code, code)
    assert f"unusual: {ANOMALY_WORDS[code]} (2)" in report(analysis)
    assert code not in report(analysis)


@pytest.mark.parametrize(("number", "cut"), [(4, False), (5, True)])
def test_at_most_four_kinds_of_anomalies_are_shown(number, cut):
    analysis = builders.quiet()
    codes = list(ANOMALY_WORDS)[:number]
    analysis.anomalies = anomalies(*codes)
    assert (f"{ANOMALY_WORDS[codes[3]]} (1), ..." in report(analysis)) == cut


@pytest.mark.parametrize(
    ("captures", "rest"), [(4, ""), (5, "... and 1 more capture "), (6, "... and 2 more captures ")]
)
def test_four_captures_are_named_and_the_rest_counted(captures, rest):
    analysis = builders.quiet()
    analysis.inputs = [builders.input_file(f"{number}.pcap") for number in range(captures)]
    assert "3.pcap: pcap" in report(analysis)
    assert "4.pcap: pcap" not in report(analysis)
    assert rest in report(analysis)
    assert ("more capture" in report(analysis)) == bool(rest)


def test_a_truncated_capture_is_named_if_there_are_several():
    analysis = builders.quiet()
    analysis.inputs = [builders.input_file("a.pcap"), builders.input_file("b.pcap", truncated=True)]
    sentence = "truncated: the file ends in mid-packet; everything before that was used"
    assert f"b.pcap: {sentence}" in report(analysis)
    assert report(analysis).count(sentence) == 1
    analysis.inputs = [builders.input_file("b.pcap", truncated=True)]
    assert f"Capture {sentence}" in report(analysis)


def damaged(analysis, *details, truncated=False):
    """The analysis, with a second capture of frames 101 to 200 that is damaged after its frames 5, 6 ..."""
    first = builders.input_file("a.pcap", packets=100)
    second = builders.input_file("b.pcap", packets=100, first=101, truncated=truncated)
    second.damaged_places = len(details)
    analysis.inputs = [first, second]
    analysis.anomalies = [
        LocatedAnomaly("capture-damaged", None, 105 + number, None, detail) for number, detail in enumerate(details)
    ]
    return analysis


def test_damage_is_shown_with_the_frame_of_its_file_and_what_it_cost():
    text = report(damaged(builders.quiet(), "1,234 bytes that are no packets were skipped"))
    assert "b.pcap: damaged after frame 5: 1,234 bytes that are no packets were skipped" in text
    assert "a.pcap: damaged" not in text
    assert "truncated: the file" not in text
    assert "unusual: " not in text


def test_many_damaged_places_are_counted():
    text = report(damaged(builders.quiet(), *["20 bytes that are no packets were skipped"] * 5))
    assert "damaged after frame 7: 20" in text
    assert "damaged after frame 8: 20" not in text
    assert "b.pcap: damaged in 2 more places" in text


def test_a_damaged_capture_that_is_also_truncated_is_not_said_to_be_used_whole():
    analysis = damaged(builders.quiet(), "20 bytes that are no packets were skipped", truncated=True)
    analysis.anomalies.append(LocatedAnomaly("capture-truncated", None, 200, None, "..."))
    assert "b.pcap: truncated: the file ends in mid-packet" in report(analysis)
    assert "everything before that was used" not in report(analysis)


def test_damage_is_shown_where_no_connection_could_be_read():
    analysis = damaged(builders.quiet(), "the remaining 5,000 bytes cannot be read")
    analysis.connections = []
    assert "b.pcap: damaged after frame 5: the remaining 5,000 bytes cannot be read" in report(analysis)


def test_a_damaged_capture_without_packets_is_damaged_at_its_beginning():
    analysis = builders.quiet()
    analysis.inputs = [builders.input_file("a.pcap", packets=0, first_time=None, last_time=None)]
    analysis.anomalies = [LocatedAnomaly("capture-damaged", None, 1, None, "the remaining 9 bytes cannot be read")]
    assert "damaged at its beginning: the remaining 9 bytes cannot be read" in report(analysis)


@pytest.mark.parametrize(("silent", "name"), [(0, "client"), (1, "server")])
def test_a_side_whose_data_was_not_captured_is_named(silent, name):
    analysis = builders.quiet()
    connection = analysis.connections[0]
    connection.last_data[silent] = None
    connection.payload_bytes = (0, 2000) if silent == 0 else (1000, 0)
    assert f"1 connection without any data from the {name}" in report(analysis)


@pytest.mark.parametrize(("known_by", "late"), [("syn", False), ("syn-ack", False), ("port", True)])
def test_a_connection_whose_start_was_captured_had_not_begun_before(known_by, late):
    analysis = builders.quiet()
    analysis.connections[0].roles_known_by = known_by
    assert ("1 connection had begun before the capture" in report(analysis)) == late


def test_the_most_frequent_reason_for_ignoring_packets_comes_first():
    analysis = builders.quiet()
    analysis.packets_ignored = {"not IP": 2, "not TCP": 57}
    assert "ignored: 57 packets (not TCP) and 2 packets (not IP)" in report(analysis)


def test_what_is_odd_about_the_captures_as_a_set_is_said_in_full():
    analysis = builders.incident()
    analysis.anomalies = [LocatedAnomaly("clock-offset", None, 1, None, f"clock {n}") for n in range(6)]
    text = report(analysis)
    assert "clock 0" in text
    assert "clock 3" in text
    assert "clock 4" not in text
    assert "... and 2 more remarks on how the captures belong together" in text


def test_packets_of_another_capture_are_counted_beside_the_name():
    analysis = builders.quiet()
    analysis.inputs[0].copies = 1_234
    assert "packets (1,234 of them in an earlier capture too)" in report(analysis)


def test_packets_that_the_capturing_machine_dropped_are_told():
    analysis = builders.quiet()
    assert "dropped" not in report(analysis)
    analysis.inputs[0].dropped_packets = 12_345
    assert "12,345 packets dropped by the capturing machine, by its own count" in report(analysis)


def test_offload_is_told_but_is_no_flaw():
    analysis = builders.quiet()
    analysis.inputs[0].large_segments = 7
    assert "complete: both directions" in report(analysis)
    assert "7 segments captured before or after segmentation (offload)" in report(analysis)


def test_missing_bytes_are_told_with_their_share():
    analysis = builders.quiet()
    (connection,) = analysis.connections
    connection.payload_bytes, connection.gaps = (300, 600), (100, 0)
    assert "100 bytes (10 % of all) missing from 1 connection" in report(analysis)
