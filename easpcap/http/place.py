"""Where an offset of the client's stream lies in a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.http.exchange import BodyPlace

if TYPE_CHECKING:
    from easpcap.http.exchange import Exchange, Request


def place_in_request(
    exchange: Exchange, request: Request, offset: int, read_to: int, uncertain: int = 0
) -> BodyPlace | None:
    """The place of ``offset``, which lies after the first byte of ``request``; None if the exchange was over there.

    Args:
        exchange: that of the request.
        request: one whose body_bytes are up to date.
        offset: of the client's stream.
        read_to: how far the client's stream has been read.
        uncertain: by how much more than its least length a gap in the body may be longer.
    """
    end = request.end_offset
    over = end is not None and offset >= end
    answered = exchange.response is not None and exchange.response.end_offset is not None
    if over and answered:
        return None
    chunked = request.framing == "chunked"
    body_offset = max(offset - request.body_offset, 0)
    if over and not chunked:
        body_offset = request.content_length or 0
    elif over or (chunked and offset >= read_to):
        body_offset = request.body_bytes + request.missing
    in_head = offset < request.body_offset
    if in_head or over:
        uncertain = 0
    elif request.content_length is not None:
        uncertain = min(uncertain, max(request.content_length - body_offset, 0))
    return BodyPlace(exchange, body_offset, over, in_head, request.content_length, chunked, uncertain)
