"""Order, numbers, causes, commands to paste, filters; and that every rule is documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from easpcap.diagnosis import RULES, SEVERITIES, diagnose
from easpcap.results import InputFile
from tests.diagnosis.builders import START, Story, analysis
from tests.diagnosis.test_renegotiation import cures, incident, only

DOCS = Path(__file__).parents[2] / "docs" / "findings.md"


def test_an_empty_analysis_has_no_findings():
    whole = analysis(Story())
    whole.connections = []
    assert diagnose(whole) == ([], [])


def test_findings_are_sorted_critical_first_and_list_related_findings():
    notice = Story(0).request(900).body(900).hello_request(900).client_hello().renegotiated().response(200)
    deadlock = Story(1).request(300_000).body(9_000).hello_request(0).at(30_000).close("server-rst")
    findings, _ = diagnose(analysis(notice, deadlock))
    assert [(f.id, f.rule) for f in findings] == [
        (0, "renegotiation-deadlock"),
        (1, "command-abandoned"),
        (2, "renegotiation-per-request"),
    ]
    assert [f.related for f in findings] == [[1], [0], []]


def test_a_cause_counts_exchanges_and_devices_and_spans_their_time():
    stories = []
    for number, device in enumerate(["ApplA", "ApplB", "ApplA"]):
        story = Story(number).at(1_000 * number).request(300_000, device=device).body(9_000)
        stories.append(story.response(413))
    findings, causes = diagnose(analysis(*stories))
    (cause,) = causes
    assert (cause.rule, cause.severity, cause.exchanges, cause.devices) == ("request-too-large", "critical", 3, 2)
    assert cause.findings == [f.id for f in findings] == [0, 1, 2]
    assert (cause.first_time, cause.last_time) == (START, START + 2_000_000_000)


def test_diagnosing_twice_gives_the_same_findings_and_does_not_change_the_analysis():
    whole = analysis(incident().close("server-rst"))
    assert diagnose(whole) == diagnose(whole)
    assert (whole.findings, whole.causes) == ([], [])


def test_commands_name_the_server_as_the_client_called_it():
    (first, *others) = only("renegotiation-deadlock", incident().close("server-rst")).remedies
    assert "hostnameport=mail.contoso.com:443 " in first.commands[-1]
    assert first.commands[-1].endswith(" clientcertnegotiation=enable")
    assert any("SSLAlwaysNegoClientCert true" in other.commands[0] for other in others if other.commands)


@pytest.mark.parametrize("name", [None, "a b", "x&calc", "-x", "x\ny", "", "x" * 300])
def test_an_invalid_host_name_never_reaches_a_command(name):
    story = incident().close("server-rst")
    story.tls.server_name = name
    finding = only("renegotiation-deadlock", story)
    assert finding.remedies[0].commands[-1].startswith("netsh http update sslcert ipport=0.0.0.0:443 certhash=HASH")
    assert f"={name}:" not in cures(finding)


def test_with_several_captures_the_filter_counts_as_their_own_file_does():
    story = Story(1).request(300_000).body(9_000).response(413)
    inputs = [
        InputFile("a.pcap", "", "pcap", [], 500, START, START, False, first_frame=1),
        InputFile("b.pcap", "", "pcap", [], 900, START, START, False, first_frame=501),
    ]
    finding = diagnose(analysis(story, inputs=inputs))[0][0]
    first, last = finding.evidence[0].position.frame, finding.evidence[-1].position.frame
    assert finding.wireshark_filter == f"tcp.stream eq 1 && frame.number >= {first} && frame.number <= {last}"
    where = "ip.addr == 10.20.0.51 && tcp.port == 50001"
    assert finding.input_filters == [
        ("b.pcap", f"{where} && frame.number >= {first - 500} && frame.number <= {last - 500}")
    ]


def test_a_connection_that_began_before_the_capture_is_a_doubt():
    story = Story().request(300_000).body(9_000).response(413)
    whole = analysis(story)
    whole.connections[0].roles_known_by = "port"
    assert "inferred from the ports" in diagnose(whole)[0][0].against[-1]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_is_documented_with_its_severity(rule):
    text = DOCS.read_text(encoding="utf-8")
    assert f"## {rule}\n" in text
    section = text.split(f"## {rule}\n", 1)[1].split("\n## ", 1)[0]
    assert f"Severity: {SEVERITIES[rule]}" in section
    for part in ("Means", "Evidence", "Not this", "Remedy", "Sources"):
        assert f"**{part}.**" in section
