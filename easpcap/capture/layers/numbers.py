"""Numbers that decide which packets are walked, and the names of link types. They load with every capture: no code."""

from __future__ import annotations

from typing import Final

from easpcap.capture.packets import NO_PACKET

#: Display names of the link types that are decoded (https://www.tcpdump.org/linktypes.html).
DECODED: Final = {
    0: "BSD loopback",
    1: "Ethernet",
    9: "PPP",
    10: "FDDI",
    12: "Raw IP",
    14: "Raw IP",
    50: "PPP",
    51: "PPPoE",
    100: "ATM (RFC 1483)",
    101: "Raw IP",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    107: "Frame Relay",
    108: "OpenBSD loopback",
    109: "BSD enc",
    113: "Linux cooked v1",
    117: "OpenBSD pflog",
    119: "IEEE 802.11 Prism",
    127: "IEEE 802.11 radiotap",
    163: "IEEE 802.11 AVS",
    178: "Juniper Ethernet",
    192: "PPI",
    204: "PPP",
    205: "Cisco HDLC",
    219: "MPLS",
    228: "Raw IPv4",
    229: "Raw IPv6",
    239: "NFLOG",
    258: "PKTAP",
    276: "Linux cooked v2",
}
#: Names of some link types that are not decoded.
NOT_DECODED: Final = {
    6: "Token Ring",
    189: "USB",
    195: "IEEE 802.15.4",
    220: "USB",
    249: "USBPcap",
    252: "Wireshark upper PDU",
    253: "Netlink",
}

#: EtherTypes of protocols that never carry IP: XNS, ARP, Wake-on-LAN, VINES, stream reservation, AVTP, DECnet, RARP,
#: AppleTalk, SNA, AARP, IPX, flow control, slow protocols, CobraNet, PPPoE discovery, heartbeats of Windows NLB,
#: Broadcom, HomePlug, EAPOL, PROFINET, Realtek, AoE, EtherCAT, Powerlink, GOOSE, SV, pre-authentication, LLDP, SERCOS,
#: LLTD, WSMP, HomePlug AV, MRP, MVRP, MMRP, PTP, NC-SI, PRP, CFM, FCoE, 802.11 management, FIP, RoCE, IEEE 1905,
#: loopback test.
WITHOUT_IP: Final = (
    0x0600, 0x0806, 0x0842, 0x0BAD, 0x22EA, 0x22F0, 0x6001, 0x6002, 0x6003, 0x6004, 0x8035, 0x809B, 0x80D5, 0x80F3,
    0x8137, 0x8808, 0x8809, 0x8819, 0x8863, 0x886F, 0x8874, 0x887B, 0x888E, 0x8892, 0x8899, 0x88A2, 0x88A4, 0x88AB,
    0x88B8, 0x88BA, 0x88C7, 0x88CC, 0x88CD, 0x88D9, 0x88DC, 0x88E1, 0x88E3, 0x88F5, 0x88F6, 0x88F7, 0x88F8, 0x88FB,
    0x8902, 0x8906, 0x890D, 0x8912, 0x8914, 0x8915, 0x893A, 0x9000,
)  # fmt: skip
#: IP protocols that never carry TCP: IGMP, no next header, EIGRP, OSPF, PIM, VRRP, SCTP, and what else is common.
WITHOUT_TCP: Final = frozenset({2, 3, 8, 33, 46, 59, 88, 89, 103, 112, 132, 136})

#: UDP ports that tunnels are sent to: L2TP, GTP-U, LISP, ESP, VXLAN, VXLAN-GPE, GENEVE, MPLS, VXLAN before it had
#: a number, TZSP.
UDP_PORTS: Final = (1701, 2152, 4341, 4500, 4789, 4790, 6081, 6635, 8472, 37008)
#: ICMP messages that quote the packet they are about (RFC 792; RFC 4443 section 3).
ICMP_ERRORS: Final = (3, 4, 5, 11, 12)
ICMPV6_ERRORS: Final = (1, 2, 3, 4)


def link_type_name(link_type: int) -> str:
    """The display name of a link type."""
    return DECODED.get(link_type) or NOT_DECODED.get(link_type) or f"link type {link_type}"


def unsupported(link_type: int) -> str:
    """The reason under which packets of an undecoded link type are counted."""
    if link_type == NO_PACKET:
        return "no packet in the frame"
    return f"unsupported link type {link_type}" if link_type >= 0 else "no known link type"
