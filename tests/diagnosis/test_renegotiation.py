"""The server asks for a certificate at different moments of a request, and it ends well, badly or not at all."""

from __future__ import annotations

import pytest

from easpcap.diagnosis import diagnose
from easpcap.report.remedies import remedy_lines
from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.diagnosis.builders import Story, analysis


def rules(*stories):
    """The ids of the findings, sorted."""
    return sorted(finding.rule for finding in diagnose(analysis(*stories))[0])


def only(rule, *stories):
    """The one finding of a rule."""
    (found,) = [finding for finding in diagnose(analysis(*stories))[0] if finding.rule == rule]
    return found


def cures(finding):
    """The remedies of a finding as the lines of text that the JSON carries."""
    return "\n".join(remedy_lines(finding.remedies))


def incident():
    """The classic: asked at once, the client only writes, the window closes, the server gives up."""
    story = Story().request(1_261_440).body(30_000).hello_request(0, 30_000)
    return story.at(10).body(84_000).at(20).zero_window().at(30_049)


# ------------------------------------------------------------------------------- deadlock


def test_a_hello_request_in_mid_body_that_nobody_reads_is_a_deadlock():
    assert rules(incident().close("server-rst")) == ["command-abandoned", "renegotiation-deadlock"]


def test_the_evidence_of_a_deadlock_is_in_causal_order():
    story = incident().close("server-fin")
    finding = only("renegotiation-deadlock", story)
    assert (finding.severity, finding.confidence, finding.against) == ("critical", "proven", [])
    assert [item.what for item in finding.evidence] == [
        "POST SendMail begins, 1,261,440 bytes announced",
        "the server sends HelloRequest after 0 of 1,261,440 body bytes; the client had sent 30,000 (2 %)",
        "the server's receive window is zero; no ClientHello follows",
        "the server closes the connection without a response",
    ]
    frames = [item.position.frame for item in finding.evidence]
    assert frames == sorted(frames)
    assert finding.wireshark_filter == (
        f"tcp.stream eq 0 && frame.number >= {frames[0]} && frame.number <= {frames[-1]}"
    )
    assert finding.exchanges == [story.exchange]


def test_a_client_hello_that_the_server_never_reads_is_a_deadlock_too():
    story = Story().request(10_000_000).body(20_000).hello_request(20_000).at(1).client_hello().at(8_000)
    finding = only("renegotiation-deadlock", story.close("server-rst"))
    assert "The client answered with a ClientHello" in finding.detail
    assert "will not answer" not in finding.detail
    assert "the client's ClientHello; the server never answers it" in [item.what for item in finding.evidence]


def test_the_client_may_be_the_one_who_gives_up():
    finding = only("renegotiation-deadlock", incident().close("client-fin"))
    assert finding.evidence[-1].what == "the client closes the connection"


def test_a_whole_body_that_nobody_reads_is_a_deadlock():
    story = Story().request(30_000).hello_request(0).body(30_000).at(120_000).close("server-fin")
    assert "renegotiation-deadlock" in rules(story)
    assert "The client sent its whole body but no ClientHello" in only("renegotiation-deadlock", story).detail


def test_a_chunked_body_counts_until_its_last_chunk():
    story = Story().request(framing="chunked").body(5_000).hello_request(5_000, mid_body=True).at(9_000)
    assert "renegotiation-deadlock" in rules(story.close("server-rst"))


@pytest.mark.parametrize("how", ["server-rst", "server-fin", "client-fin"])
def test_closing_at_once_is_no_deadlock_because_nobody_waited(how):
    story = Story().request(300_000).body(5_000).hello_request(0).at(5).close(how)
    assert rules(story) == ["command-abandoned", "renegotiation-mid-body"]


@pytest.mark.parametrize(("after", "deadlock"), [(1_999, False), (2_000, True)])
def test_two_seconds_of_silence_make_a_deadlock_whoever_ends_it(after, deadlock):
    story = Story().request(300_000).body(5_000).hello_request(0).at(after).close("server-rst")
    assert ("renegotiation-deadlock" in rules(story)) is deadlock


def test_a_client_that_sends_its_body_without_the_100_it_asked_for_can_be_in_a_deadlock():
    story = Story().request(300_000).hello_request(0, awaiting_continue=True, mid_body=False)
    story.at(1_000).body(5_000).zero_window()
    assert "renegotiation-deadlock" in rules(story.at(31_000).close("server-rst"))


def test_a_question_while_the_client_still_waits_for_the_100_is_no_deadlock():
    story = Story().request(300_000).hello_request(0, awaiting_continue=True, mid_body=False)
    assert "renegotiation-deadlock" not in rules(story.at(31_000).close("server-rst"))


