"""How exchanges end: which side gave up first, and how a late response is judged."""

from __future__ import annotations

import pytest

from tests.http.talk import C, S, Talk, get, post, reply

UPLOAD = post(b"x" * 100)[:-60]


def outcome(talk):
    (exchange,) = talk.finish()
    return exchange.outcome, exchange.ended_by, exchange.too_late


@pytest.mark.parametrize("cause", ["fin", "rst", "close-notify", "alert"])
@pytest.mark.parametrize("request_seen", [post(), UPLOAD, b"POST /x HTTP/1.1\r\nHos", b"POST /"])
def test_a_client_that_closes_without_a_response_abandons(cause, request_seen):
    talk = Talk().say(C, request_seen).sign(C, cause, 77)
    assert outcome(talk) == ("abandoned-by-client", f"client-{cause}", False)
    assert talk.exchanges[0].ended.frame == 77


@pytest.mark.parametrize("cause", ["fin", "rst", "close-notify", "alert"])
@pytest.mark.parametrize("response_seen", [b"", b"HTTP/1.1 2", reply()[:-1], reply()[:20]])
def test_a_server_that_closes_with_no_or_half_a_response_abandons(cause, response_seen):
    talk = Talk().say(C, UPLOAD).say(S, response_seen).sign(S, cause, 88).sign(C, "rst")
    assert outcome(talk) == ("abandoned-by-server", f"server-{cause}", False)
    assert talk.exchanges[0].ended.frame == 88


@pytest.mark.parametrize("response_seen", [b"", b"HTTP/1.1 2", reply()[:-1]])
def test_a_capture_that_ends_first_leaves_it_open(response_seen):
    talk = Talk().say(C, post()).say(S, response_seen).end(C, "capture-end").end(S, "capture-end")
    assert outcome(talk) == ("open", "", False)
    assert talk.exchanges[0].ended is None


def test_a_late_response_that_the_client_resets_was_too_late():
    talk = Talk().say(C, get()).sign(C, "fin", 21).end(C, "fin").say(S, reply()).sign(C, "rst", 24)
    assert outcome(talk) == ("abandoned-by-client", "client-fin", True)
    assert talk.exchanges[0].response.status == 200
    assert talk.exchanges[0].ended.frame == 21


def test_a_response_in_flight_when_the_client_resets_was_too_late():
    talk = Talk().say(C, get()).sign(C, "rst").say(S, reply()).end(S, "reset-by-peer")
    assert outcome(talk) == ("abandoned-by-client", "client-rst", True)


def test_half_a_late_response_that_the_client_resets_was_too_late():
    talk = Talk().say(C, get()).sign(C, "close-notify").say(S, reply()[:-2]).sign(C, "rst")
    assert outcome(talk) == ("abandoned-by-client", "client-close-notify", True)


@pytest.mark.parametrize("answer", [reply(), b"HTTP/1.1 200 OK\r\n\r\nuntil close"])
def test_a_half_closed_client_that_takes_the_response_is_served(answer):
    talk = Talk().say(C, get()).sign(C, "fin").end(C, "fin").say(S, answer).sign(S, "fin").end(S, "fin")
    assert outcome(talk) == ("completed", "", False)


def test_a_half_closed_client_that_gets_half_a_response_was_abandoned():
    talk = Talk().say(C, get()).sign(C, "fin").say(S, reply()[:-1]).sign(S, "rst")
    assert outcome(talk) == ("abandoned-by-server", "server-rst", False)


def test_a_client_that_closes_in_mid_response_abandons():
    talk = Talk().say(C, get()).say(S, reply()[:-1]).sign(C, "rst").end(S, "reset-by-peer")
    assert outcome(talk) == ("abandoned-by-client", "client-rst", False)


def test_a_reset_after_the_whole_response_changes_nothing():
    talk = Talk().say(C, UPLOAD).say(S, reply(status=b"413 Too Large")).sign(S, "fin").end(S, "fin").sign(C, "rst")
    assert outcome(talk) == ("completed", "", False)


def test_the_side_that_closes_first_is_named():
    talk = Talk().say(C, get()).sign(C, "fin").sign(S, "fin").sign(C, "rst")
    assert outcome(talk) == ("abandoned-by-client", "client-fin", False)
    talk = Talk().say(C, get()).sign(S, "close-notify").sign(S, "fin").sign(C, "fin")
    assert outcome(talk) == ("abandoned-by-server", "server-close-notify", False)


@pytest.mark.parametrize("cause", ["fin", "rst", "close-notify"])
def test_the_end_of_a_direction_counts_like_a_close_seen_earlier(cause):
    assert outcome(Talk().say(C, get()).end(C, cause))[:2] == ("abandoned-by-client", f"client-{cause}")
    assert outcome(Talk().say(C, get()).end(S, cause))[:2] == ("abandoned-by-server", f"server-{cause}")
    assert outcome(Talk().say(C, get()).end(C, "reset-by-peer"))[:2] == ("abandoned-by-server", "server-rst")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ([("sign", S, "fin"), ("end", S, "fin")], "completed"),
        ([("sign", S, "close-notify"), ("end", S, "close-notify")], "completed"),
        ([("end", S, "capture-end")], "open"),
        ([("sign", S, "rst"), ("end", S, "rst")], "abandoned-by-server"),
        ([("sign", C, "rst"), ("end", S, "reset-by-peer")], "abandoned-by-client"),
    ],
)
def test_a_body_until_close_is_whole_only_where_the_server_closed_in_order(end, expected):
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 200 OK\r\n\r\nbody")
    for what, direction, cause in end:
        getattr(talk, what)(direction, cause)
    assert outcome(talk)[0] == expected
    assert talk.exchanges[0].response.body_bytes == 4
    assert talk.exchanges[0].response.complete is (expected == "completed")


def test_every_unanswered_request_of_a_pipeline_is_abandoned():
    talk = Talk().say(C, get() * 3).say(S, reply()).sign(S, "fin").end(S, "fin")
    assert [e.outcome for e in talk.finish()] == ["completed", "abandoned-by-server", "abandoned-by-server"]


def test_a_response_to_a_request_with_an_incomplete_head_belongs_to_it():
    talk = Talk().say(C, get()).say(S, reply()).say(C, b"POST /slow HTTP/1.1\r\nHo").say(S, reply(status=b"408 Late"))
    _, second = talk.sign(S, "fin").finish()
    assert (second.request.target, second.request.complete) == ("/slow", False)
    assert (second.response.status, second.outcome) == (408, "completed")


def test_an_unfinished_request_keeps_what_was_seen_of_it():
    talk = Talk().say(C, UPLOAD).sign(C, "rst")
    (exchange,) = talk.finish()
    request = exchange.request
    assert (request.content_length, request.body_bytes, request.complete) == (100, 40, False)
    assert request.last.frame == 1000 + len(UPLOAD) - 1
