"""What the capture lacks: what is certain goes on, what is not is interrupted, and the next head is found again."""

from __future__ import annotations

import pytest

from easpcap.http.conversation import HttpConversation
from tests.http.talk import C, S, Talk, chunked, get, locate, post, reply

BODY = b"x" * 100


def test_a_gap_inside_a_body_is_skipped():
    talk = Talk().say(C, post(BODY)[:-90]).lose(C, 40).say(C, BODY[:50] + get(b"/next")).say(S, reply() * 2)
    first, second = talk.exchanges
    assert (first.request.body_bytes, first.request.missing, first.request.complete) == (60, 40, False)
    assert first.request.end_offset == second.request.head_offset
    assert (first.outcome, second.outcome) == ("completed", "completed")
    assert second.request.target == "/next"


def test_a_gap_to_the_very_end_of_a_body_ends_it():
    talk = Talk().say(C, post(BODY)[:-90]).lose(C, 90).say(C, get()).say(S, reply() * 2)
    assert [e.request.missing for e in talk.exchanges] == [90, 0]
    assert talk.exchanges[0].request.last.frame == 1000 + talk.exchanges[0].request.body_offset + 9, (
        "the last byte seen"
    )


def test_a_response_with_a_gap_is_incomplete():
    talk = Talk().say(C, get()).say(S, reply(BODY)[:-90]).lose(S, 40).say(S, BODY[:50])
    assert [(e.outcome, e.response.missing) for e in talk.exchanges] == [("interrupted", 40)]
    talk.say(C, get()).say(S, reply())
    assert [e.outcome for e in talk.finish()] == ["interrupted", "completed"]


@pytest.mark.parametrize("seen", range(len(post(BODY)) + 1))
def test_a_gap_at_every_byte_of_a_request_still_lets_its_response_be_read(seen):
    whole = post(BODY) + get(b"/lost")
    talk = Talk().say(C, whole[:seen]).lose(C, len(whole) - seen).say(S, reply())
    talk.say(C, post(b"z", b"/later")).say(S, reply(b"", b"204 No"))
    exchanges = talk.finish()
    assert [e.response.status for e in exchanges] == [200, 204]
    assert exchanges[-1].request.target == "/later"
    assert exchanges[-1].outcome == "completed"
    if seen > len(b"POST /x"):
        assert exchanges[0].request.target == "/x"


@pytest.mark.parametrize("seen", range(len(reply(BODY))))
def test_a_gap_at_every_byte_of_a_response_interrupts_it_and_no_other(seen):
    talk = Talk().say(C, get(b"/1")).say(S, reply(BODY)[:seen]).lose(S, 1000)
    talk.say(C, get(b"/2")).say(S, reply(b"second"))
    first, second = talk.finish()
    assert (first.request.target, first.outcome) == ("/1", "interrupted")
    assert (second.request.target, second.outcome, second.response.body_bytes) == ("/2", "completed", 6)
    assert first.gap_before_response is (seen < len("HTTP/"))


def test_a_lost_response_at_the_end_is_not_called_abandoned():
    talk = Talk().say(C, get()).lose(S, 500).sign(S, "fin").end(S, "fin").sign(C, "fin").end(C, "fin")
    (exchange,) = talk.finish()
    assert (exchange.outcome, exchange.gap_before_response, exchange.ended_by) == ("interrupted", True, "")


def test_a_lost_response_does_not_cast_doubt_on_a_later_request():
    talk = Talk().say(C, get(b"/1")).lose(S, 500).say(C, get(b"/2")).sign(S, "fin").end(S, "fin")
    assert [e.outcome for e in talk.finish()] == ["interrupted", "abandoned-by-server"]


def test_a_gap_in_chunked_data_is_skipped_where_it_fits_the_chunk():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    talk = Talk().say(C, get()).say(S, head + b"64\r\n" + BODY[:10]).lose(S, 80).say(S, BODY[:10] + b"\r\n0\r\n\r\n")
    (exchange,) = talk.exchanges
    assert (exchange.response.body_bytes, exchange.response.missing) == (20, 80)
    assert exchange.response.end_offset == talk.offsets[S]


def test_a_gap_that_ends_exactly_at_the_end_of_a_chunk_leaves_the_framing_intact():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    talk = Talk().say(C, get()).say(S, head + b"64\r\n" + BODY[:10]).lose(S, 90).say(S, b"\r\n5\r\nhello\r\n0\r\n\r\n")
    (exchange,) = talk.exchanges
    assert (exchange.response.body_bytes, exchange.response.missing) == (15, 90)
    assert exchange.response.end_offset == talk.offsets[S]


def test_a_gap_that_ends_exactly_at_the_end_of_a_body_leaves_the_framing_intact():
    talk = Talk().say(C, get() * 2).say(S, reply(BODY)[:-90]).lose(S, 90).say(S, b"\r\n").say(S, b"no message")
    assert [a.code for a in talk.http.anomalies] == ["http-not-a-message"], "only a message could begin there"
    first, second = talk.say(S, reply()).finish()
    assert (first.outcome, first.response.missing) == ("interrupted", 90)
    assert (second.outcome, second.gap_before_response) == ("completed", False)


def test_a_gap_over_a_chunks_end_interrupts():
    talk = Talk().say(C, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + BODY[:10]).lose(C, 95)
    talk.say(C, b"more\r\n").say(S, reply()).say(C, get()).say(S, reply())
    first, second = talk.finish()
    assert (first.request.body_bytes, first.request.missing, first.request.complete) == (10, 95, False)
    assert (first.outcome, second.outcome) == ("completed", "completed")


