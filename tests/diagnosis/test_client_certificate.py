"""Certificates that were requested and not sent, or sent and rejected."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.diagnosis.builders import Story, analysis
from tests.diagnosis.test_renegotiation import cures, only, rules

MISSING, REJECTED = "client-certificate-missing", "client-certificate-rejected"


def later(size=9_000):
    """Asked by renegotiation after the whole body."""
    return Story().request(size).body(size).hello_request(size).client_hello().certificate_asked()


def test_an_empty_certificate_and_a_fatal_alert_is_missing_and_failed():
    story = later().certificate(False).alert(TO_CLIENT, "handshake_failure", outcome="failed").close("server-fin")
    assert rules(story) == [MISSING, "command-abandoned", "renegotiation-failed"]
    assert "the client's certificate message is empty" in [item.what for item in only(MISSING, story).evidence]


def test_an_empty_certificate_and_a_403_is_missing_with_a_doubt():
    story = later().renegotiated(certificate=False).response(403, "Forbidden")
    assert rules(story) == [MISSING]
    assert "sub-status 7" in only(MISSING, story).against[0]


def test_an_empty_certificate_and_a_closed_connection_is_missing():
    story = later().renegotiated(certificate=False).close("server-fin")
    assert MISSING in rules(story)


def test_an_optional_certificate_that_the_client_did_not_send_is_no_fault():
    assert rules(later().renegotiated(certificate=False).response(200)) == ["renegotiation-per-request"]


def test_an_empty_certificate_in_the_first_handshake_and_an_alert_is_missing():
    story = Story().first_handshake_asks(presented=False, done=False).alert(TO_CLIENT, "handshake_failure")
    assert rules(story.close("server-fin")) == [MISSING]


def test_an_empty_certificate_in_the_first_handshake_and_a_403_is_missing_for_each_request():
    story = Story().first_handshake_asks(presented=False)
    for _ in range(2):
        story.request(100).body(100).response(403)
    assert rules(story) == [MISSING] * 2


def test_no_certificate_message_needs_an_alert_that_says_so():
    none = Story().first_handshake_asks(presented=None, done=False).alert(TO_CLIENT, "certificate_required")
    other = Story(1).first_handshake_asks(presented=None, done=False).alert(TO_CLIENT, "internal_error")
    by_client = Story(2).first_handshake_asks(presented=None, done=False).alert(TO_SERVER, "unknown_ca")
    assert rules(none.close("server-fin"), other.close("server-fin"), by_client.close("client-fin")) == [MISSING]


def test_no_certificate_message_seen_is_not_missing_where_the_clients_bytes_are():
    story = Story().first_handshake_asks(presented=None, done=False).gap(TO_SERVER)
    assert rules(story.alert(TO_CLIENT, "handshake_failure").close("server-fin")) == []


def test_a_server_that_lets_any_request_in_did_not_need_the_certificate():
    story = Story().first_handshake_asks(presented=False).request(100).body(100).response(200)
    assert rules(story.request(100).body(100).response(403)) == []


def test_a_long_poll_that_the_server_ends_later_is_no_missing_certificate():
    story = Story().first_handshake_asks(presented=False).request(60, command="Ping").body(60)
    assert rules(story.at(300_000).close("server-fin")) == ["command-abandoned"]


def test_an_idle_connection_that_is_closed_is_no_missing_certificate():
    story = Story().first_handshake_asks(presented=False)
    story.decryption.status = "none"
    assert rules(story.at(120_000).close("server-fin")) == []


def test_a_handshake_that_the_server_breaks_off_after_an_empty_certificate_is_missing():
    story = Story().first_handshake_asks(presented=False, done=False)
    story.decryption.status = "none"
    assert rules(story.close("server-rst")) == [MISSING]


@pytest.mark.parametrize("alert", ["certificate_expired", "unknown_ca", "bad_certificate", "handshake_failure"])
def test_a_certificate_and_an_alert_about_it_is_rejected(alert):
    story = later().certificate(True).alert(TO_CLIENT, alert, outcome="failed").close("server-fin")
    assert rules(story) == [REJECTED, "command-abandoned", "renegotiation-failed"]
    assert bool(only(REJECTED, story).against) is (alert == "handshake_failure")


def test_a_certificate_and_a_403_is_rejected():
    assert rules(later().renegotiated().response(403)) == [REJECTED]


def test_a_certificate_and_an_alert_about_something_else_is_not_rejected():
    story = later().certificate(True).alert(TO_CLIENT, "internal_error", outcome="failed").close("server-fin")
    assert REJECTED not in rules(story)


def test_an_alert_of_the_client_does_not_reject_its_own_certificate():
    story = Story().first_handshake_asks(presented=True, done=False).alert(TO_SERVER, "unknown_ca")
    assert rules(story.close("client-fin")) == []


def test_a_certificate_in_the_first_handshake_is_rejected_by_alert_or_403():
    by_alert = Story().first_handshake_asks(presented=True, done=False).alert(TO_CLIENT, "certificate_revoked")
    by_status = Story(1).first_handshake_asks(presented=True).request(100).body(100).response(403)
    assert rules(by_alert.close("server-fin"), by_status) == [REJECTED] * 2
    assert "revoked on purpose" in cures(only(REJECTED, by_alert))


def test_a_certificate_that_let_other_requests_in_is_not_rejected_by_a_403():
    story = Story().first_handshake_asks(presented=True).request(100).body(100).response(200)
    assert rules(story.request(100).body(100).response(403)) == []


def test_a_later_certificate_request_takes_precedence_over_the_first():
    story = Story().first_handshake_asks(presented=False).request(100).body(100).hello_request(100).client_hello()
    assert rules(story.renegotiated(certificate=True).response(403)) == [REJECTED]


def test_an_opaque_connection_shows_its_first_handshake_and_is_never_proven():
    story = Story().first_handshake_asks(presented=False, done=False).alert(TO_CLIENT, "handshake_failure")
    story.decryption.status = "opaque"
    assert only(MISSING, story.close("server-fin")).confidence == "inferred"


def test_without_tls_no_certificate_is_requested():
    story = Story().request(100).body(100).response(403)
    story.tls = None
    assert analysis(story).connections[0].tls is None
    assert rules(story) == []


@pytest.mark.parametrize(("presented", "rule"), [(False, MISSING), (True, REJECTED)])
def test_a_bare_403_is_inferred_unless_the_same_certificate_answer_was_accepted_elsewhere(presented, rule):
    refused = Story().first_handshake_asks(presented=presented).request(100).body(100).response(403)
    let_in = Story(1).first_handshake_asks(presented=presented).request(100).body(100).response(200)
    other = Story(2).first_handshake_asks(presented=not presented).request(100).body(100).response(200)
    assert only(rule, refused, other).confidence == "inferred"
    assert rules(refused, let_in) == []


def test_the_certificate_of_another_device_says_nothing_about_this_one():
    refused = Story().first_handshake_asks(presented=True).request(100).body(100).response(403)
    other = Story(1).first_handshake_asks(presented=True).request(100, device="Other").body(100).response(200)
    assert rules(refused, other) == [REJECTED]
