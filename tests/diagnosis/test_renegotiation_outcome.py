"""How an attempt at a renegotiation ended: one classification, which the rules read."""

from __future__ import annotations

import pytest

from easpcap.diagnosis import renegotiation_outcome as outcome
from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.diagnosis.renegotiation_outcome import Trouble
from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.diagnosis.builders import Story, analysis


def follow(story):
    """The outcome of the one attempt of a story."""
    index = AnalysisIndex(analysis(story))
    (connection,) = index.analysis.connections
    return outcome.outcome_of(index, connection, connection.tls.renegotiations[0])


def asked(size=300_000, had=0):
    """The server asks when it has ``had`` bytes of the body; the client sends some more."""
    return Story().request(size).body(5_000).hello_request(had)


def test_a_completed_handshake_is_a_success_whatever_follows():
    story = asked().client_hello().renegotiated().alert(TO_CLIENT, "internal_error").close("server-rst")
    assert follow(story).trouble is Trouble.NONE
    assert follow(story).alert is None


def test_who_closes_after_the_attempt_ended_it_and_a_later_close_changes_nothing():
    story = asked().at(3_000).close("server-fin").at(4_000).close("client-rst")
    end = follow(story).end
    assert (end.by, end.kind) == ("server", "fin")
    assert end.words == "the server closes the connection"


def test_a_connection_that_nobody_closes_ends_with_the_capture():
    end = follow(asked().at(50)).end
    assert (end.by, end.kind) == ("capture", "capture-end")


@pytest.mark.parametrize(("silence_ms", "deadlock"), [(1_999, False), (2_000, True)])
def test_an_open_attempt_is_a_deadlock_after_two_seconds_of_silence(silence_ms, deadlock):
    how = follow(asked().at(silence_ms))
    assert how.silence_ns == silence_ms * 1_000_000
    assert (Trouble.DEADLOCK in how.trouble) is deadlock


@pytest.mark.parametrize(("silence_ms", "deadlock"), [(199, False), (200, True)])
def test_with_a_zero_window_a_fifth_of_a_second_is_enough(silence_ms, deadlock):
    how = follow(asked().zero_window().at(silence_ms))
    assert (Trouble.DEADLOCK in how.trouble) is deadlock


def test_the_silence_begins_with_the_last_byte_of_the_body():
    story = asked().at(1_500).body(1_000).at(3_000)
    assert follow(story).silence_ns == 1_500_000_000
    assert Trouble.DEADLOCK not in follow(story).trouble


def test_a_response_that_may_be_lost_rules_out_a_deadlock():
    lost = asked().at(9_000).gap(TO_CLIENT).close("server-rst")
    assert Trouble.DEADLOCK not in follow(lost).trouble
    before = Story().gap(TO_CLIENT).request(300_000).body(5_000).hello_request(0).at(9_000).close("server-rst")
    assert Trouble.DEADLOCK in follow(before).trouble  # those bytes came before the question


def test_a_gap_where_the_response_would_begin_rules_out_a_deadlock():
    story = asked().at(9_000).close("server-rst")
    story.exchange.gap_before_response = True
    assert Trouble.DEADLOCK not in follow(story).trouble


def test_a_refusal_is_neither_a_deadlock_nor_a_failure():
    story = asked().alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused")
    how = follow(story.alert(TO_CLIENT, "handshake_failure").close("server-fin"))
    assert how.trouble is Trouble.REFUSED
    assert how.refusal == story.asked.alert


def test_a_refusal_that_the_server_never_reads_is_a_deadlock_too():
    story = asked().alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused").zero_window()
    how = follow(story.at(10_000).close("server-rst"))
    assert how.trouble is Trouble.REFUSED | Trouble.DEADLOCK


def test_a_client_that_refuses_and_then_gives_up_has_refused_and_not_failed():
    story = Story().request(9_000).body(9_000).hello_request(9_000)
    story.alert(TO_SERVER, "no_renegotiation", fatal=False, outcome="refused")
    assert follow(story.alert(TO_SERVER, "internal_error").close("client-fin")).trouble is Trouble.REFUSED


def test_a_fatal_alert_after_the_client_hello_is_a_failure_and_no_refusal():
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello()
    assert follow(story.alert(TO_CLIENT, "protocol_version", outcome="failed")).trouble is Trouble.FAILED


def test_an_alert_of_the_server_before_any_answer_is_a_refusal_by_the_client_and_no_failure():
    story = Story().request(9_000).body(9_000).hello_request(9_000)
    assert follow(story.alert(TO_CLIENT, "unexpected_message")).trouble is Trouble.REFUSED


def test_an_alert_of_the_client_is_a_failure_even_without_a_client_hello():
    story = Story().request(9_000).body(9_000).hello_request(9_000)
    assert follow(story.alert(TO_SERVER, "handshake_failure")).trouble is Trouble.FAILED


def test_a_renegotiation_begun_by_the_client_can_fail_but_not_be_refused_by_it():
    story = Story().request(9_000).body(9_000).hello_request(9_000, by="client")
    assert follow(story.alert(TO_CLIENT, "handshake_failure").close("server-fin")).trouble is Trouble.FAILED
    quiet = Story().request(9_000).body(9_000).hello_request(9_000, by="client").at(9_000).close("server-fin")
    assert follow(quiet).trouble is Trouble.NONE


def test_a_warning_is_no_failure():
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello()
    assert follow(story.alert(TO_CLIENT, "user_canceled", fatal=False)).trouble is Trouble.NONE


def test_an_alert_after_the_connection_was_closed_did_not_end_the_handshake():
    story = Story().request(9_000).body(9_000).hello_request(9_000).client_hello().close("server-fin")
    how = follow(story.alert(TO_SERVER, "decode_error"))
    assert (how.alert, how.trouble) == (None, Trouble.NONE)


def test_missing_bytes_of_the_client_may_be_its_client_hello():
    story = Story().request(9_000).body(9_000).hello_request(9_000).gap(TO_SERVER)
    assert follow(story.alert(TO_CLIENT, "handshake_failure").close("server-fin")).trouble is Trouble.NONE


def test_the_first_matching_attempt_represents_its_exchange():
    story = Story().request(300_000).hello_request(0).client_hello().renegotiated().hello_request(0).at(9_000)
    index = AnalysisIndex(analysis(story.close("server-rst")))
    found = list(outcome.attempts(index, lambda _renegotiation, how: Trouble.DEADLOCK in how.trouble))
    assert [attempt.renegotiation for attempt in found] == [story.tls.renegotiations[1]]
    assert len(list(outcome.attempts(index, lambda *_: True))) == 1
