"""HttpConversation: pairs the requests and responses of one connection, and says how each exchange ended.

Responses answer requests in their order (RFC 9112 section 9.3), so the oldest unanswered request owns the next
response. It may come before the request has ended, and a client may be gone when it comes: what the client did with it
decides then whether the exchange was completed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.http.errorpage import read_error_page
from easpcap.http.exchange import BodyPlace, Exchange, Interim, Message, Request, Response
from easpcap.http.framing import SWITCHING_PROTOCOLS, is_interim, is_tunnel, request_framing, response_framing
from easpcap.http.head import parse_head, parse_request_line, parse_status_line
from easpcap.http.outcome import Closing, Endings, response_was_lost
from easpcap.http.place import place_in_request
from easpcap.http.reader import MessageReader
from easpcap.http.start import HTTP2_PREFACE, likely_request, likely_response, starts_request, starts_response
from easpcap.limits import MAX_CONNECTION_ANOMALIES, MAX_HTTP_GUESSES, MAX_HTTP_INTERIM, MAX_PIPELINED
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly, Data, End, Gap

if TYPE_CHECKING:
    from easpcap.http.body import ChooseSink
    from easpcap.http.callbacks import Locate
    from easpcap.stream import Position

_ORDERLY: Final = frozenset({"fin", "close-notify"})


class HttpConversation:
    """Turns the plaintext of one connection into exchanges.

    Args:
        connection: its id, which the exchanges carry.
        locate: where a delivered byte was captured; called as boundaries pass.
        first_index: how many exchanges the connection had before.
        choose_sink: chooses who reads a body; without it only error pages are read, for the words that name a cause.
    """

    __slots__ = (
        "_answered_early",
        "_choose_sink",
        "_connection",
        "_endings",
        "_ends_in_gap",
        "_final",
        "_late",
        "_latest",
        "_locate",
        "_next_index",
        "_opened",
        "_readers",
        "_unanswered",
        "_unknown_pieces",
        "anomalies",
        "protocol",
        "tunnel",
    )  # fmt: skip

    def __init__(
        self, connection: int, locate: Locate, first_index: int = 0, choose_sink: ChooseSink = read_error_page
    ) -> None:
        self.anomalies: list[Anomaly] = []
        self.protocol: str | None = None  # "http/1" or "h2", once it is known
        self.tunnel = ""  # what made the rest of the connection another protocol: a CONNECT, or an upgrade
        self._connection = connection
        self._locate = locate
        self._choose_sink = choose_sink
        self._readers = (
            MessageReader(TO_SERVER, starts_request, likely_request, locate, self),
            MessageReader(TO_CLIENT, starts_response, likely_response, locate, self),
        )
        self._unanswered: list[Exchange] = []  # their final response has not come, or not to its end; oldest first
        self._latest: Exchange | None = None  # the newest request
        self._opened: Exchange | None = None  # that of a request whose head is not complete
        self._answered_early: Exchange | None = None  # completed while its request still passes
        self._late: list[Exchange] = []  # answered after the client had closed: judged at the end
        self._final: list[Exchange] = []  # to be returned next
        self._endings = Endings()
        self._ends_in_gap = False  # the client's last bytes are missing, as far as is known
        self._unknown_pieces = [0, 0]  # pieces of each direction that began no message
        self._next_index = first_index

    # ------------------------------------------------------------------ what comes in

    def feed(self, event: Data | Gap | End) -> list[Exchange]:
        """Read the next event; the exchanges that became final by it."""
        if isinstance(event, Data):
            direction, offset, data = event
            reader = self._readers[direction]
            size = len(data)
            if size < reader.remaining and not reader.uncertain_bytes:  # nothing but body: only numbers change
                reader.remaining -= size
                reader.next_offset = offset + size
                if reader.sink is not None:
                    reader.write_body(data)
                return []
            reader.feed(offset, data)
            if direction == TO_SERVER:
                self._ends_in_gap = False
        elif isinstance(event, Gap):
            self._ends_in_gap |= event.direction == TO_SERVER
            self._readers[event.direction].gap(event.offset, event.length, event.most)
        else:
            self._end(event)
        if not self._final:
            return []
        final, self._final = self._final, []
        return final

    def sender_closed(self, direction: int, cause: str, position: Position) -> None:
        """The sender of ``direction`` closed it by a fin, rst, close-notify or (fatal) alert at ``position``.

        Call it when that is seen, even before the bytes and the End of that direction have come: whether the client
        gave up before the response began depends on it.
        """
        self._note_closing(Closing(direction, cause, position))

    def sender_went_on(self, direction: int) -> None:
        """The RST by which the sender of ``direction`` seemed to close it did not count."""
        self._endings.withdraw(direction)

    def finish(self) -> list[Exchange]:
        """No more events will come: return every exchange that is left, whole or not, with its outcome."""
        for direction in (TO_SERVER, TO_CLIENT):
            self._close(direction, "capture-end")
        left = sorted([*self._late, *self._unanswered], key=lambda exchange: exchange.index)
        # Where the capture lacks the client's last bytes, it may lack the response that came at the same time.
        lost = self._readers[TO_CLIENT].message_may_be_lost or self._ends_in_gap
        for exchange in left:
            self._endings.judge(exchange, lost=lost)
        self._final += left
        self._late.clear()
        self._unanswered.clear()
        final, self._final = self._final, []
        return final

    def forget(self) -> None:
        """Cut the references back to this object, so that its memory is free at once; nothing may be called after."""
        del self._readers

    # ------------------------------------------------------------------ what is asked

    @property
    def awaits_tunnel(self) -> bool:
        """Whether the oldest request without a response is a CONNECT."""
        exchange = self._unanswered[0] if self._unanswered else None
        return exchange is not None and exchange.request is not None and exchange.request.method == "CONNECT"

    @property
    def next_index(self) -> int:
        """How many exchanges the connection has had, those before this conversation included."""
        return self._next_index

    def next_offset(self, direction: int) -> int:
        """The plaintext offset after the last byte of ``direction`` that was read."""
        return self._readers[direction].next_offset

    def keep_from(self, direction: int) -> int:
        """The smallest plaintext offset of ``direction`` whose position may still be asked for."""
        return self._readers[direction].keep_from()

    def request_at(self, offset: int, hidden: int = 0) -> BodyPlace | None:
        """Where ``offset`` of the client's stream lies: in a request, or after one whose response is not complete.

        None: between requests. At the offset of a request's first byte the server has nothing of that request yet, so
        this offset lies before the request. ``hidden``: so many bytes of the client, of which some may be of the body,
        are lost or could not be read, and no event of the stream tells of them yet.
        """
        reader = self._readers[TO_SERVER]
        if (
            reader.has_unfinished_head
            and offset > reader.head_offset
            and all(exchange is self._opened for exchange in self._unanswered)
        ):
            return BodyPlace(self._open(), 0, complete=False, in_head=True, announced=None, chunked=False)
        for exchange in self._in_progress():
            request = exchange.request
            if request is not None and offset > request.head_offset:
                reader.count_body()
                uncertain = reader.uncertain_bytes + hidden if reader.message is request else 0
                return place_in_request(exchange, request, offset, reader.next_offset, uncertain)
        return None

    def _in_progress(self) -> list[Exchange]:
        """The requests that the server may be working on, the likeliest first.

        It works through pipelined requests in order (RFC 9112 section 9.3.2), so the oldest without a response comes
        first, except one whose response may be missing from the capture while there are later ones.
        """
        latest = [self._latest] if self._latest is not None else []
        doubtful = [exchange for exchange in self._unanswered if exchange.gap_before_response]
        return [*(each for each in self._unanswered if not each.gap_before_response), *latest, *reversed(doubtful)]

    # ------------------------------------------------------------------ what the readers found

    def message_begins(self, direction: int, head: bytes, offset: int, whole: bool) -> Message:
        """A head was read."""
        self.protocol = "http/1"
        if direction == TO_SERVER:
            return self._begin_request(head, offset, whole)
        return self._begin_response(head, offset, whole)

    def message_ended(self, direction: int, message: Message) -> None:
        """The last byte of a message has passed."""
        if direction == TO_SERVER:
            if self._answered_early is not None:
                self._release()
        elif isinstance(message, Response) and not is_interim(message.status):
            self._answered(message)

    def message_lost(self, direction: int, message: Message) -> None:
        """The rest of a message cannot be found."""
        if direction == TO_SERVER:
            self._release()
        elif isinstance(message, Response) and self._unanswered and self._unanswered[0].response is message:
            self._interrupt(self._unanswered.pop(0))

    def gap_between_messages(self, direction: int) -> None:
        """Bytes are missing where a message may have begun."""
        if direction == TO_CLIENT:
            for exchange in self._unanswered:
                exchange.gap_before_response |= exchange.response is None

    def not_a_message(self, direction: int, data: bytes) -> None:
        """Bytes begin no message: recognise HTTP/2, and give up where neither side speaks HTTP."""
        if self.protocol is None:
            unknown = self._unknown_pieces
            unknown[direction] += 1
            if direction == TO_SERVER and HTTP2_PREFACE.startswith(data[: len(HTTP2_PREFACE)]):
                self.protocol = "h2"
                self._stop()
            elif all(unknown) and sum(unknown) > MAX_HTTP_GUESSES:
                self._stop()

    def note(self, code: str, direction: int, offset: int, detail: str) -> None:
        """Keep an anomaly, if there are not too many."""
        if len(self.anomalies) < MAX_CONNECTION_ANOMALIES:
            self.anomalies.append(Anomaly(code, direction, offset, detail))

    # ------------------------------------------------------------------ requests

    def _begin_request(self, head: bytes, offset: int, whole: bool) -> Request:
        first = self._locate(TO_SERVER, offset)
        self._before_request(first)
        parsed = parse_head(head, whole=whole)
        kind, length, odd_length = request_framing(parsed)
        start, headers, _, _, odd_field = parsed
        method, target, version = parse_request_line(start)
        body_at = offset + len(head)
        if not whole:
            kind = "none"
        request = Request(  # by place, which takes half as long as by name; of the body nothing is seen yet
            version, headers, offset, body_at, first, first, kind, length, 0, None, 0, method, target
        )
        if odd_field or odd_length:
            self._note_odd_head(TO_SERVER, offset, odd_field, odd_length)
        exchange = self._open()
        exchange.request = request
        self._opened = None
        if whole:
            self._readers[TO_SERVER].sink = self._choose_sink(exchange, request)
        return request

    def _before_request(self, first: Position) -> None:
        """A client that sends its next request has had the responses that gaps hide (or pipelines, which is rare)."""
        responses = self._readers[TO_CLIENT]
        if responses.uncertain_bytes or responses.message_may_be_lost:
            responses.expect_next_message()
        if not self._unanswered:
            return
        while self._unanswered and response_was_lost(self._unanswered[0], first):
            self._interrupt(self._unanswered.pop(0))
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
            if whole:
                self._readers[TO_CLIENT].sink = self._choose_sink(exchange, response)
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
        if self._opened is None and self._readers[TO_SERVER].has_unfinished_head:
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
        if self._endings.is_late(response):
            self._late.append(exchange)
            return
        exchange.outcome = "interrupted" if response.missing else "completed"
        if exchange is self._opened or (request is not None and request is self._readers[TO_SERVER].message):
            self._answered_early = exchange
        else:
            self._final.append(exchange)

    def _interrupt(self, exchange: Exchange) -> None:
        exchange.outcome = "interrupted"
        self._final.append(exchange)

    def _release(self) -> None:
        """The request that was answered early is over."""
        if self._answered_early is not None and self._answered_early is not self._opened:
            self._final.append(self._answered_early)
            self._answered_early = None

    # ------------------------------------------------------------------ ends

    def _end(self, event: End) -> None:
        direction, _, cause = event
        if cause == "reset-by-peer":
            self._note_closing(Closing(1 - direction, "rst", None))
        elif cause in {"fin", "rst", "close-notify"}:
            self._note_closing(Closing(direction, cause, None))
        self._close(direction, cause)

    def _note_closing(self, closing: Closing) -> None:
        self._endings.add(closing, self._readers[TO_CLIENT].next_offset)

    def _close(self, direction: int, cause: str) -> None:
        """Read no more of a direction."""
        self._readers[direction].close(clean=cause in _ORDERLY or self._endings.cause(direction) in _ORDERLY)
        if direction == TO_SERVER:
            self._drop_opened()
            self._release()

    def _drop_opened(self) -> None:
        """Forget an exchange that was opened for a head that came to nothing."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.response is None and not opened.interim:
            self._unanswered.remove(opened)

    def _stop(self) -> None:
        """What follows is no HTTP/1.x."""
        for reader in self._readers:
            reader.stop()
