"""walk(): one packet, from its link type to the TCP inside it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from easpcap.capture.layers.cursor import IP_PROTOCOL, LINK, TCP, Cursor, Held, Segment, Unread
from easpcap.capture.layers.tables import LAYERS, NOT_IP, unread_reason
from easpcap.limits import MAX_HEADERS

if TYPE_CHECKING:
    from easpcap.capture.layers.cursor import Next


def walk(cursor: Cursor, link_type: int) -> tuple[list[Segment], str]:
    """The TCP segments of a packet, and the reason why there are none ("" where one may still come).

    A packet has more than one segment only if it is an aggregate of several frames.
    """
    segments, reasons = [], []
    contents: list[tuple[Cursor, Next]] = [(cursor, (LINK, link_type))]
    cursor.branches = contents
    for part, following in contents:  # a layer may append to them
        try:
            segments.append(_to_tcp(part, following))
        except Unread as unread:
            reasons.append("ICMP error" if part.quoted else str(unread))
        except Held:
            reasons.append("")
        except (struct.error, IndexError):
            reasons.append("ICMP error" if part.quoted else _cut_reason(part))
    return segments, reasons[0] if reasons and not segments else ""


def _to_tcp(cursor: Cursor, following: Next) -> Segment:
    """Go from header to header. Raises Unread, Held, struct.error or IndexError where TCP is not reached."""
    for _ in range(MAX_HEADERS):
        if following == TCP:
            return Segment(
                cursor.at,
                len(cursor.data),
                cursor.wire_end,
                cursor.source,
                cursor.target,
                cursor.datagram,
                cursor.quoted,
            )
        layer = LAYERS.get(following)
        if layer is None:
            return _unread(cursor, following)
        following = layer(cursor)
    return cursor.give_up("too many headers")


def _unread(cursor: Cursor, following: Next) -> Segment:
    reason = unread_reason(following)
    if following in NOT_IP or following[0] == IP_PROTOCOL or reason.startswith("not "):
        raise Unread(reason)
    return cursor.give_up(reason)


def _cut_reason(cursor: Cursor) -> str:
    """Why a header ends too early: the snap length cut it, or its packet has fewer bytes than it needs."""
    if cursor.wire_end > len(cursor.data):
        return "truncated before TCP"
    return f"{cursor.tunnel}, malformed" if cursor.tunnel else "malformed"
