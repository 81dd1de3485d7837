"""skip_chunks passes over whole, plain chunks, and leaves everything else to the reading line by line."""

from __future__ import annotations

import pytest

from easpcap.http.framing import is_tunnel, skip_chunks
from tests.http.talk import C, S, Talk, chunked, get, reply


def test_whole_chunks_are_skipped_up_to_the_end_of_the_body():
    data = chunked(b"abc", b"d" * 300)
    assert skip_chunks(b"head" + data + b"next", 4) == (4 + len(data), 303, True)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"5",
        b"5\r\nhell",
        b"5\r\nhello",
        b"5\r\nhello\r",
        b"5;x\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"5\nhello\n",
        b"5\r\nhello, world\r\n",
        b"\r\n",
        b"0\r\nEtag: x\r\n\r\n",
        b"0" * 16 + b"\r\n\r\n",
        b"f" * 15 + b"\r\n",
    ],
)
def test_chunks_that_are_incomplete_or_not_plain_are_not_skipped(rest):
    before = b"3\r\nabc\r\n"
    assert skip_chunks(before + rest, 0) == (len(before), 3, False)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_to_connect_opens_a_tunnel(status):
    """RFC 9110 section 9.3.6; a Content-Length or Transfer-Encoding in such a response is ignored."""
    talk = (
        Talk().say(C, b"CONNECT h:443 HTTP/1.1\r\n\r\n").say(S, b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    )
    talk.say(C, get()).say(S, reply())
    assert [(e.request.method, e.response.framing) for e in talk.finish()] == [("CONNECT", "none")]
    assert talk.http.tunnel == "HTTP CONNECT"


@pytest.mark.parametrize("status", [199, 300, 407])
def test_another_status_to_connect_opens_no_tunnel(status):
    talk = (
        Talk().say(C, b"CONNECT h:443 HTTP/1.1\r\n\r\n").say(S, b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    )
    assert talk.http.tunnel == ""


def test_a_2xx_to_another_method_opens_no_tunnel():
    assert not is_tunnel(200, "GET")
    assert is_tunnel(101, "GET")