def test_an_alert_long_after_the_server_did_without_an_answer_is_not_about_it():
    story = Story().request(10).hello_request(10, mid_body=False).body(10).response(200)
    for _ in range(3):
        story.request(10).body(10).response(200)
    found = rules(story.at(600_000).alert(TO_CLIENT, "internal_error").close("server-fin"))
    assert not {"renegotiation-refused", "renegotiation-failed"} & set(found)


def test_a_403_before_the_question_is_not_its_consequence():
    story = Story().request(300_000).body(5_000).response(403).hello_request(5_000)
    assert "renegotiation-refused" not in rules(story.at(5_000).close("server-fin"))


def test_a_renegotiation_without_a_certificate_request_is_told_as_rekeying():
    story = Story().request(300_000).body(5_000).hello_request(5_000).client_hello()
    story.asked.done, story.asked.outcome = story.here(), "full"
    finding = only("renegotiation-mid-body", story.body(295_000).response(200))
    assert "asks for no certificate" in finding.title
    assert finding.remedies == []


def test_above_a_gap_both_bounds_are_told_and_no_share():
    story = Story().request(41_000).body(40_000)
    story.hello_request(39_000, 40_000, body_offset_acknowledged_most=39_500, body_offset_sent_most=40_900)
    (asked,) = [item for item in only("renegotiation-mid-body", story).evidence if "HelloRequest" in item.what]
    assert asked.what.endswith("after 39,000 to 39,500 of 41,000 body bytes; the client had sent 40,000 to 40,900")


def test_a_capture_that_ends_after_a_stall_shows_a_deadlock():
    finding = only("renegotiation-deadlock", incident())
    assert finding.against == ["The capture ends before either side gave up."]


def test_a_capture_that_ends_at_once_shows_only_the_hello_request():
    story = Story().request(300_000).body(5_000).hello_request(0, 5_000).at(50).body(5_000)
    assert rules(story) == ["renegotiation-mid-body"]
    assert "it may have become a deadlock" in only("renegotiation-mid-body", story).against[0]


def test_silence_counts_until_the_capture_ends_even_if_the_connection_shows_no_packet_any_more():
    story = Story().request(300_000).body(5_000).hello_request(0)
    whole = analysis(story)
    whole.inputs[0].last_time += 30_000_000_000
    assert [finding.rule for finding in diagnose(whole)[0]] == ["renegotiation-deadlock"]


def test_a_stall_that_ends_well_is_no_deadlock():
    story = incident().client_hello().renegotiated().body(1_147_440).response(200)
    assert rules(story) == ["renegotiation-mid-body", "renegotiation-per-request"]


def test_a_response_that_may_be_missing_rules_out_a_deadlock():
    story = incident().gap(TO_CLIENT).close("server-fin")
    assert "renegotiation-deadlock" not in rules(story)
    assert "100 bytes towards the client are missing from the capture." in only("renegotiation-mid-body", story).against


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_where_bytes_are_missing_behind_the_question_an_answer_may_be_among_them(direction):
    story = incident().gap(direction).close("server-fin")
    assert "renegotiation-deadlock" not in rules(story)


def test_a_late_fatal_alert_does_not_undo_the_deadlock():
    story = incident().alert(TO_CLIENT, "internal_error", outcome="failed").close("server-fin")
    assert "renegotiation-deadlock" in rules(story)
    assert "renegotiation-refused" not in rules(story)


def test_a_refusal_that_the_server_does_not_read_is_both_refusal_and_deadlock():
    story = Story().request(300_000).body(5_000).hello_request(0)
    story.alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused").body(60_000).zero_window()
    found = rules(story.at(10_000).close("server-rst"))
    assert found == ["command-abandoned", "renegotiation-deadlock", "renegotiation-refused"]


# ------------------------------------------------------------------------------- mid-body, and what is not


def test_asked_at_offset_zero_and_answered_in_time_is_mid_body():
    story = Story().request(300_000).hello_request(0, 16_384).body(16_384).client_hello().renegotiated()
    story.body(283_616).response(200)
    finding = only("renegotiation-mid-body", story)
    assert finding.severity == "warning"
    assert finding.against == ["The handshake was completed and the response came (200)."]


def test_asked_in_mid_body_and_answered_413_is_both():
    story = Story().request(300_000).hello_request(0).body(65_536).response(413, "Request Entity Too Large")
    assert rules(story) == ["renegotiation-mid-body", "request-too-large"]


