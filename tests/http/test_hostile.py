"""Bytes that are no HTTP, or HTTP gone wrong: nothing is raised, little is kept, little work is done."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.limits import MAX_CONNECTION_ANOMALIES, MAX_HTTP_GUESSES, MAX_HTTP_HEAD, MAX_HTTP_START_LINE, MAX_PIPELINED
from tests.http.talk import C, S, Talk, chunked, get, post, reply
from tests.http.test_conversation import STORIES

OUTCOMES = {"completed", "abandoned-by-client", "abandoned-by-server", "open", "interrupted"}


def check(talk):
    """What holds of every conversation, however odd."""
    exchanges = talk.finish()
    assert [e.index for e in sorted(exchanges, key=lambda e: e.index)] == list(range(len(exchanges)))
    for exchange in exchanges:
        assert exchange.outcome in OUTCOMES
        for message in (exchange.request, exchange.response):
            if message is not None:
                assert 0 <= message.head_offset <= message.body_offset
                assert message.body_bytes >= 0
                assert message.missing >= 0
                assert message.end_offset is None or message.end_offset >= message.body_offset
        if exchange.outcome == "completed":
            assert exchange.response.complete
    assert talk.finish() == exchanges, "finishing twice tells nothing twice"
    assert len(talk.http.anomalies) <= MAX_CONNECTION_ANOMALIES
    return exchanges


PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([get(), post(), reply(), reply(status=b"100 Go on"), chunked(b"abc"), b"HTTP/1.1 200 OK\r\n\r\n"]),
    st.sampled_from([b"\r\n", b"\n", b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n", b"0\r\n\r\n", b"GET /"]),
)
STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from([C, S]), PIECES),
    st.tuples(st.just("lose"), st.sampled_from([C, S]), st.integers(0, 40), st.integers(0, 40)),
    st.tuples(st.just("sign"), st.sampled_from([C, S]), st.sampled_from(["fin", "rst", "close-notify", "alert"])),
    st.tuples(st.just("ask"), st.integers(-5, 300)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25), st.sampled_from(["fin", "rst", "capture-end", "reset-by-peer"]))
def test_any_sequence_of_events_is_read_without_an_error(steps, cause):
    talk = Talk()
    for what, *arguments in steps:
        if what == "lose":
            direction, least, more = arguments
            talk.lose(direction, least, least + more)
        elif what == "ask":
            talk.http.request_at(arguments[0])
        else:
            getattr(talk, what)(*arguments)
        for direction in (C, S):
            assert 0 <= talk.http.keep_from(direction) <= talk.offsets[direction]
    talk.end(C, cause).end(S, cause)
    check(talk)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(STORIES)), st.integers(0, 400), st.integers(0, 255), st.integers(1, 40))
def test_a_changed_byte_is_read_without_an_error(name, at, value, piece):
    talk = Talk(piece)
    for direction, data in STORIES[name][0]:
        if isinstance(data, bytes):
            damaged = data[:at] + bytes([value]) + data[at + 1 :] if 0 <= at < len(data) else data
            at -= len(data)
            talk.say(direction, damaged)
    check(talk)


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02" * 10, b"SSH-2.0-OpenSSH\r\n", b"220 mail ESMTP\r\n", b"\x16\x03\x01\x02\x00"]
)
def test_bytes_that_are_not_http_are_recognised_and_then_cost_nothing(data):
    talk = Talk()
    for _ in range(MAX_HTTP_GUESSES):
        talk.say(C, data).say(S, data)
    talk.say(C, get()).say(S, reply())
    assert talk.http.protocol is None
    assert talk.finish() == []
    assert talk.http.anomalies == []


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_http2_is_named_and_not_read(piece):
    talk = Talk(piece).say(C, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04").say(S, b"\x00\x00\x00\x04")
    assert talk.http.protocol == "h2"
    assert talk.finish() == []


@pytest.mark.parametrize(
    "data",
    [
        b"A" * 300_000,
        b"GET /" + b"a" * 300_000,
        b"GET / HTTP/1.1\r\n" + b"a" * 300_000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 300_000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 50_000,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50_000,
        b"\r\n" * 150_000,
    ],
    ids=["letters", "target", "field", "size", "trailer", "chunks", "blank lines"],
)
def test_work_and_memory_stay_bounded_even_byte_by_byte(data):
    talk, begun = Talk(3), time.process_time()
    talk.say(C, data)
    assert talk.offsets[C] - talk.http.keep_from(C) <= MAX_HTTP_HEAD, MAX_PIPELINED
    check(talk)
    assert time.process_time() - begun < 5


def test_unanswered_requests_are_bounded():
    talk = Talk().say(C, get() * 5000)
    assert len(talk.exchanges) >= 5000 - MAX_PIPELINED, "the oldest ones are given up"
    assert len(check(talk)) == 5000


def test_the_oldest_request_is_kept_while_its_response_is_read():
    talk = Talk().say(C, get(b"/first")).say(S, reply(b"x" * 10)[:-5]).say(C, get() * 2000).say(S, b"xxxxx")
    first = next(e for e in talk.exchanges if e.request.target == "/first")
    assert first.outcome == "completed"
    check(talk)


def test_two_answers_to_a_head_that_never_ends():
    talk = Talk().say(C, b"POST /x HTTP/1.1\r\nHost: h\r\n").say(S, reply() + reply(b"again"))
    first, second = sorted(check(talk), key=lambda exchange: exchange.index)
    assert (first.request.target, first.response.body_bytes) == ("/x", 4)
    assert (second.request, second.response.body_bytes) == (None, 5)


def test_no_anomaly_repeats_bytes_of_a_body():
    coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    tails = [reply() + b"SECRET text", coded + b"SECRET\r\n", coded + b"2\r\nhiSECRET\r\n", reply() + b"SE"]
    for tail in tails:
        talk = Talk().say(C, get()).say(S, tail).say(S, b"CRET")
        talk.finish()
        assert [a.code for a in talk.http.anomalies] in (["http-not-a-message"], ["http-bad-chunk"])
        assert "SE" not in talk.http.anomalies[0].detail


def test_a_trailer_larger_than_any_head_breaks_the_framing():
    talk = Talk(piece=1000).say(C, get()).say(S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    talk.say(S, b"a: b\r\n" * (MAX_HTTP_HEAD // 6 + 1))
    assert [(a.code, a.detail) for a in talk.http.anomalies] == [
        ("http-bad-chunk", "the trailer is larger than any head")
    ]


def test_a_request_line_that_does_not_end_is_a_head_only_with_a_known_method():
    target = b" /" + b"a" * MAX_HTTP_START_LINE
    known, unknown = (Talk().say(C, method + target) for method in (b"GET", b"XGET"))
    assert known.http.keep_from(C) == 0, "the head is collected"
    assert unknown.http.keep_from(C) == unknown.offsets[C] - 1, "nothing is collected"
