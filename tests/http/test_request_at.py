"""Where in a request an offset of the client's stream is: what "the server asked in mid-body" is based on."""

from __future__ import annotations

import pytest

from tests.http.talk import C, S, Talk, get, reply

HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"


def place(talk, offset):
    found = talk.http.request_at(offset)
    return found and (found.exchange.index, found.in_head, found.body_offset, found.complete)


@pytest.mark.parametrize("piece", [None, 1])
def test_every_offset_of_an_upload_has_a_place(piece):
    talk = Talk(piece).say(C, HEAD + b"x" * 600)
    assert place(talk, 0) is None, "the server has nothing of it"
    assert place(talk, 1) == (0, True, 0, False)
    assert place(talk, len(HEAD) - 1) == (0, True, 0, False)
    assert place(talk, len(HEAD)) == (0, False, 0, False)
    assert place(talk, len(HEAD) + 600) == (0, False, 600, False)
    found = talk.http.request_at(len(HEAD) + 17)
    assert (found.body_offset, found.announced, found.chunked) == (17, 1000, False)


def test_a_whole_request_is_known_until_its_response_is_whole():
    talk = Talk().say(C, HEAD + b"x" * 1000)
    end = talk.offsets[C]
    assert place(talk, end) == (0, False, 1000, True)
    assert place(talk, end - 1) == (0, False, 999, False)
    talk.say(S, reply()[:-1])
    assert place(talk, end) == (0, False, 1000, True)
    talk.say(S, reply()[-1:])
    assert place(talk, end) is None


def test_an_incomplete_head_has_a_place_in_the_same_exchange():
    talk = Talk().say(C, HEAD[:30])
    found = talk.http.request_at(30)
    assert (found.in_head, found.body_offset, found.complete) == (True, 0, False)
    talk.say(C, HEAD[30:] + b"x" * 1000).say(S, reply())
    assert talk.exchanges == [found.exchange]
    assert found.exchange.request.target == "/x"


def test_a_request_that_was_answered_early_still_has_its_place():
    talk = Talk().say(C, HEAD + b"x" * 400).say(S, reply(status=b"413 Too Large")).say(C, b"x" * 100)
    assert place(talk, talk.offsets[C]) == (0, False, 500, False)
    talk.say(C, b"x" * 500)
    assert place(talk, talk.offsets[C]) is None


def test_of_pipelined_requests_the_oldest_without_a_response_is_in_progress():
    first = get(b"/1")
    talk = Talk().say(C, first + get(b"/2") + get(b"/3")[:9])
    assert place(talk, len(first)) == (0, False, 0, True)
    for further in (1, len(first), len(first) + 9):  # the server works through them in order
        assert place(talk, len(first) + further) == (0, False, 0, True)
    talk.say(S, reply())
    assert place(talk, len(first) + 1) == (1, True, 0, False)
    assert place(talk, 2 * len(first)) == (1, False, 0, True)
    talk.say(S, reply())
    assert place(talk, 2 * len(first) + 9) == (2, True, 0, False)


def test_at_the_present_end_of_a_chunked_body_the_decoded_bytes_are_counted():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    talk = Talk().say(C, head + b"5\r\nhello\r\n64\r\nworld")
    found = talk.http.request_at(talk.offsets[C])
    assert (found.body_offset, found.chunked, found.announced, found.complete) == (10, True, None, False)
    assert place(talk, len(head) + 3) == (0, False, 3, False)
    talk.say(C, b"x" * 95 + b"\r\n0\r\n\r\n")
    assert place(talk, talk.offsets[C]) == (0, False, 105, True)


def test_lost_bytes_count_in_the_body_offset():
    talk = Talk().say(C, HEAD + b"x" * 100).lose(C, 300).say(C, b"x" * 50)
    assert place(talk, talk.offsets[C]) == (0, False, 450, False)


def test_an_offset_between_requests_has_no_place():
    talk = Talk()
    assert place(talk, 0) is None
    talk.say(C, get()).say(S, reply())
    assert place(talk, talk.offsets[C]) is None
    assert place(talk, talk.offsets[C] + 1000) is None


def test_bytes_that_are_not_http_have_no_places():
    talk = Talk().say(C, b"SSH-2.0-x\r\n").say(S, b"SSH-2.0-y\r\n")
    assert place(talk, 5) is None
    assert talk.finish() == []


def test_lost_bytes_of_a_chunk_count_in_the_body_offset():
    talk = Talk().say(C, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + b"x" * 10).lose(C, 20)
    assert place(talk, talk.offsets[C]) == (0, False, 30, False)