def test_asked_after_the_whole_body_is_only_per_request():
    story = Story().request(10_240).body(10_240).hello_request(10_240).client_hello().renegotiated().response(200)
    assert rules(story) == ["renegotiation-per-request"]


def test_asked_while_the_client_holds_its_body_for_100_continue_is_not_mid_body():
    story = Story().request(300_000, headers=[("expect", "100-continue")])
    story.hello_request(0, mid_body=True, awaiting_continue=True).client_hello().renegotiated()
    story.interim().body(300_000).response(200)
    assert rules(story) == ["renegotiation-per-request"]


def test_asked_between_requests_is_no_finding():
    story = Story().request(100).body(100).response(200)
    story.hello_request(0, exchange=None, mid_body=False).client_hello().renegotiated()
    assert rules(story) == []


def test_asked_between_requests_and_closed_when_idle_is_no_refusal():
    story = Story().request(100).body(100).response(200).hello_request(0, exchange=None, mid_body=False)
    assert rules(story.at(120_000).close("server-fin")) == []


def test_a_renegotiation_begun_by_the_client_gives_no_finding():
    story = Story().request(300_000).body(5_000).hello_request(5_000, by="client", mid_body=True).renegotiated()
    assert rules(story.body(295_000).response(200)) == []


def test_two_hello_requests_in_one_request_are_one_finding():
    story = Story().request(300_000).hello_request(0).client_hello().renegotiated()
    story.body(9_000).hello_request(9_000).client_hello().renegotiated().body(291_000).response(200)
    assert rules(story) == ["renegotiation-mid-body", "renegotiation-per-request"]


def test_two_requests_on_one_connection_are_two_findings():
    story = Story()
    for _ in range(2):
        story.request(20_000).body(20_000).hello_request(20_000).client_hello().renegotiated().response(200)
    assert rules(story) == ["renegotiation-per-request"] * 2


def test_a_tls13_post_handshake_certificate_request_in_mid_body_is_mid_body():
    story = Story(version="TLS 1.3", suite="TLS_AES_128_GCM_SHA256").request(300_000).body(4_000)
    story.hello_request(0, 4_000, outcome="post-handshake").certificate_asked().certificate(True)
    finding = only("renegotiation-mid-body", story.body(296_000).response(200))
    assert finding.evidence[1].what.startswith(
        "the server sends a post-handshake CertificateRequest after 0 of 300,000 "
    )
    assert all("renegotiat" not in text.lower() for text in (finding.detail, *(item.what for item in finding.evidence)))


def tls13_question():
    story = Story(version="TLS 1.3", suite="TLS_AES_128_GCM_SHA256").request(300_000).body(4_000)
    story.hello_request(0, 4_000, outcome="post-handshake").certificate_asked()
    return story


def test_an_unanswered_post_handshake_certificate_request_is_a_deadlock():
    finding = only("renegotiation-deadlock", tls13_question().at(30_000).zero_window().at(60_000).close("server-fin"))
    assert finding.detail.startswith("The server asks for the certificate after the TLS 1.3 handshake. ")
    whats = [item.what for item in finding.evidence]
    assert "the server's receive window is zero; no client Certificate follows" in whats


def test_an_ignored_post_handshake_certificate_request_is_a_refusal_without_renegotiation():
    story = tls13_question().body(296_000).response(403)
    finding = only("renegotiation-refused", story)
    assert finding.title.endswith(
        "asks for a client certificate after the TLS 1.3 handshake, and the client does not answer"
    )
    assert "RFC 5746" not in cures(finding)


def test_a_post_handshake_certificate_that_the_server_rejects_is_a_failure():
    story = tls13_question().body(296_000).certificate(False)
    story.alert(TO_CLIENT, "certificate_required", outcome="failed").close("server-fin")
    assert only("renegotiation-failed", story).title.startswith("The late client certificate fails: ")


@pytest.mark.parametrize("status", [403, 413])
def test_a_renegotiation_followed_by_an_error_is_not_reported_as_working(status):
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello().renegotiated().response(status)
    assert "renegotiation-per-request" not in rules(story)


def test_a_renegotiation_without_a_certificate_request_is_not_per_request():
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello().renegotiated()
    story.asked.certificate_requested = False
    assert rules(story.response(200)) == []


# ------------------------------------------------------------------------------- refused


def test_no_renegotiation_and_a_fatal_alert_at_once_is_a_refusal_and_not_a_failure():
    story = Story().request(10_000).body(10_000).hello_request(10_000)
    story.alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused").alert(TO_CLIENT, "handshake_failure")
    assert rules(story.close("server-fin")) == ["command-abandoned", "renegotiation-refused"]


