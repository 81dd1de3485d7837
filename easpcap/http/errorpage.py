"""The few words of an error page that name its cause. Nothing else of a body is looked at or kept."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_ERROR_PAGE

if TYPE_CHECKING:
    from easpcap.http.exchange import Response

#: By status: what is looked for, in lower case. Apache's mod_ssl where it may not ask a client for its certificate
#: after the TLS 1.3 handshake; ERROR_NOT_SUPPORTED of IIS for the same reason.
TELLING: Final[dict[int, bytes]] = {403: b"post-handshake authentication", 500: b"0x80070032"}


class ErrorPage:
    """Looks through the first bytes of the body of a response, as they come."""

    __slots__ = ("_inflate", "_left", "_phrase", "_response", "_tail")

    def __init__(self, response: Response) -> None:
        self._response = response
        self._phrase = TELLING[response.status]
        self._left = MAX_ERROR_PAGE
        self._tail = b""  # what may be the beginning of the phrase
        packed = response.header("content-encoding") in {"gzip", "x-gzip", "deflate"}
        self._inflate = zlib.decompressobj(wbits=47) if packed else None  # gzip or zlib, by their headers

    def read(self, offset: int, data: bytes) -> bool:
        """The next bytes of the direction, at ``offset``; whether more may tell something."""
        body = data[max(self._response.body_offset - offset, 0) :][: self._left]
        self._left -= len(body)
        if self._inflate is not None:
            try:
                body = self._inflate.decompress(body, MAX_ERROR_PAGE)
            except zlib.error:
                return False
        text = self._tail + body.lower()
        if self._phrase in text:
            self._response.cause_phrase = self._phrase.decode()
            return False
        self._tail = text[-len(self._phrase) :]
        return self._left > 0
