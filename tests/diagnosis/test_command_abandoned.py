"""ActiveSync commands that somebody gave up."""

from __future__ import annotations

from tests.diagnosis.builders import Story
from tests.diagnosis.test_renegotiation import only, rules

RULE = "command-abandoned"


def ping():
    return Story().request(60, command="Ping").body(60)


def test_a_ping_that_the_client_gives_up_is_abandoned():
    finding = only(RULE, ping().at(1_500).close("client-fin"))
    assert finding.severity == "warning"
    assert finding.title == "The client abandoned Ping before an answer came"
    assert "after 1.5 s: the client had sent 60 of 60 body bytes, and no response came" in finding.detail
    assert finding.evidence[-1].what == "the client closes the connection after 1.5 s"
    assert "end a long poll on purpose" in finding.against[0]


def test_a_response_that_came_too_late_is_reported():
    story = ping().at(1_500).close("client-fin").at(5_000).response(200, too_late=True)
    story.exchange.outcome = "abandoned-by-client"
    finding = only(RULE, story)
    assert "the response (200) came too late" in finding.detail
    assert finding.evidence[-1].what == "the response: 200, too late: the client had given up"


def test_a_command_that_the_server_gives_up_is_abandoned():
    finding = only(RULE, ping().at(3_000).close("server-fin"))
    assert finding.evidence[-1].what == "the server closes the connection after 3.0 s"
    assert finding.against == []


def test_a_ping_that_still_waits_when_the_capture_ends_is_no_fault():
    assert rules(ping().at(60_000)) == []


def test_an_answered_ping_is_no_fault():
    assert rules(ping().at(3_000).response(200).close("client-fin")) == []


def test_requests_that_are_not_activesync_are_ignored():
    assert rules(Story().request(60, command=None, target="/owa/").body(60).close("client-rst")) == []


def test_a_request_interrupted_by_the_capture_is_no_fault():
    story = ping()
    story.exchange.outcome = "interrupted"
    assert rules(story) == []
