"""A sink is given the body that was sent: however it was framed, coded in chunks, and cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.http.body import BodyEnd, choose_all
from tests.http.talk import C, Record, Recorder, S, Talk, chunked, get, post, reply

WHOLE, CUT, DAMAGED = BodyEnd.WHOLE, BodyEnd.CUT, BodyEnd.DAMAGED
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chosen(*said, piece=None, cause="capture-end"):
    """What the sinks of a conversation saw, after both directions have ended."""
    record = Record()
    talk = Talk(piece, choose_sink=record)
    for direction, data in said:
        talk.say(direction, data)
    talk.end(S, cause).end(C, cause).finish()
    return record.seen()


# ---------------------------------------------------------------------------------------------------------------------
# The law

BODIES = st.binary(max_size=80)
EXTENSIONS = st.sampled_from([b"", b";a", b' ; name="v"', b"  "])
LINE_ENDS = st.sampled_from([b"\r\n", b"\n"])
TRAILERS = st.sampled_from([b"", b"Etag: x\r\n", b"a: b\r\nc: d\r\n"])


@st.composite
def in_chunks(draw, body):
    """The body in chunks of any sizes, with extensions, zeros before the size, bare line feeds and a trailer."""
    coded, position = b"", 0
    while position < len(body):
        size = draw(st.integers(1, len(body) - position))
        line = b"0" * draw(st.integers(0, 2)) + b"%x" % size + draw(EXTENSIONS) + draw(LINE_ENDS)
        coded += line + body[position : position + size] + draw(LINE_ENDS)
        position += size
    return coded + b"0" + draw(EXTENSIONS) + b"\r\n" + draw(TRAILERS) + b"\r\n"


@st.composite
def messages(draw, start, last):
    """(body, wire) of a message; only the last one of a direction may end with the connection."""
    body = draw(BODIES)
    framing = draw(st.sampled_from(["length", "chunked", *(["until-close"] if last else [])]))
    if framing == "length":
        return body, start + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunked":
        return body, start + b"Transfer-Encoding: chunked\r\n\r\n" + draw(in_chunks(body))
    return body, start + b"\r\n" + body


@st.composite
def conversations(draw):
    """Bodies by (index, half), and the whole wire of both directions: pipelined, with interim responses."""
    count = draw(st.integers(1, 3))
    bodies, requests, responses = {}, b"", b""
    for index in range(count):
        bodies[index, "request"], wire = draw(messages(b"POST /x HTTP/1.1\r\nHost: h\r\n", last=False))
        requests += wire
        responses += b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 2))
        bodies[index, "response"], wire = draw(messages(b"HTTP/1.1 200 OK\r\n", last=index == count - 1))
        responses += wire
    return bodies, requests, responses


def cut_up(data, draw):
    ends = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [b - a for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(conversations(), st.data())
def test_a_sink_receives_the_body_that_was_sent(sent, data):
    bodies, requests, responses = sent
    record = Record()
    talk = Talk(choose_sink=record)
    talk.say(C, requests, cut_up(requests, data.draw)).say(S, responses, cut_up(responses, data.draw))
    talk.end(C, "fin").end(S, "fin").finish()
    assert record.seen() == {key: (body, WHOLE) for key, body in bodies.items()}


@settings(max_examples=300, deadline=None)
@given(conversations(), st.data())
def test_a_sink_receives_the_beginning_of_its_body_up_to_a_gap_and_no_byte_after_it(sent, data):
    bodies, requests, responses = sent
    begin = data.draw(st.integers(0, len(responses)))
    end = data.draw(st.integers(begin + 1, len(responses) + 1))
    slack = data.draw(st.sampled_from([0, 0, 5]))  # above TLS the length of a gap is not known exactly
    record = Record()
    talk = Talk(choose_sink=record).say(C, requests).say(S, responses[:begin], cut_up(responses[:begin], data.draw))
    talk.lose(S, end - begin, end - begin + slack).say(S, responses[end:], cut_up(responses[end:], data.draw))
    talk.end(C, "fin").end(S, "fin").finish()
    complete = {exchange.index: exchange.response for exchange in talk.exchanges if exchange.response is not None}
    for (index, half), (body, how) in record.seen().items():
        assert how is not None, "every sink is told how its body ends"
        if half == "request":
            assert (body, how) == (bodies[index, half], WHOLE)
        elif how is WHOLE:
            assert len(body) == complete[index].body_bytes
            assert body in bodies.values() or complete[index].framing == "until-close"
        else:
            assert any(whole.startswith(body) for whole in bodies.values())


@settings(max_examples=200, deadline=None)
@given(conversations(), st.data())
def test_a_conversation_that_stops_anywhere_has_delivered_the_beginning_of_each_body(sent, data):
    bodies, requests, responses = sent
    stop = data.draw(st.integers(0, len(responses)))
    record = Record()
    talk = Talk(choose_sink=record).say(C, requests).say(S, responses[:stop], cut_up(responses[:stop], data.draw))
    talk.finish()
    for key, (body, how) in record.seen().items():
        assert bodies[key].startswith(body)
        assert how in (WHOLE, CUT)
        assert how is CUT or body == bodies[key]


# ---------------------------------------------------------------------------------------------------------------------
# How bodies end


@pytest.mark.parametrize("piece", [None, 1])
def test_messages_without_a_body_have_an_empty_and_complete_one(piece):
    seen = chosen((C, get()), (S, b"HTTP/1.1 204 No\r\n\r\n"), (C, post(b"")), (S, reply(b"")), piece=piece)
    assert seen == {(i, half): (b"", WHOLE) for i in (0, 1) for half in ("request", "response")}


@pytest.mark.parametrize("cause", ["fin", "close-notify"])
def test_a_body_until_close_is_complete_where_the_server_closed_in_order(cause):
    seen = chosen((C, get()), (S, b"HTTP/1.0 200 OK\r\n\r\nall of it"), cause=cause)
    assert seen[0, "response"] == (b"all of it", WHOLE)


@pytest.mark.parametrize("cause", ["rst", "reset-by-peer", "capture-end"])
def test_a_body_until_close_is_cut_where_its_direction_ends_otherwise(cause):
    seen = chosen((C, post(b"hello")[:-2]), (S, b"HTTP/1.0 200 OK\r\n\r\nall of it"), cause=cause)
    assert seen == {(0, "request"): (b"hel", CUT), (0, "response"): (b"all of it", CUT)}


def test_a_body_shorter_than_its_length_is_cut_even_after_an_orderly_close():
    assert chosen((C, get()), (S, reply(b"hello")[:-1]), cause="fin")[0, "response"] == (b"hell", CUT)


def test_a_chunked_body_is_complete_with_its_last_chunk_whether_or_not_the_trailer_is():
    seen = chosen((C, get()), (S, CHUNKED + b"5\r\nhello\r\n0\r\n"), (S, b"Etag: "))
    assert seen[0, "response"] == (b"hello", WHOLE)


@pytest.mark.parametrize("rest", [b"xyz\r\n", b"5\r\nhello, world\r\n", b"5" * 9000])
def test_broken_framing_damages_a_body(rest):
    body, end = chosen((C, get()), (S, CHUNKED + b"3\r\nabc\r\n" + rest))[0, "response"]
    assert (body[:3], end) == (b"abc", DAMAGED)
    assert b"world" not in body


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_gap_damages_a_body_at_once(head):
    record = Record()
    talk = Talk(choose_sink=record).say(C, get()).say(S, head + b"before").lose(S, 4)
    assert record.seen()[0, "response"] == (b"before", DAMAGED)
    talk.say(S, b"after, more").end(S, "fin").finish()
    assert record.seen()[0, "response"] == (b"before", DAMAGED)


def test_a_gap_in_one_direction_leaves_the_body_of_the_other_whole():
    record = Record()
    Talk(choose_sink=record).say(C, post(b"hello")[:-2]).say(S, reply(b"fine")[:-2]).lose(C, 2).say(S, b"ne").finish()
    assert record.seen() == {(0, "request"): (b"hel", DAMAGED), (0, "response"): (b"fine", WHOLE)}


# ---------------------------------------------------------------------------------------------------------------------
# Who reads


def test_incomplete_heads_and_interim_responses_have_no_sink():
    assert chosen((C, b"POST /x HTTP/1.1\r\nHost: h\r\n"), (S, b"HTTP/1.1 100 Continue\r\n\r\n")) == {}


def test_a_sink_is_chosen_by_the_head_and_knows_its_exchange():
    heads = []

    def choose(exchange, message):
        heads.append((exchange.key, message.header("content-type"), message is exchange.response))

    extra = b"Content-Type: application/vnd.ms-sync.wbxml\r\n"
    talk = Talk(choose_sink=choose).say(C, post(extra=extra)).say(S, reply(extra=extra))
    wbxml = "application/vnd.ms-sync.wbxml"
    assert heads == [((7, 0), wbxml, False), ((7, 0), wbxml, True)]
    assert talk.exchanges[0].response.body_bytes == 4


@pytest.mark.parametrize("framed", [reply(b"0123456789"), CHUNKED + chunked(b"01234", b"5", b"6789")])
def test_a_sink_that_wants_no_more_receives_no_more_and_the_body_is_still_read(framed):
    record = Record(enough=4)
    talk = Talk(1, choose_sink=record).say(C, get()).say(S, framed).say(C, get()).say(S, reply(b""))
    assert record.seen()[0, "response"] == (b"0123", None)
    assert [exchange.response.body_bytes for exchange in talk.exchanges] == [10, 0]


def test_several_sinks_read_the_same_body_and_each_as_much_as_it_wants():
    all_of_it, first_bytes = Record(), Record(enough=2)
    choose = choose_all(all_of_it, lambda *_: None, first_bytes)
    Talk(2, choose_sink=choose).say(C, post(b"hello")).finish()
    assert all_of_it.seen() == {(0, "request"): (b"hello", WHOLE)}
    assert first_bytes.seen() == {(0, "request"): (b"he", None)}


def test_a_body_that_only_one_of_several_choosers_wants_goes_to_its_sink():
    sink = Recorder()
    assert choose_all(lambda *_: None, lambda *_: sink)(None, None) is sink
    assert choose_all(lambda *_: None)(None, None) is None
