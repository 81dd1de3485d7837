"""HTTP as it should be: the same exchanges whether the bytes come whole, one by one or in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.stream import Data
from tests.http.talk import C, S, Talk, chunked, comparable, get, post, reply

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

#: name: what is said, and what must be read: (method, request body bytes, interim, status, response body bytes).
STORIES = {
    "one exchange": ([(C, post(b"x" * 40)), (S, reply(b"y" * 30))], [("POST", 40, [], 200, 30)]),
    "keep-alive": (
        [(C, post(b"a")), (S, reply(b"bc")), (C, get()), (S, reply(b"")), (C, post(b"")), (S, reply(b"d"))],
        [("POST", 1, [], 200, 2), ("GET", 0, [], 200, 0), ("POST", 0, [], 200, 1)],
    ),
    "pipelining": (
        [(C, get(b"/1") + post(b"22", b"/2") + get(b"/3")), (S, reply(b"1") + reply(b"22") + reply(b"333"))],
        [("GET", 0, [], 200, 1), ("POST", 2, [], 200, 2), ("GET", 0, [], 200, 3)],
    ),
    "chunked both ways": (
        [
            (C, b"POST /x HTTP/1.1\r\n" + CHUNKED + chunked(b"abc", b"d" * 300)),
            (S, b"HTTP/1.1 200 OK\r\n" + CHUNKED + chunked(b"hello\r\n", b"0\r\n\r\n", trailer=b"Etag: x\r\n")),
        ],
        [("POST", 303, [], 200, 12)],
    ),
    "chunk extensions and bare line feeds": (
        [
            (C, get()), (S, b"HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n5;a=b;c=\"d\"\nhello\n0000\n\n"),
            (C, get()), (S, reply()),
        ],
        [("GET", 0, [], 200, 5), ("GET", 0, [], 200, 4)],
    ),
    "until the server closes": (
        [(C, b"GET / HTTP/1.0\r\n\r\n"), (S, b"HTTP/1.0 200 OK\r\n\r\nall of this"), (S, "fin")],
        [("GET", 0, [], 200, 11)],
    ),
    "100 Continue, and other interim responses": (
        [
            (C, post(b"", extra=b"Expect: 100-continue\r\n").replace(b"Length: 0", b"Length: 5")),
            (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (S, b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"),
            (C, b"12345"),
            (S, reply()),
        ],
        [("POST", 5, [100, 102, 103], 200, 4)],
    ),
    "an answer before the request is whole": (
        [(C, post(b"x" * 100)[:-60]), (S, reply(b"big", b"413 Too Large")), (C, b"x" * 60), (C, get()), (S, reply())],
        [("POST", 100, [], 413, 3), ("GET", 0, [], 200, 4)],
    ),
    "HEAD, 204 and 304 have no bodies": (
        [
            (C, b"HEAD / HTTP/1.1\r\n\r\n"), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
            (C, get()), (S, b"HTTP/1.1 204 No Content\r\n\r\n"),
            (C, get()), (S, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
        ],
        [("HEAD", 0, [], 200, 0), ("GET", 0, [], 204, 0), ("GET", 0, [], 304, 0)],
    ),
    "a tunnel": (
        [
            (C, b"CONNECT h:443 HTTP/1.1\r\n\r\n"), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            (C, get()), (S, reply()),
        ],
        [("CONNECT", 0, [], 200, 0)],
    ),
    "a tunnel refused": (
        [(C, b"CONNECT h:443 HTTP/1.1\r\n\r\n"), (S, reply(status=b"407 No")), (C, get()), (S, reply())],
        [("CONNECT", 0, [], 407, 4), ("GET", 0, [], 200, 4)],
    ),
    "an upgrade": (
        [
            (C, get(extra=b"Upgrade: websocket\r\n")), (S, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            (S, reply()), (C, get()),
        ],
        [("GET", 0, [], 101, 0)],
    ),
    "blank lines between messages": (
        [(C, b"\r\n" + post() + b"\r\n"), (S, reply()), (C, b"\r\n" + get()), (S, reply())],
        [("POST", 5, [], 200, 4), ("GET", 0, [], 200, 4)],
    ),
    "a response nobody asked for": ([(S, reply(status=b"408 Request Timeout"))], [(None, None, [], 408, 4)]),
    "methods of its own": ([(C, b"RPC_IN_DATA /rpc HTTP/1.1\r\n\r\nX-MS-FOO / HTTP/1.1\r\n\r\n"), (S, reply() * 2)],
        [("RPC_IN_DATA", 0, [], 200, 4), ("X-MS-FOO", 0, [], 200, 4)]),
    "repeated equal lengths": (
        [
            (C, get()), (S, b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\nContent-Length: 04\r\n\r\nfour"),
            (C, get()), (S, reply()),
        ],
        [("GET", 0, [], 200, 4), ("GET", 0, [], 200, 4)],
    ),
}  # fmt: skip


def run(said, cut):
    """Tell a story; ``cut(data)`` gives the sizes of the pieces."""
    talk = Talk()
    for direction, data in said:
        if isinstance(data, str):
            talk.sign(direction, data).end(direction, data)
        else:
            talk.say(direction, data, cut(data))
    talk.finish()
    return talk


@pytest.mark.parametrize("name", STORIES)
def test_exchanges_are_read_as_they_happened(name):
    said, expected = STORIES[name]
    talk = run(said, lambda data: [len(data)])
    found = [
        (
            e.request and e.request.method,
            e.request and e.request.body_bytes,
            [i.status for i in e.interim],
            e.response.status,
            e.response.body_bytes,
        )
        for e in talk.exchanges
    ]
    assert found == expected
    assert {e.outcome for e in talk.exchanges} == {"completed"}
    assert all(e.response.complete and (e.request is None or e.request.complete) for e in talk.exchanges)
    assert [e.index for e in talk.exchanges] == list(range(len(expected)))
    assert talk.http.anomalies == []
    assert talk.http.protocol == "http/1"


@pytest.mark.parametrize("name", STORIES)
def test_reading_byte_by_byte_gives_the_same_exchanges(name):
    said, _ = STORIES[name]
    whole, bytewise = run(said, lambda data: [len(data)]), run(said, lambda data: [1] * len(data))
    assert [comparable(e) for e in bytewise.exchanges] == [comparable(e) for e in whole.exchanges]
    assert bytewise.http.anomalies == whole.http.anomalies


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(STORIES)), st.data())
def test_reading_in_any_pieces_gives_the_same_exchanges(name, data):
    said, _ = STORIES[name]

    def cut(text):
        ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
        return [b - a for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]

    whole, cut_up = run(said, lambda text: [len(text)]), run(said, cut)
    assert [comparable(e) for e in cut_up.exchanges] == [comparable(e) for e in whole.exchanges]
    assert cut_up.http.anomalies == whole.http.anomalies


@pytest.mark.parametrize("name", STORIES)
def test_a_conversation_cut_at_any_byte_keeps_what_was_seen(name):
    said, _ = STORIES[name]
    length = sum(len(data) for _, data in said if isinstance(data, bytes))
    for end in range(length + 1):
        talk, left, seen = Talk(), end, []
        for direction, data in said:
            if isinstance(data, bytes) and left:
                talk.say(direction, data[:left])
                seen.append((direction, data[:left]))
                left -= len(data[:left])
        exchanges = talk.finish()
        assert all(e.outcome in {"completed", "open"} for e in exchanges)
        for direction, half in ((C, "request"), (S, "response")):
            stream = b"".join(data for d, data in seen if d == direction)
            messages = [m for m in (getattr(e, half) for e in exchanges) if m is not None]
            heads = [stream[m.head_offset : m.body_offset] for m in messages]
            assert all(head[:1].isalpha() for head in heads)
            if direction == C and len(stream.strip()) > len(b"GET /x HTT") and name != "methods of its own":
                assert messages, "a request line was seen and not reported"


def test_exchanges_come_out_when_they_are_final_and_not_before():
    talk = Talk().say(C, post(b"x" * 10)[:-4])
    assert talk.say(S, reply()).exchanges == []  # answered, but the request still passes
    assert len(talk.say(C, b"xxxx").exchanges) == 1
    talk.say(C, get() + get())
    assert len(talk.say(S, reply()[:-1]).exchanges) == 1
    assert len(talk.say(S, reply()[-1:]).exchanges) == 2
    assert [e.index for e in talk.finish()] == [0, 1, 2]


def test_first_and_last_bytes_are_cited_exactly():
    first = post(b"body")
    talk = Talk().say(C, b"\r\n").say(C, first + get()).say(S, reply(b"z" * 9))
    (exchange,) = talk.exchanges
    request, response = exchange.request, exchange.response
    assert (request.head_offset, request.body_offset, request.end_offset) == (2, 2 + len(first) - 4, 2 + len(first))
    assert (request.first.frame, request.last.frame) == (1002, 1002 + len(first) - 1)
    assert request.last.time_ns == 1, "the end of what brought the byte is asked for"
    assert (response.first.frame, response.last.frame) == (5000, 5000 + len(reply(b"z" * 9)) - 1)


def test_long_bodies_are_skipped_without_being_searched():
    class Opaque(bytes):
        def find(self, *_):
            raise AssertionError("a body was searched")

        def __getitem__(self, _):
            raise AssertionError("a body was copied")

    talk = Talk().say(C, b"POST /x HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n")
    for _ in range(29):
        talk.http.feed(Data(C, talk.offsets[C], Opaque(100_000)))
        talk.offsets[C] += 100_000
    place = talk.http.request_at(talk.offsets[C])
    assert place.body_offset == 2_900_000
    assert place.exchange.request.body_bytes == 2_900_000


def test_keep_from_is_never_after_a_byte_that_is_still_needed():
    talk = Talk()
    assert talk.http.keep_from(C) == 0
    talk.say(C, post(b"x" * 50)[:-20])
    assert talk.http.keep_from(C) == talk.offsets[C] - 1
    talk.say(C, b"x" * 20 + b"POST /next HT")
    assert talk.http.keep_from(C) == talk.offsets[C] - len("POST /next HT")
