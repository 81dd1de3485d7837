"""The few words of an error page that name a cause are found, however the page comes."""

from __future__ import annotations

import gzip

import pytest

from easpcap.limits import MAX_ERROR_PAGE
from tests.http.talk import C, S, Talk, chunked, get

APACHE = b"<p>You don't have permission.Reason: Cannot perform Post-Handshake Authentication.<br />\n</p>"
IIS = b"x" * 5000 + b"Error Code: 0X80070032"
PHRASE = "post-handshake authentication"


def phrase(status, body, fields=b"", piece=None):
    """The cause phrase of a response with this body, framed by its length."""
    head = b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n" % (status, fields, len(body))
    talk = Talk(piece).say(C, get()).say(S, head + body)
    return talk.exchanges[0].response.cause_phrase


def in_chunks(body, size):
    return chunked(*[body[at : at + size] for at in range(0, len(body), size)])


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_the_phrase_is_found_in_any_pieces_and_in_either_case(piece):
    assert phrase(403, APACHE, piece=piece) == PHRASE
    assert phrase(500, IIS, piece=piece) == "0x80070032"


@pytest.mark.parametrize("piece", [None, 1, 7, 50])
@pytest.mark.parametrize("size", [1, 40, 1000])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_the_phrase_is_found_in_a_chunked_page_whatever_the_chunks_and_the_coding(coding, size, piece):
    body, fields = (gzip.compress(APACHE), b"Content-Encoding: gzip\r\n") if coding else (APACHE, b"")
    head = b"HTTP/1.1 403 Forbidden\r\n" + fields + b"Transfer-Encoding: chunked\r\n\r\n"
    talk = Talk(piece).say(C, get()).say(S, head + in_chunks(body, size)).say(C, get())
    assert talk.exchanges[0].response.cause_phrase == PHRASE


def test_the_phrase_counts_in_a_page_that_is_cut():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 403 No\r\nContent-Length: 5000\r\n\r\n" + APACHE).end(S, "rst")
    assert talk.finish()[0].response.cause_phrase == PHRASE


def test_pages_without_the_phrase_of_their_status_name_no_cause():
    assert phrase(403, b"Forbidden") == ""
    assert phrase(403, b"0x80070032") == ""
    assert phrase(404, APACHE) == ""
    assert phrase(200, APACHE) == ""


def test_a_page_whose_coding_is_broken_or_unknown_names_no_cause():
    assert phrase(403, b"no gzip at all", b"Content-Encoding: gzip\r\n") == ""
    assert phrase(403, APACHE, b"Content-Encoding: br\r\n") == ""


@pytest.mark.parametrize("padding", [MAX_ERROR_PAGE - len(APACHE), MAX_ERROR_PAGE])
def test_only_the_first_bytes_of_a_long_page_are_searched(padding):
    expected = PHRASE if padding < MAX_ERROR_PAGE else ""
    page = bytes(padding) + APACHE
    assert phrase(403, page, piece=1000) == expected
    assert phrase(403, gzip.compress(page), b"Content-Encoding: gzip\r\n", piece=10) == expected


def test_the_head_and_the_bytes_after_the_page_are_not_searched():
    assert phrase(403, b"Forbidden", b"X-Note: " + APACHE.strip() + b"\r\n") == ""
    talk = Talk().say(C, get() * 2).say(S, b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    talk.say(S, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(APACHE) + APACHE)
    assert [exchange.response.cause_phrase for exchange in talk.exchanges] == ["", ""]


def test_a_phrase_is_not_joined_across_a_gap():
    cut = APACHE.index(b"Handshake")
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % (len(APACHE) + 5))
    talk.say(S, APACHE[:cut]).lose(S, 5).say(S, APACHE[cut:])
    assert talk.exchanges[0].response.cause_phrase == ""
