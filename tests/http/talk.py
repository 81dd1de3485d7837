"""Builds an HTTP conversation for a test: who sends what, in which order, in which pieces; and readable results."""

from __future__ import annotations

from easpcap.http.conversation import HttpConversation
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap, Position

C, S = TO_SERVER, TO_CLIENT  # what the client says, what the server says


def locate(direction, offset, last=False):
    """Every byte has a different frame: 1000 + offset from the client, 5000 + offset from the server."""
    assert offset >= 0
    return Position(0, (1000, 5000)[direction] + offset, int(last), None)


class Talk:
    """Feeds a conversation; keeps the offsets, and the exchanges in the order in which they were returned."""

    def __init__(self, piece=None, **options):
        self.http = HttpConversation(7, locate, **options)
        self.offsets = [0, 0]
        self.exchanges = []
        self.piece = piece

    def say(self, direction, data, pieces=None):
        """Feed data, whole or in pieces (their sizes, or one size for all)."""
        pieces = pieces or ([self.piece] * -(-len(data) // self.piece) if self.piece else [len(data)])
        begin = 0
        for size in pieces:
            piece = data[begin : begin + size]
            begin += size
            self.exchanges += self.http.feed(Data(direction, self.offsets[direction], piece))
            self.offsets[direction] += len(piece)
        return self

    def lose(self, direction, length, most=None):
        gap = Gap(direction, self.offsets[direction], length, length if most is None else most)
        self.exchanges += self.http.feed(gap)
        self.offsets[direction] += length
        return self

    def end(self, direction, cause):
        self.exchanges += self.http.feed(End(direction, self.offsets[direction], cause))
        return self

    def sign(self, direction, cause, frame=9000):
        self.http.sender_closed(direction, cause, Position(0, frame, 0, None))
        return self

    def finish(self):
        self.exchanges += self.http.finish()
        return self.exchanges


class Recorder:
    """A sink that keeps what it is given. After ``enough`` bytes it wants no more."""

    def __init__(self, enough=None):
        self.body = b""
        self.end = None
        self.enough = enough
        self.over = False

    def write(self, data):
        assert not self.over, "written to after the end"
        self.body += data
        self.over = self.enough is not None and len(self.body) >= self.enough
        return not self.over

    def finish(self, end):
        assert not self.over, "finished twice, or although it wanted no more"
        self.end, self.over = end, True


class Record:
    """Chooses a Recorder for every body; ``bodies`` holds them by (index of the exchange, half), in order of heads."""

    def __init__(self, enough=None):
        self.bodies = {}
        self.enough = enough

    def __call__(self, exchange, message):
        half = "request" if message is exchange.request else "response"
        sink = self.bodies[exchange.index, half] = Recorder(self.enough)
        return sink

    def seen(self):
        return {key: (sink.body, sink.end) for key, sink in self.bodies.items()}


def comparable(exchange):
    """The fields of an exchange that tests compare, as plain values."""
    request, response = exchange.request, exchange.response
    return {
        "request": request and (request.method, request.target, *_message(request)),
        "interim": [i.status for i in exchange.interim],
        "response": response and (response.status, response.reason, *_message(response)),
        "outcome": exchange.outcome,
    }


def _message(message):
    return (
        message.version,
        tuple(message.headers),
        message.head_offset,
        message.body_offset,
        message.body_bytes,
        message.end_offset,
        message.missing,
        message.first.frame,
        message.last.frame,
        message.complete,
    )


def post(body=b"hello", target=b"/x", extra=b""):
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (target, extra, len(body), body)


def get(target=b"/x", extra=b""):
    return b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (target, extra)


def reply(body=b"fine", status=b"200 OK", extra=b""):
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, extra, len(body), body)


def chunked(*chunks, trailer=b""):
    return b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailer + b"\r\n"
