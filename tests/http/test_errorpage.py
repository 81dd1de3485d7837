"""The few words of error pages that name a cause, wherever they stand in the body."""

from __future__ import annotations

import gzip

import pytest

from easpcap.http.errorpage import ErrorPage
from easpcap.http.exchange import Response
from easpcap.limits import MAX_ERROR_PAGE
from easpcap.stream import Position
from tests.http.talk import C, S, Talk, get, reply

APACHE = b"<p>You don't have permission.Reason: Cannot perform Post-Handshake Authentication.<br />\n</p>"
SAYS = "post-handshake authentication"


def response(status=403, headers=()):
    nowhere = Position(1, 1, 0, None)
    return Response("HTTP/1.1", list(headers), 0, 100, nowhere, nowhere, "length", 10, status=status)


def said(status, body, headers=(), step=0):
    found = response(status, headers)
    page = ErrorPage(found)
    for at in range(0, len(body), step or len(body)):
        if not page.read(100 + at, body[at : at + (step or len(body))]):
            break
    return found.cause_phrase


@pytest.mark.parametrize("step", [0, 1, 7])
def test_the_words_are_found_in_any_pieces(step):
    assert said(403, APACHE, step=step) == SAYS
    assert said(500, b"x" * 5000 + b"Error Code: 0X80070032", step=step) == "0x80070032"


def test_other_pages_say_nothing():
    assert said(403, b"Forbidden") == ""
    assert said(403, b"0x80070032") == ""


def test_packed_pages_are_unpacked_within_bounds():
    assert said(403, gzip.compress(APACHE), [("content-encoding", "gzip")], step=10) == SAYS
    assert said(403, b"no gzip at all", [("content-encoding", "gzip")]) == ""


def test_what_comes_late_in_a_long_page_is_not_looked_for():
    assert said(403, bytes(MAX_ERROR_PAGE) + APACHE, step=1000) == ""


def test_the_head_of_the_response_is_no_part_of_it():
    found = response()
    ErrorPage(found).read(0, APACHE[:100].ljust(100) + b"nothing")
    assert found.cause_phrase == ""


@pytest.mark.parametrize("piece", [None, 1, 50])
def test_a_conversation_looks_through_its_refusals_only(piece):
    talk = Talk(piece)
    head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n"
    for status in (200, 403, 404):
        talk.say(C, get()).say(S, head % (status, len(APACHE)) + APACHE)
    talk.say(C, get()).say(S, reply(APACHE))
    assert [exchange.response.cause_phrase for exchange in talk.finish()] == ["", SAYS, "", ""]