def test_a_refusal_in_mid_body_is_also_mid_body_and_no_deadlock():
    story = Story().request(100_000).body(20_000).hello_request(20_000)
    story.alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused").body(10_000)
    story.alert(TO_CLIENT, "handshake_failure").close("server-rst")
    assert rules(story) == ["command-abandoned", "renegotiation-mid-body", "renegotiation-refused"]
    assert only("renegotiation-refused", story).related == [
        finding.id for finding in diagnose(analysis(story))[0] if finding.rule != "renegotiation-refused"
    ]


def test_a_refusal_that_the_server_accepts_is_a_doubtful_refusal():
    story = Story().request(10_000).body(10_000).hello_request(10_000)
    story.alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused").response(200)
    assert only("renegotiation-refused", story).against == ["The server went on without it and answered 200."]


def test_going_on_without_a_client_hello_is_a_refusal_when_the_server_insists_by_alert():
    story = Story().request(100_000).hello_request(0).body(20_000)
    story.alert(TO_CLIENT, "unexpected_message", outcome="failed").close("server-fin")
    assert rules(story) == ["command-abandoned", "renegotiation-mid-body", "renegotiation-refused"]


def test_going_on_without_a_client_hello_is_a_refusal_when_the_server_closes_or_forbids():
    closed = Story().request(9_000).body(9_000).hello_request(9_000).at(5_000).close("server-fin")
    forbidden = Story(1).request(9_000).body(9_000).hello_request(9_000).response(403)
    assert rules(closed) == ["command-abandoned", "renegotiation-refused"]
    assert rules(forbidden) == ["renegotiation-refused"]


def test_an_unanswered_hello_request_without_consequences_is_no_refusal():
    assert rules(Story().request(9_000).body(9_000).hello_request(9_000).response(200)) == []


def test_an_unanswered_hello_request_is_no_refusal_when_the_client_closes_or_the_capture_ends():
    ended = Story().request(9_000).body(9_000).hello_request(9_000).close("client-fin")
    unfinished = Story(1).request(9_000).body(9_000).hello_request(9_000)
    assert rules(ended, unfinished) == ["command-abandoned"]


def test_missing_bytes_of_the_client_may_contain_its_client_hello():
    story = Story().request(9_000).body(9_000).hello_request(9_000).gap(TO_SERVER).close("server-fin")
    assert "renegotiation-refused" not in rules(story)


# ------------------------------------------------------------------------------- failed


def test_a_fatal_alert_after_the_client_hello_is_a_failure():
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello()
    story.alert(TO_CLIENT, "protocol_version", outcome="failed").close("server-fin")
    finding = only("renegotiation-failed", story)
    assert finding.title == "The renegotiation fails: the server ends it with the alert protocol_version"
    assert "renegotiation-refused" not in rules(story)


def test_a_fatal_alert_of_the_client_is_a_failure():
    story = Story().request(9_000).body(9_000).hello_request(9_000)
    story.alert(TO_SERVER, "handshake_failure", outcome="failed").close("client-fin")
    assert "renegotiation-failed" in rules(story)


def test_a_client_whose_own_renegotiation_is_turned_down_is_a_failure():
    story = Story().hello_request(0, by="client", exchange=None, mid_body=False)
    story.alert(TO_CLIENT, "handshake_failure", outcome="failed").close("server-fin")
    assert rules(story) == ["renegotiation-failed"]
    remedy = cures(only("renegotiation-failed", story))
    assert "what makes the client renegotiate" in remedy
    assert "clientcertnegotiation" not in remedy  # the server asked for nothing


def test_an_alert_that_only_answers_a_close_is_no_failure():
    story = incident().close("server-fin").alert(TO_SERVER, "decode_error", outcome="failed")
    assert rules(story) == ["command-abandoned", "renegotiation-deadlock"]


def test_a_completed_renegotiation_did_not_fail_whatever_came_later():
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello().renegotiated().response(200)
    assert rules(story.alert(TO_CLIENT, "internal_error")) == ["renegotiation-per-request"]


def test_a_closed_connection_does_not_prove_a_missing_response_where_a_gap_may_hide_it():
    story = Story().request(300_000).hello_request(0).body(65_536).gap(TO_CLIENT).close("server-fin")
    story.exchange.outcome, story.exchange.gap_before_response = "interrupted", True
    ends = only("renegotiation-mid-body", story).evidence[-1].what
    assert ends == "the server closes the connection; a response may be among the missing bytes"


def test_a_hello_request_after_the_final_response_does_not_belong_to_that_request():
    story = Story().request(300_000).body(65_536).response(401).hello_request(65_536).client_hello().renegotiated()
    assert rules(story) == []
