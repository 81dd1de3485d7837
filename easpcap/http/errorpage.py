"""The few words of an error page that name its cause. Nothing else of a body is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_ERROR_PAGE

if TYPE_CHECKING:
    from easpcap.http.body import BodyEnd, BodySink
    from easpcap.http.exchange import Exchange, Message, Response

#: By status: the words to look for, in lower case. 403: Apache's mod_ssl where it may not ask a client for its
#: certificate after the TLS 1.3 handshake; 500: ERROR_NOT_SUPPORTED of IIS for the same reason.
CAUSE_PHRASES: Final[dict[int, bytes]] = {403: b"post-handshake authentication", 500: b"0x80070032"}


def read_error_page(exchange: Exchange, message: Message) -> BodySink | None:
    """The sink for the body of ``message``: an ErrorPage where its status is one that has a cause phrase."""
    response = exchange.response
    if message is not response or response.status not in CAUSE_PHRASES:
        return None
    from easpcap.http.coding import decode  # few captures have such a page

    return decode(response, ErrorPage(response))


class ErrorPage:
    """Looks for the cause phrase of a response in the first bytes of its content, and notes it in the response."""

    __slots__ = ("_left", "_phrase", "_response", "_tail")

    def __init__(self, response: Response) -> None:
        self._response = response
        self._phrase = CAUSE_PHRASES[response.status]
        self._left = MAX_ERROR_PAGE
        self._tail = b""  # may be the beginning of the phrase

    def write(self, data: bytes, /) -> bool:
        """Look through the next bytes; whether later ones may hold the phrase."""
        content = data[: self._left]
        self._left -= len(content)
        text = self._tail + content.lower()
        if self._phrase in text:
            self._response.cause_phrase = self._phrase.decode()
            return False
        self._tail = text[1 - len(self._phrase) :]
        return self._left > 0

    def finish(self, end: BodyEnd, /) -> None:
        """Nothing is left to do: a phrase counts however the body ends."""
