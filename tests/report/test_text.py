"""The default output: what an administrator reads at two in the morning."""

from __future__ import annotations

import pytest

from easpcap.report.text import Layout, render_text
from easpcap.report.text.layout import count, listed
from easpcap.report.times import lasted, span, took
from easpcap.results import Analysis
from tests.report import builders

ARGUMENTS = "trace.pcap --key server.pem"


def text(analysis: Analysis, width: int = 100, *, colour: bool = False) -> str:
    return "".join(render_text(builders.judged(analysis), Layout(width, colour), arguments=ARGUMENTS))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["incident", "quiet", "blind", "many"])
def test_the_report_matches_its_golden_file(golden, name, width):
    golden(f"{name}.{width}.txt", text(getattr(builders, name)(), width))


def test_no_line_is_wider_than_the_screen():
    for line in text(builders.incident(), 80).splitlines():
        assert len(line) <= 80 or line.lstrip().startswith(("easpcap", "netsh", "cscript"))  # copied whole


def test_text_from_the_wire_is_escaped_on_the_terminal():
    report = text(builders.incident())
    assert all(character.isprintable() or character == "\n" for character in report)


def test_colour_changes_no_word():
    coloured = text(builders.incident(), colour=True)
    assert "\x1b[1;31mCRITICAL\x1b[0m" in coloured
    plain = coloured
    for code in ("\x1b[1m", "\x1b[2m", "\x1b[0m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m", "\x1b[1;32m"):
        plain = plain.replace(code, "")
    assert plain == text(builders.incident())


def test_the_report_says_first_that_nothing_could_be_decrypted():
    lines = text(builders.blind()).splitlines()
    assert lines[2].startswith("Decryption  NOTHING")
    assert "key-mismatch" in lines[3] + lines[4]
    assert "No fault visible. That rules out very little" in text(builders.blind())


def test_a_capture_without_faults_says_what_that_does_not_rule_out():
    assert "No fault found. This does not rule out faults" in text(builders.quiet())


def test_the_report_does_not_say_no_fault_found_if_requests_failed():
    analysis = builders.quiet()
    for exchange in analysis.exchanges:
        exchange.response.status = 500
    report = " ".join(text(analysis).split())
    assert "No fault found." not in report
    assert "1 response reported an error: 500" in report
    for exchange in analysis.exchanges:
        exchange.response.status = 401
    assert "No fault found." in text(analysis)


def test_a_long_list_shows_failed_exchanges_and_names_the_command_for_the_rest():
    analysis = builders.many(60)
    analysis.exchanges[55].outcome = "abandoned-by-client"
    report = text(analysis)
    assert "client gave up" in report
    assert "... and 40 more" in report


def test_a_frame_of_several_captures_is_cited_by_file():
    analysis = builders.incident()
    analysis.inputs = [
        builders.input_file("a.pcap", packets=100),
        builders.input_file("b.pcap", packets=312, first=101),
    ]
    report = text(analysis)
    assert "a.pcap frame 58" in report
    assert "b.pcap frame 13" in report


def test_a_finding_that_accompanies_a_worse_one_is_short():
    report = text(builders.incident())
    assert report.count("Cause  ") == 1
    assert "command-abandoned (proven)" in report


def test_suggested_commands_repeat_the_arguments():
    assert f"easpcap timeline {ARGUMENTS} -o timeline.csv\n" in text(builders.quiet())


def test_a_capture_without_tcp_says_so():
    analysis = Analysis([builders.input_file()], [], [], [], {}, packets_ignored={"not TCP": 412})
    assert "no TCP connections" in text(analysis)
    assert "412 packets (not TCP)" in text(analysis)


def test_numbers_and_lists_are_written_for_people():
    assert count(1, "byte") == "1 byte"
    assert count(1234, "byte") == "1,234 bytes"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert took(21_000_000) == "0.021 s"
    assert took(3_720_000_000_000) == "1 h 02 min"
    assert lasted(99_200_000_000) == "99 s"
    start = builders.START
    assert span(start, start + 3 * builders.SECOND) == "2010-11-15 22:47:01 to 22:47:04 UTC"
    assert span(start, start + 86_400 * builders.SECOND) == "2010-11-15 22:47:01 to 2010-11-16 22:47:01 UTC"


def test_only_the_header_of_the_exchanges_is_dim():
    coloured = text(builders.incident(), colour=True)
    dim = [line for line in coloured.splitlines() if line.startswith("\x1b[2m")]
    assert len(dim) == 1
    assert "command" in dim[0]


@pytest.mark.parametrize(("status", "verdict"), [(399, "OK"), (400, "LOOK"), (401, "OK"), (599, "LOOK")])
def test_responses_from_400_on_are_errors_but_a_401_asks_for_a_password(status, verdict):
    analysis = builders.quiet()
    analysis.exchanges[0].response.status = status
    lines = text(analysis).splitlines()
    assert any(line.startswith(verdict) for line in lines)
