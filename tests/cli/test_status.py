"""The exit statuses. 2 takes precedence over 3, and 3 over 1."""

from __future__ import annotations

import pytest

from easpcap.errors import CaptureError
from easpcap.key_problems import KeyProblem
from easpcap.report.key_text import key_problem
from easpcap.results import Decryption, KeyFile
from tests.report import builders

BAD_KEY = KeyFile("bad.pem", "unusable", problem=KeyProblem("other-contents", "certificate"))


@pytest.mark.usefixtures("pipeline")
def test_a_finished_run_is_zero_even_with_findings(easpcap_main):
    assert easpcap_main("inspect", "trace.pcap")[0] == 0


@pytest.mark.parametrize(("least", "status"), [("notice", 1), ("warning", 1), ("critical", 1)])
@pytest.mark.usefixtures("pipeline")
def test_a_finding_at_or_above_fail_on_is_one(easpcap_main, least, status):
    assert easpcap_main("inspect", "trace.pcap", "--fail-on", least)[0] == status


def test_a_finding_below_fail_on_is_zero(pipeline, easpcap_main):
    pipeline.analysis.findings = [f for f in pipeline.analysis.findings if f.severity == "warning"]
    assert easpcap_main("findings", "trace.pcap", "--fail-on", "critical")[0] == 0
    assert easpcap_main("findings", "trace.pcap", "--fail-on", "warning")[0] == 1


@pytest.mark.parametrize("command", ["connections", "exchanges"])
def test_tables_without_findings_look_for_them_only_if_the_status_depends_on_them(pipeline, easpcap_main, command):
    assert easpcap_main(command, "trace.pcap")[0] == 0
    assert pipeline.asked["diagnosis"] is False
    assert easpcap_main(command, "trace.pcap", "--fail-on", "critical")[0] == 1
    assert pipeline.asked["diagnosis"] is True


@pytest.mark.parametrize("command", ["inspect", "timeline", "findings", "keys"])
def test_what_shows_findings_always_looks_for_them(pipeline, easpcap_main, command):
    easpcap_main(command, "trace.pcap")
    assert pipeline.asked["diagnosis"] is True


def test_keys_that_decrypt_nothing_are_three_and_the_report_is_still_written(pipeline, easpcap_main):
    pipeline.analysis = builders.blind()
    status, out, _ = easpcap_main("inspect", "trace.pcap", "--key", "server.pem")
    assert status == 3
    assert b"NOTHING" in out


def test_nothing_decrypted_without_keys_is_zero(pipeline, easpcap_main):
    pipeline.analysis = builders.blind()
    assert easpcap_main("inspect", "trace.pcap")[0] == 0


def test_keys_without_encrypted_data_are_zero(pipeline, easpcap_main):
    pipeline.analysis = builders.blind()
    for connection in pipeline.analysis.connections:
        connection.decryption = Decryption("none")
    assert easpcap_main("inspect", "trace.pcap", "--key", "server.pem")[0] == 0


def test_three_takes_precedence_over_one(pipeline, easpcap_main):
    findings = pipeline.analysis.findings
    pipeline.analysis = builders.blind()
    pipeline.analysis.findings = findings
    assert easpcap_main("findings", "t.pcap", "--key", "k", "--fail-on", "notice")[0] == 3


def test_no_usable_key_is_two_rather_than_three_and_nothing_is_written(pipeline, easpcap_main):
    pipeline.analysis = builders.blind()
    pipeline.analysis.keys = [BAD_KEY]
    status, out, err = easpcap_main("inspect", "trace.pcap", "--key", "bad.pem")
    assert (status, out) == (2, b"")
    assert err == f"easpcap: bad.pem: {key_problem(BAD_KEY)}\n"


def test_one_bad_key_among_several_is_a_warning(pipeline, easpcap_main):
    pipeline.analysis = builders.quiet()
    pipeline.analysis.keys.append(BAD_KEY)
    status, _, err = easpcap_main("inspect", "trace.pcap", "--key", "server.pem", "--key", "bad.pem")
    assert status == 0
    assert err == f"easpcap: warning: bad.pem: {key_problem(BAD_KEY)}\n"


def test_an_unreadable_capture_is_two_and_one_line(pipeline, easpcap_main):
    pipeline.error = CaptureError("trace.pcap: a text file, no capture")
    assert easpcap_main("inspect", "trace.pcap") == (2, b"", "easpcap: trace.pcap: a text file, no capture\n")


@pytest.mark.parametrize(
    "arguments",
    [("inspect",), ("inspect", "t.pcap", "--no-such"), ("bogus",), ("inspect", "t.pcap", "--format", "xml")],
)
@pytest.mark.usefixtures("pipeline")
def test_wrong_usage_is_two(easpcap_main, arguments):
    status, out, err = easpcap_main(*arguments)
    assert (status, out) == (2, b"")
    assert "Error" in err


def test_an_internal_error_is_one_line_without_debug(pipeline, easpcap_main):
    pipeline.error = ZeroDivisionError("of \x1b[31m zero")
    status, out, err = easpcap_main("inspect", "trace.pcap")
    assert (status, out) == (2, b"")
    assert err == "easpcap: internal error: ZeroDivisionError: of \\x1b[31m zero; run again with --debug\n"
    assert "Traceback" in easpcap_main("inspect", "trace.pcap", "--debug")[2]


def test_ctrl_c_is_quiet(pipeline, easpcap_main):
    pipeline.error = KeyboardInterrupt()
    assert easpcap_main("inspect", "trace.pcap") == (130, b"", "")


def test_a_connection_decrypted_in_part_counts_as_decrypted(pipeline, easpcap_main):
    pipeline.analysis = builders.blind()
    pipeline.analysis.connections[0].decryption = Decryption("partial", "gap")
    assert easpcap_main("inspect", "trace.pcap", "--key", "server.pem")[0] == 0


def test_a_key_log_counts_as_a_key(pipeline, easpcap_main):
    pipeline.analysis = builders.blind()
    assert easpcap_main("inspect", "trace.pcap", "--key-log", "keys.log")[0] == 3
