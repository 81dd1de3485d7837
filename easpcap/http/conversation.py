"""HttpConversation: pairs the requests and responses of one connection, and says how each exchange ended.

Responses answer requests in their order (RFC 9112 section 9.3), so the oldest unanswered request owns the next
response. It may come before the request has ended, and a client may be gone when it comes: what the client did with it
decides then whether the exchange was completed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.http.errorpage import TELLING, ErrorPage
from easpcap.http.exchange import BodyPlace, Exchange, Interim, Message, Request, Response
from easpcap.http.framing import SWITCHING_PROTOCOLS, is_interim, is_tunnel, request_framing, response_framing
from easpcap.http.head import parse_head, parse_request_line, parse_status_line
from easpcap.http.outcome import Closing, Endings
from easpcap.http.reader import MessageReader
from easpcap.http.start import HTTP2_PREFACE, likely_request, likely_response, starts_request, starts_response
from easpcap.limits import MAX_CONNECTION_ANOMALIES, MAX_HTTP_GUESSES, MAX_HTTP_INTERIM, MAX_PIPELINED
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly, Data, End, Gap

if TYPE_CHECKING:
    from easpcap.http.listener import Locate
    from easpcap.stream import Position

_CLEAN: Final = frozenset({"fin", "close-notify"})

#: An offset beyond every stream.
NEVER: Final = 2**63


class HttpConversation:
    """Turns the plaintext of one connection into exchanges.

    Args:
        connection: its id, which the exchanges carry.
        locate: where a delivered byte was captured; called as boundaries pass.
        first_index: how many exchanges the connection had before.
    """

    __slots__ = (
        "_client_gone_at", "_connection", "_endings", "_final", "_garbage", "_held", "_late", "_latest", "_locate",
        "_next_index", "_off", "_opened", "_page", "_readers", "_unanswered", "anomalies", "protocol", "tunnel",
    )  # fmt: skip

    def __init__(self, connection: int, locate: Locate, first_index: int = 0) -> None:
        self.anomalies: list[Anomaly] = []
        self.protocol: str | None = None  # "http/1" or "h2", once it is known
        self.tunnel = ""  # what made the rest of the connection another protocol: a CONNECT, or an upgrade
        self._connection = connection
        self._locate = locate
        self._readers = (
            MessageReader(TO_SERVER, starts_request, likely_request, locate, self),
            MessageReader(TO_CLIENT, starts_response, likely_response, locate, self),
        )
        self._unanswered: list[Exchange] = []  # no final response has come to its end, oldest first
        self._latest: Exchange | None = None  # the newest request
        self._opened: Exchange | None = None  # that of a request whose head is not complete
        self._held: Exchange | None = None  # answered while its request still passes
        self._late: list[Exchange] = []  # answered after the client had gone: what it did then decides
        self._final: list[Exchange] = []  # to be handed out
        self._endings = Endings()
        self._client_gone_at = NEVER  # offset of the server's stream at which the client gave up
        self._garbage = [0, 0]  # pieces of each direction that began no message
        self._page: ErrorPage | None = None  # of the latest response, where its text may name a cause
        self._off = False
        self._next_index = first_index

    # ------------------------------------------------------------------ what comes in

    def feed(self, event: Data | Gap | End) -> list[Exchange]:
        """Read the next event; the exchanges that became final by it."""
        if type(event) is Data:
            direction, offset, data = event
            reader = self._readers[direction]
            size = len(data)
            if size < reader.remaining and not reader.uncertain_bytes:  # nothing but body: only numbers change
                reader.remaining -= size
                reader.seen = offset + size
                if self._page is not None:
                    self._read_page(direction, offset, data)
                return []
            reader.feed(offset, data)
            if self._page is not None:
                self._read_page(direction, offset, data)
        elif type(event) is Gap:
            self._readers[event.direction].gap(event.offset, event.length, event.most)
        elif type(event) is End:
            self._end(event)
        if not self._final:
            return []
        final, self._final = self._final, []
        return final

    def _read_page(self, direction: int, offset: int, data: bytes) -> None:
        if direction == TO_CLIENT and self._page is not None and not self._page.read(offset, data):
            self._page = None

    def ended(self, direction: int, cause: str, position: Position) -> None:
        """``direction``'s sender was seen to end it: fin, rst, close-notify or alert (a fatal one).

        Called when it is seen, which may be before the bytes and the End of that direction have come: whether the
        client gave up before the response began depends on it.
        """
        self._gone(Closing(direction, cause, position))

    def finish(self) -> list[Exchange]:
        """No more events: every exchange that is left, whole or not, with its outcome."""
        for direction in (TO_SERVER, TO_CLIENT):
            self._close(direction, "capture-end")
        left = sorted([*self._late, *self._unanswered], key=lambda exchange: exchange.index)
        lost = self._readers[TO_CLIENT].in_doubt
        for exchange in left:
            self._endings.judge(exchange, late=self._is_late(exchange), lost=lost)
        self._final += left
        self._late.clear()
        self._unanswered.clear()
        final, self._final = self._final, []
        return final

    def forget(self) -> None:
        """Nothing more will come or be asked: cut what refers back here."""
        del self._readers

    # ------------------------------------------------------------------ what is asked

    @property
    def is_http(self) -> bool | None:
        """Whether these bytes are HTTP/1.x; None while it is not known."""
        return False if self._off else (self.protocol == "http/1" or None)

    @property
    def awaits_tunnel(self) -> bool:
        """Whether the oldest request without a response is a CONNECT."""
        exchange = self._unanswered[0] if self._unanswered else None
        return exchange is not None and exchange.request is not None and exchange.request.method == "CONNECT"

    @property
    def next_index(self) -> int:
        """How many exchanges the connection has had, those before this conversation included."""
        return self._next_index

    @property
    def pending(self) -> list[Exchange]:
        """The exchanges without a complete final response, oldest first."""
        return list(self._unanswered)

    def seen(self, direction: int) -> int:
        """The plaintext offset of ``direction`` behind the last byte that was seen."""
        return self._readers[direction].seen

    def keep_from(self, direction: int) -> int:
        """The smallest plaintext offset of ``direction`` whose position may still be asked for."""
        return self._readers[direction].keep_from()

    def request_at(self, offset: int) -> BodyPlace | None:
        """Where the client's stream stands at ``offset``: in a request, or behind one that waits for its response.

        None: between requests. An offset at a request's first byte is still before it: its server has nothing of it.
        """
        reader = self._readers[TO_SERVER]
        if reader.gathers_head and offset > reader.head_offset:
            return BodyPlace(self._open(), 0, complete=False, in_head=True, announced=None, chunked=False)
        newest = [self._latest] if self._latest is not None else []
        for exchange in (*newest, *reversed(self._unanswered)):
            request = exchange.request
            if request is not None and offset > request.head_offset:
                return self._place(exchange, request, offset)
        return None

    def _place(self, exchange: Exchange, request: Request, offset: int) -> BodyPlace | None:
        end = request.end_offset
        over = end is not None and offset >= end
        answered = exchange.response is not None and exchange.response.end_offset is not None
        if over and answered:
            return None
        reader = self._readers[TO_SERVER]
        if reader.message is request:
            reader.settle()
        chunked = request.framing == "chunked"
        body_offset = max(offset - request.body_offset, 0)
        if over and not chunked:
            body_offset = request.content_length or 0
        elif over or (chunked and offset >= reader.seen):
            body_offset = request.body_bytes + request.missing
        in_head = offset < request.body_offset
        return BodyPlace(exchange, body_offset, over, in_head, request.content_length, chunked)

    # ------------------------------------------------------------------ what the readers tell

    def begin(self, direction: int, head: bytes, offset: int, whole: bool) -> Message:
        """A head was read."""
        self.protocol = "http/1"
        if direction == TO_SERVER:
            return self._begin_request(head, offset, whole)
        return self._begin_response(head, offset, whole)

    def end(self, direction: int, message: Message) -> None:
        """A message has come to its end."""
        if direction == TO_SERVER:
            if self._held is not None:
                self._release()
        elif isinstance(message, Response) and not is_interim(message.status):
            self._answered(message)

    def cut(self, direction: int, message: Message) -> None:
        """How a message goes on cannot be known."""
        if direction == TO_SERVER:
            self._release()
        elif isinstance(message, Response) and self._unanswered and self._unanswered[0].response is message:
            self._interrupt(self._unanswered.pop(0))

    def gap_at_boundary(self, direction: int) -> None:
        """Bytes are missing where a message may have begun."""
        if direction == TO_CLIENT and self._unanswered and self._unanswered[0].response is None:
            self._unanswered[0].gap_before_response = True

    def garbage(self, direction: int, data: bytes) -> None:
        """No message begins here."""
        if self.protocol is None:
            self._garbage[direction] += 1
            preface = direction == TO_SERVER and HTTP2_PREFACE.startswith(data[: len(HTTP2_PREFACE)])
            if preface:
                self.protocol = "h2"
            if preface or (all(self._garbage) and sum(self._garbage) > MAX_HTTP_GUESSES):
                self._off = True
                self._stop()

    def note(self, code: str, direction: int, offset: int, detail: str) -> None:
        """Something odd."""
        if len(self.anomalies) < MAX_CONNECTION_ANOMALIES:
            self.anomalies.append(Anomaly(code, direction, offset, detail))

    # ------------------------------------------------------------------ requests

    def _begin_request(self, head: bytes, offset: int, whole: bool) -> Request:
        self._before_request()
        parsed = parse_head(head, whole=whole)
        kind, length, odd_length = request_framing(parsed)
        start, headers, _, _, odd_field = parsed
        method, target, version = parse_request_line(start)
        first = self._locate(TO_SERVER, offset)
        body_at = offset + len(head)
        if not whole:
            kind = "none"
        request = Request(  # by place, which takes half as long as by name; of the body nothing is seen yet
            version, headers, offset, body_at, first, first, kind, length, 0, None, 0, method, target
        )
        if odd_field or odd_length:
            self._note_odd_head(TO_SERVER, offset, odd_field, odd_length)
        self._open().request = request
        self._opened = None
        return request

    def _before_request(self) -> None:
        """A client that sends its next request has had the responses that gaps hide (or pipelines, which is rare)."""
        responses = self._readers[TO_CLIENT]
        if responses.uncertain_bytes or responses.in_doubt:
            responses.next_expected()
        if not self._unanswered:
            return
        self._skip_lost_response()
        if len(self._unanswered) >= MAX_PIPELINED:
            offset = self._readers[TO_SERVER].head_offset
            self.note("http-unanswered", TO_SERVER, offset, f"more than {MAX_PIPELINED:,} requests without a response")
            oldest = 0 if self._unanswered[0].response is None else 1
            self._interrupt(self._unanswered[oldest])
            del self._unanswered[oldest]

    def _open(self) -> Exchange:
        """The exchange of the request that begins, or whose unfinished head is being gathered."""
        opened = self._opened
        if opened is None:
            opened = self._opened = self._latest = self._new_exchange()
        return opened

    def _new_exchange(self) -> Exchange:
        exchange = Exchange(self._connection, self._next_index)
        self._next_index += 1
        self._unanswered.append(exchange)
        return exchange

    # ------------------------------------------------------------------ responses

    def _begin_response(self, head: bytes, offset: int, whole: bool) -> Response:
        unanswered = self._unanswered
        exchange = unanswered[0] if len(unanswered) == 1 else self._next_to_answer()
        request = exchange.request
        parsed = parse_head(head, whole=whole)
        start, headers, _, _, odd_field = parsed
        version, status, reason = parse_status_line(start)
        kind, length, odd_length = response_framing(parsed, status, request.method if request is not None else "")
        first = self._locate(TO_CLIENT, offset)
        body_at = offset + len(head)
        if not whole:
            kind = "none"
        response = Response(version, headers, offset, body_at, first, first, kind, length, 0, None, 0, status, reason)
        if odd_field or odd_length:
            self._note_odd_head(TO_CLIENT, offset, odd_field, odd_length)
        if not status and whole:
            self.note("http-bad-status", TO_CLIENT, offset, "the status is no number of three digits")
        if not is_interim(status):
            exchange.response = response
            if status in TELLING or self._page is not None:
                self._page = ErrorPage(response) if status in TELLING else None
        elif len(exchange.interim) < MAX_HTTP_INTERIM:
            exchange.interim.append(Interim(status, first))
        return response

    def _note_odd_head(self, direction: int, offset: int, field: str, length: str) -> None:
        if field:
            self.note("http-bad-field", direction, offset, field)
        if length:
            self.note("http-bad-length", direction, offset, length)

    def _next_to_answer(self) -> Exchange:
        """The exchange that the next response belongs to."""
        if len(self._unanswered) > 1:
            self._skip_lost_response()
        if self._unanswered:
            return self._unanswered[0]
        if self._opened is None and self._readers[TO_SERVER].gathers_head:
            return self._open()
        return self._new_exchange()

    def _skip_lost_response(self) -> None:
        """Give up the response that a gap hides."""
        if self._unanswered:
            oldest = self._unanswered[0]
            if oldest.gap_before_response and oldest.response is None:
                self._interrupt(self._unanswered.pop(0))

    def _answered(self, response: Response) -> None:
        """A final response has come to its end."""
        exchange = self._unanswered.pop(0)
        request = exchange.request
        if is_tunnel(response.status, request.method if request is not None else ""):
            self.tunnel = "HTTP upgrade" if response.status == SWITCHING_PROTOCOLS else "HTTP CONNECT"
            self._stop()
        if response.head_offset >= self._client_gone_at:
            self._late.append(exchange)
            return
        exchange.outcome = "interrupted" if response.missing else "completed"
        if exchange is self._opened or (request is not None and request is self._readers[TO_SERVER].message):
            self._held = exchange
        else:
            self._final.append(exchange)

    def _interrupt(self, exchange: Exchange) -> None:
        exchange.outcome = "interrupted"
        self._final.append(exchange)

    def _release(self) -> None:
        """The request that was answered early is over."""
        if self._held is not None and self._held is not self._opened:
            self._final.append(self._held)
            self._held = None

    # ------------------------------------------------------------------ ends

    def _end(self, event: End) -> None:
        direction, _, cause = event
        if cause == "reset-by-peer":
            self._gone(Closing(1 - direction, "rst", None))
        elif cause in {"fin", "rst", "close-notify"}:
            self._gone(Closing(direction, cause, None))
        self._close(direction, cause)

    def _close(self, direction: int, cause: str) -> None:
        """Read no more of a direction."""
        self._readers[direction].close(clean=cause in _CLEAN or self._endings.cause(direction) in _CLEAN)
        if direction == TO_SERVER:
            self._drop_opened()
            self._release()

    def _drop_opened(self) -> None:
        """Forget an exchange that was opened for a head that came to nothing."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.response is None and not opened.interim:
            self._unanswered.remove(opened)

    def _gone(self, closing: Closing) -> None:
        """A side has given up; only its first sign counts, and the client's reset."""
        if closing.direction == TO_SERVER and self._endings.cause(TO_SERVER) is None:
            self._client_gone_at = self._readers[TO_CLIENT].seen
        self._endings.add(closing)

    def _is_late(self, exchange: Exchange) -> bool:
        """Whether its response began after the client had given up."""
        response = exchange.response
        return response is not None and response.head_offset >= self._client_gone_at

    def _stop(self) -> None:
        """What follows is no HTTP/1.x."""
        for reader in self._readers:
            reader.pass_on()
