"""Heads: what a lenient peer would read, credentials taken out, and how long a body is."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.http.head import parse_head, parse_request_line, parse_status_line
from easpcap.http.start import starts_request, starts_response
from easpcap.limits import MAX_HTTP_FIELDS, MAX_HTTP_HEAD, MAX_HTTP_INTERIM
from tests.http.talk import C, S, Talk, get, post, reply

SECRETS = {
    b"Authorization: Basic dTpzZWNyZXQ=": ("authorization", "Basic (redacted)"),
    b"AUTHORIZATION:secret": ("authorization", "(redacted)"),
    b"authorization : Bearer\tsecret": ("authorization", "(redacted)"),
    b"Authorization: Negotiate\r\n\tsecret": ("authorization", "Negotiate (redacted)"),
    b"Proxy-Authorization: NTLM secret": ("proxy-authorization", "NTLM (redacted)"),
    b"Cookie: a=secret; b=secret": ("cookie", "(redacted)"),
    b"Set-Cookie: a=secret": ("set-cookie", "(redacted)"),
    b"Cookie2: $Version=secret": ("cookie2", "(redacted)"),
    b"Set-Cookie2: a=secret": ("set-cookie2", "(redacted)"),
}


@pytest.mark.parametrize("line", SECRETS)
def test_credentials_are_removed_by_the_parser(line):
    talk = Talk().say(C, get(extra=line + b"\r\n"))
    (exchange,) = talk.finish()
    assert SECRETS[line] in exchange.request.headers
    assert "secret" not in repr(exchange)


def test_a_head_is_read_as_a_lenient_peer_reads_it():
    head = parse_head(
        b"GET / HTTP/1.1\r\nHost:a\nX-Fold: one\r\n  two\r\n\tthree\r\nSpace : \t v \t\r\nnonsense\r\nE:\r\n\r\n"
    )
    assert head.headers == [("host", "a"), ("x-fold", "one two three"), ("space", "v"), ("e", "")]
    assert head.oddity == "a header line without a colon"


def test_header_lines_are_bounded():
    talk = Talk().say(C, get(extra=b"a: b\r\n" * (MAX_HTTP_FIELDS + 50)))
    assert len(talk.finish()[0].request.headers) == MAX_HTTP_FIELDS
    assert talk.http.anomalies[0].code == "http-bad-field"


def test_a_head_that_does_not_end_is_reported_and_the_next_one_read():
    talk = Talk(piece=1000).say(C, b"GET /long HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HTTP_HEAD // 6))
    assert talk.http.anomalies[0].code == "http-head-too-large"
    talk.say(S, reply()).say(C, b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").say(S, reply())
    assert [e.request.target for e in talk.finish()] == ["/long", "/"]
    assert [e.outcome for e in talk.exchanges] == ["completed", "completed"]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("GET /a HTTP/1.1", ("GET", "/a", "HTTP/1.1")),
        ("GET /a b HTTP/1.1", ("GET", "/a%20b", "HTTP/1.1")),
        ("GET /\xe9\x1b HTTP/1.0", ("GET", "/%E9%1B", "HTTP/1.0")),
        ("GET http://bob:secret@host/a HTTP/1.1", ("GET", "http://(redacted)@host/a", "HTTP/1.1")),
        ("GET http://bob:s@cret@host", ("GET", "http://(redacted)@host", "")),
        ("GET http://host/a?b=c@d HTTP/1.1", ("GET", "http://host/a?b=c@d", "HTTP/1.1")),
        ("GET /a", ("GET", "/a", "")),
        ("GET /a HT", ("GET", "/a", "HT")),
        ("GET", ("GET", "", "")),
        ("", ("", "", "")),
    ],
)
def test_request_lines(line, parts):
    assert parse_request_line(line) == parts


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("HTTP/1.1 200 OK", ("HTTP/1.1", 200, "OK")),
        ("HTTP/1.1 413 Request Entity Too Large", ("HTTP/1.1", 413, "Request Entity Too Large")),
        ("HTTP/1.0 204", ("HTTP/1.0", 204, "")),
        ("HTTP/1.1 \xb2\xb2\xb2 No", ("HTTP/1.1", 0, "\xb2\xb2\xb2 No")),
        ("HTTP/1.1 20", ("HTTP/1.1", 0, "20")),
        ("HTTP/1.1", ("HTTP/1.1", 0, "")),
    ],
)
def test_status_lines(line, parts):
    assert parse_status_line(line) == parts


@pytest.mark.parametrize("line", [b"EHLO mail.example", b"USER bob", b"LIST  ", b"OPTIONS sip:a SIP/2.0", b"GET /x"])
def test_other_protocols_do_not_look_like_http(line):
    assert starts_request(line + b"\r\n", 0) is False
    assert starts_response(b"220 ready\r\n", 0) is False


@pytest.mark.parametrize("data", [b"G", b"GET", b"GET /x HTTP/1.1", b"GET /x HTTP/1.1\r"])
def test_an_unfinished_line_is_undecided(data):
    assert starts_request(data, 0) is None
    assert starts_response(b"HTTP/", 0) is None


LENGTHS = {
    b"Content-Length: 1\r\nContent-Length: 2": "with different values",
    b"Content-Length: 1, 2": "with different values",
    b"Content-Length: -1": "no number",
    b"Content-Length: 0x10": "no number",
    b"Content-Length: \xb2": "no number",
    b"Content-Length:": "no number",
    b"Content-Length: " + b"9" * 30: "larger than any body",
    b"Content-Length: " + b"9" * 9000: "larger than any body",
    b"Transfer-Encoding: gzip": "not chunked",
    b"Transfer-Encoding: chunked, gzip": "not chunked",
}


@pytest.mark.parametrize("fields", LENGTHS)
def test_a_request_whose_length_cannot_be_used_has_no_body(fields):
    talk = Talk().say(C, b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n").say(S, reply())
    assert LENGTHS[fields] in talk.http.anomalies[0].detail
    (exchange,) = talk.finish()
    assert (exchange.request.framing, exchange.request.content_length, exchange.outcome) == ("none", None, "completed")


@pytest.mark.parametrize("fields", LENGTHS)
def test_a_response_whose_length_cannot_be_used_ends_with_the_connection(fields):
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nsome body").end(S, "fin")
    assert LENGTHS[fields] in talk.http.anomalies[0].detail
    (exchange,) = talk.finish()
    assert (exchange.response.framing, exchange.response.body_bytes) == ("until-close", 9)
    assert exchange.outcome == "completed"


def test_chunked_decides_over_content_length():
    body = b"Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    talk = Talk().say(C, b"POST / HTTP/1.1\r\n" + body + get()).say(S, reply() * 2)
    assert [e.request.body_bytes for e in talk.exchanges] == [2, 0]
    assert "which decides" in talk.http.anomalies[0].detail


@pytest.mark.parametrize("size", [b"", b"xyz", b"-1", b"0x5", b"5 5", b"f" * 16, b"\xff", b";", b"5" * 9000])
def test_a_broken_chunk_size_interrupts_and_the_next_message_is_read(size):
    bad = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + size + b"\r\nrest"
    talk = Talk().say(C, get()).say(S, bad).say(C, get()).say(S, reply()).finish()
    assert [e.outcome for e in talk] == ["interrupted", "completed"]
    assert talk[0].response.body_bytes == 3


def test_a_chunk_longer_than_its_size_is_broken():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n")
    assert [a.code for a in talk.http.anomalies] == ["http-bad-chunk"]


def test_an_invalid_status_is_an_anomaly():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 huh\r\nContent-Length: 0\r\n\r\n")
    assert [a.code for a in talk.http.anomalies] == ["http-bad-status"]
    assert talk.exchanges[0].response.status == 0


def test_interim_responses_are_bounded():
    talk = Talk().say(C, get()).say(S, b"HTTP/1.1 100 Continue\r\n\r\n" * 5000).say(S, reply())
    assert len(talk.exchanges[0].interim) == MAX_HTTP_INTERIM


class _Socket:
    def __init__(self, data):
        self._data = data

    def makefile(self, _mode):
        return io.BytesIO(self._data)


TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ-", min_size=1, max_size=12).map(lambda s: "x" + s)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TOKEN, VALUE), max_size=8), st.binary(max_size=60), st.booleans(), st.integers(205, 303))
def test_the_standard_library_reads_the_same(fields, body, in_chunks, status):
    head = f"HTTP/1.1 {status} Reason\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
    if in_chunks:
        coded = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:7], body[7:]) if p) + b"0\r\n\r\n"
        data = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + coded
    else:
        data = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    known = http.client.HTTPResponse(_Socket(data), method="GET")
    known.begin()
    talk = Talk().say(C, get()).say(S, data)
    response = talk.exchanges[0].response
    assert (response.status, response.reason) == (known.status, known.reason)
    assert response.headers == [(n.lower(), v) for n, v in known.getheaders()]
    assert response.body_bytes == len(known.read())
    assert response.end_offset == len(data)


def test_the_same_header_line_is_kept_once():
    talk = Talk().say(C, post(extra=b"User-Agent: Phone/1.0\r\n") * 2)
    first, second = (e.request.headers for e in talk.finish())
    assert first[1] == ("user-agent", "Phone/1.0")
    assert first[1] is second[1]
