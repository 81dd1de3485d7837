"""Rare tunnels that scapy reads: GTP-U, L2TP, VXLAN-GPE and TZSP. It is loaded with the first packet of one of them."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from easpcap.capture.layers.cursor import ETHERNET, IP, LINK, Next, Unread

if TYPE_CHECKING:
    from easpcap.capture.layers.cursor import Cursor, Layer

#: Bytes that scapy is given: no header of these tunnels is longer, and what follows it is not read by scapy.
HEAD_BYTES: Final = 512

#: What scapy calls the layer after the tunnel, and what it is.
CONTENTS: Final[dict[str, Next]] = {
    "IP": IP,
    "IPv6": IP,
    "Ether": ETHERNET,
    "Dot3": ETHERNET,
    "PPP": (LINK, 9),
    "HDLC": (LINK, 9),
    "Dot11": (LINK, 105),
    "Dot11FCS": (LINK, 105),
}


def tunnel(name: str, mask: int, value: int, module: str, header: str) -> Layer:
    """A tunnel in UDP: where its first two bytes have ``value`` under ``mask``, it carries packets."""

    def read(cursor: Cursor) -> Next:
        if cursor.u16(0) & mask != value:
            raise Unread("not TCP")
        cursor.tunnel = name
        size, following = _dissect(module, header, cursor.take(0, HEAD_BYTES))
        if following is None:
            cursor.give_up("unknown content")
        cursor.skip(size)
        return following

    return read


gtp_u: Final = tunnel("GTP-U", 0xF0FF, 0x30FF, "scapy.contrib.gtp", "GTP_U_Header")  # 3GPP TS 29.281, G-PDU
l2tp: Final = tunnel("L2TP", 0x800F, 0x0002, "scapy.layers.l2tp", "L2TP")  # RFC 2661 section 3.1, data
vxlan_gpe: Final = tunnel("VXLAN-GPE", 0x0C00, 0x0C00, "scapy.layers.vxlan", "VXLAN")
tzsp: Final = tunnel("TZSP", 0xFFFF, 0x0100, "scapy.contrib.tzsp", "TZSP")


def _dissect(module: str, header: str, head: bytes) -> tuple[int, Next | None]:
    """The length of the tunnel's headers, and what follows them; None where that is not known."""
    try:
        layer = _header_class(module, header)(head)
        size = 0
        for part in layer.iterpayloads():
            following = CONTENTS.get(type(part).__name__)
            if following is not None:
                return size, following
            size += len(part.raw_packet_cache or b"")
    except Exception:  # noqa: BLE001, S110  # scapy raises what its dissectors happen to raise
        pass
    return 0, None


@cache
def _header_class(module: str, header: str) -> Any:  # noqa: ANN401  # scapy has no types
    """The scapy class of a header. Nothing that scapy says about this computer's network is of interest."""
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for known in ("scapy.layers.inet", "scapy.layers.inet6", "scapy.layers.ppp", "scapy.layers.dot11"):
            import_module(known)
        return getattr(import_module(module), header)
