"""What follows what: every layer by the table and number that announce it, and the names of those that are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.capture.layers import by_scapy, ethernet, internet, tunnels, wireless, wrappers
from easpcap.capture.layers.cursor import (
    ETHERNET,
    ETHERTYPE,
    IP,
    IP_PROTOCOL,
    LINK,
    LLC,
    LLC_SERVICE,
    NLPID,
    PPP,
    SNAP,
    UDP_PORT,
    before,
    header,
)
from easpcap.capture.layers.numbers import UDP_PORTS, WITHOUT_IP, WITHOUT_TCP, unsupported

if TYPE_CHECKING:
    from easpcap.capture.layers.cursor import Layer, Next

LINK_TYPES: Final[dict[int, Layer]] = {
    0: wrappers.loopback,
    1: ethernet.ethernet,
    9: ethernet.ppp,
    10: before(13, LLC),
    12: internet.ip,  # DLT_RAW of most systems and of OpenBSD, which some programs write into files
    14: internet.ip,
    50: ethernet.ppp_or_hdlc,
    51: ethernet.pppoe,
    100: ethernet.llc,
    101: internet.ip,
    104: ethernet.hdlc,
    105: wireless.dot11,
    107: ethernet.frame_relay,
    108: wrappers.loopback,
    109: before(12, IP),
    113: ethernet.cooked,
    117: wrappers.pflog,
    119: wireless.prism,
    127: wireless.radiotap,
    163: wireless.avs,
    178: wrappers.juniper,
    192: wrappers.ppi,
    204: before(1, (LINK, 50)),  # the direction
    205: before(1, (LINK, 104)),
    219: ethernet.mpls,
    228: internet.ip,
    229: internet.ip,
    239: wrappers.nflog,
    258: wrappers.pktap,
    276: ethernet.cooked2,
}

ETHERTYPES: Final[dict[int, Layer]] = {
    0x0800: internet.ip,
    0x6558: ethernet.ethernet,  # transparent Ethernet bridging in GRE and GENEVE
    0x8100: header(4, ETHERTYPE, 2),  # VLAN tags: 802.1Q, 802.1ad, and the numbers used before 802.1ad
    0x86DD: internet.ip,
    0x8847: ethernet.mpls,
    0x8848: ethernet.mpls,
    0x8864: ethernet.pppoe,
    0x8870: before(0, LLC),  # in place of a length above 1500
    0x880B: ethernet.ppp,  # in GRE
    0x883E: tunnels.wccp,  # in GRE
    0x88A8: header(4, ETHERTYPE, 2),
    0x88E5: ethernet.macsec,
    0x88E7: before(4, ETHERNET, "802.1ah"),
    0x8903: before(2, ETHERNET, "FabricPath"),
    0x8909: ethernet.cisco_metadata,
    0x8926: header(6, ETHERTYPE, 4),  # VN-Tag
    0x894F: ethernet.service_function,
    0x892F: header(6, ETHERTYPE, 4),  # HSR
    0x9100: header(4, ETHERTYPE, 2),
    0x9200: header(4, ETHERTYPE, 2),
    0x22EB: tunnels.erspan3,  # in GRE
    0x22F3: ethernet.trill,
}

IP_PROTOCOLS: Final[dict[int, Layer]] = {
    0: internet.extension,  # hop by hop
    1: internet.icmp,
    4: before(0, IP, "IP in IP"),
    17: internet.udp,
    41: before(0, IP, "IPv6 in IP"),
    43: internet.extension,  # routing
    44: internet.fragment_header,
    47: tunnels.gre,
    50: tunnels.encrypted,
    51: internet.authentication,
    58: internet.icmpv6,
    60: internet.extension,  # destination options
    97: before(2, ETHERNET, "EtherIP"),
    135: internet.extension,  # mobility
    137: ethernet.mpls,
    139: internet.extension,  # host identity
    140: internet.extension,  # shim6
}

PPP_PROTOCOLS: Final[dict[int, Layer]] = {
    0x0021: internet.ip,
    0x0031: ethernet.ppp_bridged,
    0x0057: internet.ip,
    0x0281: ethernet.mpls,
    0x0283: ethernet.mpls,
}

UDP_TUNNELS: Final[dict[int, Layer]] = {
    1701: by_scapy.l2tp,
    2152: by_scapy.gtp_u,
    4341: tunnels.lisp,
    4500: tunnels.encrypted_in_udp,
    4789: tunnels.vxlan,
    4790: by_scapy.vxlan_gpe,
    6081: tunnels.geneve,
    6635: ethernet.mpls,
    8472: tunnels.vxlan,  # the port of Linux before there was a number
    37008: by_scapy.tzsp,
}

LAYERS: Final[dict[Next, Layer]] = {
    LLC: ethernet.llc,
    (NLPID, 0xCC): internet.ip,
    (NLPID, 0x8E): internet.ip,
    **{(LINK, number): layer for number, layer in LINK_TYPES.items()},
    **{(ETHERTYPE, number): layer for number, layer in ETHERTYPES.items()},
    **{(IP_PROTOCOL, number): layer for number, layer in IP_PROTOCOLS.items()},
    **{(PPP, number): layer for number, layer in PPP_PROTOCOLS.items()},
    **{(UDP_PORT, port): UDP_TUNNELS[port] for port in UDP_PORTS},
}

#: Announced by these numbers, a packet has no IP.
NOT_IP: Final[frozenset[Next]] = frozenset(
    {(ETHERTYPE, number) for number in WITHOUT_IP}
    | {(ETHERTYPE, number) for number in (0x0000, 0x2000, 0x2003, 0x2004, 0xFEFE)}  # keepalives, CDP, DTP, IS-IS
    | {(LINK, 253)}
    # spanning tree, NetBIOS, IPX, IS-IS; Cisco's CDP, VTP, DTP, PAgP, PVST and UDLD
    | {(LLC_SERVICE, number) for number in (0x42, 0xE0, 0xF0, 0xFE, 0xFF)}
    | {(SNAP, 0x00000C << 16 | number) for number in (0x0104, 0x010B, 0x0111, 0x2000, 0x2003, 0x2004)}
)
#: PPP protocols from here on control the link (RFC 1661 section 2), and those between control its networks.
PPP_CONTROL: Final = 0x8000
#: What some numbers hide, which would otherwise be named by number.
NAMES: Final[dict[Next, str]] = {
    (IP_PROTOCOL, 55): "Mobile IP",
    (IP_PROTOCOL, 108): "IPComp",
    (IP_PROTOCOL, 115): "L2TP",
    (PPP, 0x002D): "PPP with compressed TCP",
    (PPP, 0x002F): "PPP with compressed TCP",
    (PPP, 0x003D): "PPP multilink",
    (PPP, 0x00FD): "PPP, compressed or encrypted",
}


def unread_reason(following: Next) -> str:
    """Why a packet that goes on with ``following``, which is in no table, is not read."""
    table, number = following
    if table == LINK:
        return unsupported(number)
    if following in NOT_IP or (table == PPP and number >= PPP_CONTROL):
        return "not IP"
    if table == UDP_PORT or (table == IP_PROTOCOL and number in WITHOUT_TCP):
        return "not TCP"
    if following in NAMES:
        return NAMES[following]
    return f"{table} {number}" if table == IP_PROTOCOL else f"{table} 0x{number:x}"