def test_a_body_until_close_goes_on_after_a_gap():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.0 200 OK\r\n\r\nabc").lose(S, 10).say(S, b"def").end(S, "fin")
    (exchange,) = talk.finish()
    assert (exchange.response.body_bytes, exchange.response.missing, exchange.outcome) == (6, 10, "interrupted")


def test_above_tls_a_head_takes_precedence_over_an_uncertain_length():
    """The gap lacked 40 to 60 bytes; 45 were really lost, so the next head comes 5 bytes early."""
    talk = Talk().say(C, post(BODY)[:-90]).lose(C, 40, 60).say(C, BODY[:45]).say(S, reply())
    talk.say(C, get(b"/next")).say(S, reply())
    first, second = talk.finish()
    assert (first.request.body_bytes, first.request.missing) == (55, 45)
    assert first.request.end_offset == second.request.head_offset
    assert second.request.target == "/next"


def test_above_tls_a_next_request_shows_that_the_response_was_over():
    talk = Talk().say(C, get()).say(S, reply(BODY)[:-50]).lose(S, 30, 50).say(C, get()).say(S, reply())
    assert [(e.outcome, e.response.missing) for e in talk.finish()] == [("interrupted", 50), ("completed", 0)]


def test_above_tls_chunks_cannot_be_followed_over_a_gap():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + BODY[:10])
    talk.lose(S, 20, 30).say(S, b"x" * 65 + b"\r\n0\r\n\r\n").say(C, get()).say(S, reply())
    assert [e.outcome for e in talk.finish()] == ["interrupted", "completed"]


def test_a_pipelined_response_after_a_gap_belongs_to_the_next_request():
    talk = Talk().say(C, get(b"/1") + get(b"/2")).lose(S, 300).say(S, reply(b"two"))
    first, second = talk.finish()
    assert (first.outcome, first.response) == ("interrupted", None)
    assert (second.outcome, second.response.body_bytes) == ("completed", 3)


def test_a_capture_that_begins_in_mid_body_waits_for_a_head():
    talk = Talk().say(C, b"rest of an upload " * 50).say(C, b"POST: no head\r\n").say(S, reply()).say(C, get())
    assert talk.http.protocol == "http/1"
    talk.say(S, reply())
    first, second = talk.finish()
    assert (first.request, first.response.status) == (None, 200)
    assert (second.request.target, second.outcome) == ("/x", "completed")
    assert talk.http.anomalies == []


def test_after_a_gap_reading_does_not_resume_in_the_middle_of_a_piece():
    talk = Talk().say(C, get()).say(S, reply()[:20]).lose(S, 9).say(S, b"text about HTTP/1.1 200 OK\r\n\r\n" + reply())
    assert [e.outcome for e in talk.finish()] == ["interrupted"]


def test_garbage_between_messages_is_an_anomaly_and_skipped():
    talk = Talk().say(C, get()).say(S, reply() + b"\x00\x01junk").say(C, get()).say(S, reply())
    assert [e.outcome for e in talk.finish()] == ["completed", "completed"]
    assert [a.code for a in talk.http.anomalies] == ["http-not-a-message"]
    assert talk.http.anomalies[0].offset == len(reply())


def test_a_direction_never_captured_leaves_the_other_readable():
    talk = Talk()
    for _ in range(3000):
        talk.say(C, post(chunked(b"a")))
    exchanges = talk.finish()
    assert len(exchanges) == 3000
    assert len(talk.http.anomalies) <= 100
    assert exchanges[0].outcome == "interrupted"
    assert exchanges[-1].outcome == "open"


def test_above_tls_a_gap_at_the_end_of_a_body_may_hide_the_next_message():
    talk = Talk().say(C, get(b"/1") + get(b"/2")).say(S, reply(BODY)[:-50]).lose(S, 50, 70)
    talk.say(S, b"rest of a response that began in the gap")
    assert talk.http.anomalies == []
    assert [(e.outcome, e.gap_before_response) for e in talk.finish()] == [
        ("interrupted", False),
        ("interrupted", True),
    ]


def test_above_tls_a_gap_of_least_length_0_still_leaves_a_body_until_close_incomplete():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.0 200 OK\r\n\r\nabc").lose(S, 0, 30).say(S, b"def").end(S, "fin")
    (exchange,) = talk.finish()
    assert (exchange.response.complete, exchange.outcome) == (False, "interrupted")


def test_a_gap_that_tls_tells_late_may_hide_several_responses():
    """The next record that opens shows the gap, and the client has sent another request meanwhile."""
    talk = Talk().say(C, get(b"/1")).say(C, get(b"/2")).lose(S, 0, 3000).say(S, b"the end of the second response")
    talk.say(C, get(b"/3")).say(S, reply(b"third"))
    outcomes = [(e.request.target, e.outcome, e.response and e.response.body_bytes) for e in talk.finish()]
    assert outcomes == [("/1", "interrupted", None), ("/2", "interrupted", None), ("/3", "completed", 5)]


def test_a_request_sent_before_the_client_got_anything_does_not_prove_a_lost_response():
    def acknowledges_nothing(direction, offset, last=False):
        return locate(direction, offset, last)._replace(acked=0)

    talk = Talk()
    talk.http = HttpConversation(7, acknowledges_nothing)
    talk.say(C, get(b"/1")).lose(S, 0, 30).say(C, get(b"/2")).say(S, reply(b"second"))
    assert [(e.request.target, e.outcome) for e in talk.finish()] == [("/1", "interrupted"), ("/2", "completed")]
