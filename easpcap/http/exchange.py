"""Exchange: one HTTP request with its responses; either half may be missing or incomplete.

Plain mutable records, filled while the bytes pass. Offsets count the plaintext of their direction. Positions are
resolved (offset to frame and time) at the moment a boundary passes, because the index that resolves them is pruned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easpcap.fields import Fields, field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.stream import Position


class Message(Fields):
    """What requests and responses have in common."""

    version: str  # "HTTP/1.1"
    headers: Sequence[tuple[str, str]]  # names in lower case, values as latin-1 text without surrounding white space
    head_offset: int  # plaintext offset of the first byte of the start line
    body_offset: int  # plaintext offset of the first byte after the head
    first: Position  # where the first byte of the head was captured
    last: Position  # where the last byte seen so far was captured
    framing: str  # none, length, chunked, until-close
    content_length: int | None  # as announced by a valid Content-Length, else None
    body_bytes: int = 0  # body bytes seen, chunked coding removed, content coding left in place
    end_offset: int | None = None  # plaintext offset after the last byte; None while incomplete
    missing: int = 0  # least number of bytes of this message that the capture lacks

    @property
    def complete(self) -> bool:
        """Whether the last byte was seen and none in between is missing."""
        return self.end_offset is not None and not self.missing

    def header(self, name: str) -> str | None:
        """The first value of a header field (``name`` in lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Request(Message):
    """A request head and what was seen of its body."""

    method: str = ""
    target: str = ""  # bytes outside printable ASCII percent-encoded

    @property
    def expects_continue(self) -> bool:
        """Whether the client holds its body until a 100 Continue (RFC 9110 section 10.1.1)."""
        return (self.header("expect") or "").lower() == "100-continue"


class Response(Message):
    """A response head and what was seen of its body."""

    status: int = 0
    reason: str = ""
    cause_phrase: str = ""  # words of an error page that name its cause (see errorpage), in lower case


class Interim(Fields):
    """A 1xx response (RFC 9110 section 15.2)."""

    status: int
    position: Position


class Exchange(Fields):
    """One request with its responses, in the order of requests on its connection (``index`` from 0)."""

    connection: int  # id of the connection
    index: int
    request: Request | None = None
    response: Response | None = None
    interim: list[Interim] = field(default_factory=list)
    gap_before_response: bool = False  # bytes towards the client are missing where the response would begin
    outcome: str = "open"  # completed, abandoned-by-client, abandoned-by-server, open, interrupted
    ended: Position | None = None  # what ended it, where that was neither the response nor the capture's end
    ended_by: str = ""  # client- or server-, and fin, rst, close-notify or alert; "" as for ``ended``
    too_late: bool = False  # the response came after the client had given up
    id: int = -1  # over all connections, by first byte; given when the analysis ends
    stream: int | None = None  # stream identifier of HTTP/2; None in HTTP/1.x, which has no streams

    @property
    def key(self) -> tuple[int, int]:
        """(connection, index): the same for this exchange from its first byte on, in every process."""
        return self.connection, self.index


class BodyPlace(NamedTuple):
    """Where an offset of the client's stream lies in a request."""

    exchange: Exchange
    body_offset: int  # body bytes before it; of a chunked body decoded ones at its present end, else raw ones
    complete: bool  # the whole request lies before it
    in_head: bool
    announced: int | None  # by Content-Length
    chunked: bool
    uncertain: int = 0  # body_offset may be larger by so much, where bytes of the body are missing from the capture
