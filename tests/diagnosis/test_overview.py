"""The verdict on the whole capture: clear only if every request was read and answered, and none failed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from easpcap import facts
from easpcap.diagnosis import overview
from easpcap.report.concern_text import concern_text
from easpcap.results import Decryption, LocatedAnomaly
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.codepoints import HANDSHAKE
from tests.diagnosis.builders import Story, alert, analysis, client_hello


def healthy(number=0):
    return Story(number).request(size=10).body(10).response(200)


def finding(severity, story):
    exchanges = story.exchanges
    return SimpleNamespace(rule="command-abandoned", severity=severity, exchanges=exchanges, connections=[story.number])


def judged(*stories, findings=(), anomalies=(), ignored=()):
    result = analysis(*stories)
    result.anomalies, result.packets_ignored = list(anomalies), dict(ignored)
    return overview(result, findings)


def kinds(found):
    return [(concern.kind, concern.count, *concern.names) for concern in found.concerns]


def test_requests_that_were_read_and_answered_are_clear():
    found = judged(healthy(0), healthy(1))
    assert (found.verdict, found.concerns) == ("clear", [])


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_a_finding_of_warning_or_critical_is_a_fault(severity):
    story = healthy()
    assert judged(story, findings=[finding(severity, story)]).verdict == "fault"


def test_a_notice_is_none():
    story = healthy()
    assert judged(story, findings=[finding("notice", story)]).verdict == "clear"


def test_what_a_finding_explains_is_no_concern_and_the_rest_is():
    explained, other = Story(0).request().close("server-rst"), Story(1).request().close("client-fin")
    found = judged(explained, other, findings=[finding("critical", explained)])
    assert (found.verdict, kinds(found)) == ("fault", [("abandoned", 1)])
    assert found.concerns[0].connection == 1


def test_a_notice_explains_nothing():
    story = Story(0).request().close("server-rst")
    found = judged(story, findings=[finding("notice", story)])
    assert (found.verdict, kinds(found)) == ("look", [("abandoned", 1)])


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, "clear"), (399, "clear"), (400, "look"), (401, "clear"), (403, "look"), (503, "look")]
)
def test_a_response_from_400_on_is_of_concern_but_a_401_asks_for_a_password(status, verdict):
    found = judged(Story().request(size=0).response(status))
    assert found.verdict == verdict
    assert kinds(found) == ([("error-response", 1, str(status))] if verdict == "look" else [])


def test_equal_concerns_are_counted_and_cited_where_they_are_first():
    first, second = Story(0).request(size=0).response(503), Story(1).request(size=0).response(503)
    found = judged(first, second, healthy(2))
    assert kinds(found) == [("error-response", 2, "503")]
    assert found.concerns[0].frame == first.exchange.response.first.frame


def test_a_request_without_a_response_at_the_end_of_the_capture_is_not_clear():
    story = Story().request()
    story.exchange.outcome = "open"
    assert kinds(judged(story, healthy(1))) == [("unanswered", 1)]


def test_an_exchange_with_missing_packets_is_not_clear():
    story = healthy().gap(TO_CLIENT)
    story.exchange.outcome = "interrupted"
    assert kinds(judged(story)) == [("interrupted", 1)]


def test_missing_bytes_elsewhere_are_told():
    assert kinds(judged(healthy().gap(TO_CLIENT))) == [("missing-bytes", 1)]


def test_what_was_not_decrypted_is_not_clear_and_alone_it_is_blind():
    opaque = Story(1)
    opaque.decryption = Decryption("opaque", "no-key")
    assert judged(opaque).verdict == "blind"
    found = judged(healthy(0), opaque)
    assert (found.verdict, kinds(found)) == ("look", [("not-decrypted", 1, "no-key")])


def test_an_unread_connection_that_the_server_reset_may_hide_a_failure():
    opaque = Story(1)
    opaque.decryption = Decryption("opaque", "no-key")
    opaque.close("server-rst")
    found = judged(opaque)
    assert (found.verdict, kinds(found)) == ("look", [("reset", 1), ("not-decrypted", 1, "no-key")])
    assert found.concerns[0].frame == opaque.facts[-1].position.frame


def test_decrypted_data_that_nobody_parsed_is_not_clear():
    other = Story(1)
    other.decryption = Decryption("decrypted")
    found = judged(healthy(0), other)
    assert (found.verdict, kinds(found)) == ("look", [("not-understood", 1)])


def test_nothing_at_all_is_blind():
    assert judged(Story()).verdict == "blind"


def handshake(number=0):
    story = Story(number)
    story.decryption = Decryption("none")
    story.fact(client_hello(), TO_SERVER)
    return story


@pytest.mark.parametrize(("direction", "who"), [(TO_SERVER, "client"), (TO_CLIENT, "server")])
def test_a_first_handshake_that_an_alert_ends_has_failed(direction, who):
    story = handshake()
    at = story.fact(alert("handshake_failure"), direction).position.frame
    found = judged(story.close(f"{who}-fin"))
    assert (found.verdict, kinds(found)) == ("look", [("handshake-failed", 1, "handshake_failure", who)])
    assert concern_text(found.concerns[0]) == (
        f"1 TLS handshake failed: the {who} sent the fatal alert handshake_failure (frame {at})"
    )


def test_a_first_handshake_that_ends_without_a_word_was_not_completed():
    found = judged(handshake().close("server-rst"))
    assert (found.verdict, kinds(found)) == ("look", [("handshake-unfinished", 1, "server-rst")])


def test_a_handshake_that_the_capture_cuts_off_has_not_failed():
    assert kinds(judged(handshake(), healthy(1))) == []


def test_a_handshake_without_data_after_it_is_no_failure():
    story = handshake()
    for direction in (TO_SERVER, TO_CLIENT):
        story.records(direction, HANDSHAKE, 40)
    story.decryption = Decryption("none")
    assert kinds(judged(story.close("client-fin"), healthy(1))) == []


def test_a_warning_alert_does_not_end_a_handshake():
    story = handshake()
    story.fact(facts.Alert(facts.WARNING, 112), TO_CLIENT)
    assert kinds(judged(story, healthy(1))) == []


def test_a_hello_request_without_an_answer_is_told():
    found = judged(healthy().hello_request(had=10, mid_body=False))
    assert (found.verdict, kinds(found)) == ("look", [("unanswered-hello-request", 1)])
    assert "HelloRequest" in concern_text(found.concerns[0])


@pytest.mark.parametrize(("rule", "told"), [("command-abandoned", 1), ("renegotiation-deadlock", 0)])
def test_a_hello_request_without_an_answer_is_told_beside_findings_about_something_else(rule, told):
    story = Story().request().hello_request(had=10).close("server-rst")
    found = finding("critical", story)
    found.rule = rule
    assert kinds(judged(story, findings=[found])) == [("unanswered-hello-request", 1)] * told


def test_a_refused_connection_is_told():
    story = Story(1)
    story.decryption, story.closed_by = Decryption("none"), "server-rst"
    assert kinds(judged(healthy(0), story)) == [("refused", 1)]


def test_a_damaged_file_is_never_clear():
    damage = LocatedAnomaly("capture-damaged", None, 13, None, "")
    found = judged(healthy(), anomalies=[damage])
    assert (found.verdict, kinds(found)) == ("look", [("damaged-file", 1)])


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [("not TCP", "clear"), ("not IP", "clear"), ("ICMP error", "clear"), ("ESP, encrypted", "look")],
)
def test_packets_that_may_hold_tcp_and_were_not_read_are_told(reason, verdict):
    assert judged(healthy(), ignored={reason: 7}).verdict == verdict


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_every_concern_has_words_for_one_and_for_many(count):
    from easpcap.report.concern_text import _WORDS
    from easpcap.results import Concern

    for kind in _WORDS:
        words = concern_text(Concern(kind, count, ("no-key", "client"), 3, 12))
        assert "{" not in words
        assert words.endswith("(frame 12)" if count == 1 else "(first frame 12)")
