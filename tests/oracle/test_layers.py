"""A second opinion on link layers and tunnels: packets that scapy builds, read by tshark and by easpcap."""

from __future__ import annotations

import io
import logging
import shutil
import struct
import subprocess
import warnings
from typing import Any, NamedTuple

import pytest

from easpcap.capture import open_capture
from easpcap.tcp.assembler import Assembler
from tests.capture.rows import rows_of
from tests.support.packets import pcap_bytes, pcapng_interface, pcapng_packet, pcapng_section

logging.getLogger("scapy").setLevel(logging.CRITICAL)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.contrib.chdlc import CHDLC
    from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
    from scapy.contrib.etherip import EtherIP
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.gtp import GTP_U_Header
    from scapy.contrib.macsec import MACsec
    from scapy.contrib.mpls import MPLS, EoMCW
    from scapy.layers.dot11 import Dot11, Dot11FCS, Dot11QoS, RadioTap
    from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, fragment
    from scapy.layers.inet6 import (
        ICMPv6DestUnreach,
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
        fragment6,
    )
    from scapy.layers.ipsec import AH
    from scapy.layers.l2 import (
        GRE,
        GRE_PPTP,
        LLC,
        SNAP,
        CookedLinux,
        CookedLinuxV2,
        Dot1AD,
        Dot1AH,
        Dot1Q,
        Dot3,
        Ether,
    )
    from scapy.layers.l2tp import L2TP
    from scapy.layers.ppp import HDLC, PPP, PPPoE
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Raw

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: make oracle"),
]


class Seen(NamedTuple):
    frame: int
    stream: int
    payload_bytes: int


def segment(size=5, **fields):
    fields = {"sport": 50000, "dport": 443, "seq": 1, "ack": 1, "flags": "PA", **fields}
    return TCP(**fields) / Raw(b"x" * size)


def v4(size=5, **fields):
    return IP(src="10.0.0.1", dst="10.0.0.2") / segment(size, **fields)


def v6(size=5, **fields):
    return IPv6(src="2001:db8::1", dst="2001:db8::2") / segment(size, **fields)


def outer(**fields):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2", **fields)


def in_udp(port):
    return outer() / UDP(sport=40000, dport=port)


def ether(kind=None):
    fields = {} if kind is None else {"type": kind}
    return Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04", **fields)


def data_frame(**fields):
    return Dot11(type=2, FCfield=1, addr1="02:00:00:00:00:05", addr2="02:00:00:00:00:06", **fields)


def subframe(packet):
    body = bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / packet)
    return b"\x02" * 12 + struct.pack(">H", len(body)) + body


def a_msdu(*packets):
    padded = [subframe(packet) + bytes(-len(subframe(packet)) % 4) for packet in packets[:-1]]
    return Raw(b"".join([*padded, subframe(packets[-1])]))


ICMP_UNREACHABLE = ether() / IP(src="203.0.113.1", dst="10.0.0.1") / ICMP(type=3, code=1)
QUOTED = IPerror(src="10.0.0.1", dst="10.0.0.2", len=40, proto=6)
#: tshark recognises Ethernet in a pseudowire by the makers of the network cards.
VMWARE = Ether(src="00:50:56:00:00:01", dst="00:50:56:00:00:02")
ETHERNET, RAW = 1, 101

#: name -> link type, packets. Each carries TCP in IPv4 and in IPv6 where both may be.
PACKETS: dict[str, tuple[int, list[Any]]] = {
    "gre": (ETHERNET, [outer() / GRE() / v4(), outer() / GRE() / v6()]),
    "gre with key": (ETHERNET, [outer() / GRE(key_present=1, key=7, seqnum_present=1, chksum_present=1) / v4()]),
    "gre with ethernet": (ETHERNET, [outer() / GRE(proto=0x6558) / ether() / v4()]),
    "gre in ipv6": (RAW, [IPv6(dst="2001:db8::9") / GRE() / v4()]),
    "gre of pptp": (ETHERNET, [outer() / GRE_PPTP(call_id=1, seqnum_present=1) / HDLC() / PPP(proto=0x21) / v4()]),
    "erspan 1": (ETHERNET, [outer() / GRE(proto=0x88BE) / ERSPAN_I() / ether() / v4()]),
    "erspan 2": (ETHERNET, [outer() / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / ether() / v6()]),
    "erspan 3": (ETHERNET, [outer() / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III() / ether() / v4()]),
    "erspan 3 platform": (
        ETHERNET,
        [outer() / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(o=1) / ERSPAN_PlatformSpecific() / ether() / v4()],
    ),
    "mpls": (ETHERNET, [ether(0x8847) / MPLS(label=99, s=0) / MPLS(label=18, s=1) / v4()]),
    "mpls ipv6": (ETHERNET, [ether(0x8847) / MPLS(label=18, s=1) / v6()]),
    "mpls pseudowire": (ETHERNET, [ether(0x8847) / MPLS(label=18, s=1) / EoMCW() / VMWARE / v4()]),
    "mpls pseudowire without control word": (ETHERNET, [ether(0x8847) / MPLS(label=18, s=1) / VMWARE / v4()]),
    "mpls in vlan": (ETHERNET, [ether() / Dot1Q(vlan=7, type=0x8847) / MPLS(label=18, s=1) / v4()]),
    "ip in ip": (ETHERNET, [outer() / v4()]),
    "6in4": (ETHERNET, [outer() / v6()]),
    "4in6 and 6in6": (RAW, [IPv6(dst="2001:db8::9") / v4(), IPv6(dst="2001:db8::9") / v6()]),
    "etherip": (ETHERNET, [outer(proto=97) / EtherIP() / ether() / v4()]),
    "vxlan": (ETHERNET, [in_udp(4789) / VXLAN(vni=5) / ether() / v4(), in_udp(4789) / VXLAN() / ether() / v6()]),
    "vxlan with vlan": (ETHERNET, [in_udp(4789) / VXLAN(vni=5) / ether() / Dot1Q(vlan=3) / v4()]),
    "geneve": (
        ETHERNET,
        [in_udp(6081) / GENEVE(vni=5) / ether() / v4(), in_udp(6081) / GENEVE(proto=0x800, options=[]) / v4()],
    ),
    "gtp": (ETHERNET, [in_udp(2152) / GTP_U_Header(teid=1) / v4(), in_udp(2152) / GTP_U_Header(teid=1) / v6()]),
    "l2tp": (ETHERNET, [in_udp(1701) / L2TP(tunnel_id=1, session_id=2) / HDLC() / PPP(proto=0x21) / v4()]),
    "vxlan-gpe": (ETHERNET, [in_udp(4790) / VXLAN(flags=0x0C, NextProtocol=1, vni=5) / v4()]),
    "802.1ad": (ETHERNET, [ether() / Dot1AD(vlan=5) / Dot1Q(vlan=6) / v4()]),
    "802.1ah": (ETHERNET, [ether(0x88E7) / Dot1AH(isid=5) / ether() / v4()]),
    "five tags": (ETHERNET, [ether() / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / v4()]),
    "cisco metadata": (ETHERNET, [ether(0x8909) / Raw(b"\1\1\0\1\0\5\x08\0") / v4()]),
    "vn-tag": (ETHERNET, [ether(0x8926) / Raw(b"\0\1\0\2\x08\0") / v4()]),
    "fabric path": (ETHERNET, [ether(0x8903) / Raw(b"\0\x41" + bytes(ether() / v4()) + b"\1\2\3\4")]),
    "macsec without encryption": (
        ETHERNET,
        [ether() / MACsec(E=0, C=0, SC=1, SCI=b"12345678", AN=0, PN=1, type=0x800) / v4()],
    ),
    "nsh": (ETHERNET, [ether(0x894F) / Raw(b"\x0f\xc6\1\1" + bytes(20)) / v4()]),
    "llc and snap": (ETHERNET, [Dot3(dst="02:00:00:00:00:04") / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / v4()]),
    "llc and ip": (ETHERNET, [Dot3(dst="02:00:00:00:00:04") / LLC(dsap=6, ssap=6, ctrl=3) / v4()]),
    "pppoe": (ETHERNET, [ether() / PPPoE() / PPP(proto=0x21) / v4(), ether() / PPPoE() / PPP(proto=0x57) / v6()]),
    "pppoe with padding": (ETHERNET, [ether() / PPPoE() / PPP(proto=0x21) / v4(0) / Raw(b"\xee" * 30)]),
    "pppoe shorter than ip": (
        ETHERNET,
        [ether() / PPPoE(len=42) / PPP(proto=0x21) / IP(src="10.0.0.1", dst="10.0.0.2", len=46) / segment(6)],
    ),
    "ah": (RAW, [IP(src="10.0.0.1", dst="10.0.0.2") / AH(nh=6, payloadlen=4, icv=b"i" * 12, spi=1) / segment()]),
    "ah in ipv6": (RAW, [IPv6(dst="2001:db8::9") / AH(nh=6, payloadlen=4, icv=b"i" * 12, spi=1) / segment()]),
    "ipv6 extensions": (
        RAW,
        [
            IPv6(dst="2001:db8::9") / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / segment(),
            IPv6(dst="2001:db8::9") / IPv6ExtHdrRouting(segleft=0) / IPv6ExtHdrFragment() / segment(),
        ],
    ),
    "fragments": (RAW, [*fragment(v4(3000), 1000), v4(7, seq=3001)]),
    "fragments out of order": (RAW, [v4(7), *reversed(fragment(v4(3000, seq=8), 1000)), v4(9, seq=3008)]),
    "fragments of ipv6": (RAW, [*fragment6(v6(3000), 1280), v6(7, seq=3001)]),
    "fragments in gre": (ETHERNET, [outer() / GRE() / part for part in fragment(v4(3000), 1000)]),
    "fragments of gre": (RAW, fragment(IP(dst="192.0.2.2") / GRE() / v4(3000), 1000)),
    "ppp": (9, [HDLC() / PPP(proto=0x21) / v4(), PPP(proto=0x57) / v6()]),
    "ppp serial": (50, [HDLC() / PPP(proto=0x21) / v4(), CHDLC(proto=0x800) / v4()]),
    "ppp with direction": (204, [Raw(b"\1") / HDLC() / PPP(proto=0x21) / v4()]),
    "cisco hdlc": (104, [CHDLC(proto=0x800) / v4(), CHDLC(proto=0x86DD) / v6()]),
    "cooked": (113, [CookedLinux(proto=0x800) / v4(), CookedLinux(proto=0x8100) / Dot1Q(vlan=7) / v4()]),
    "cooked with llc": (
        113,
        [CookedLinux(proto=4) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / v4(), CookedLinux(proto=0x86DD) / v6()],
    ),
    "cooked v2": (276, [CookedLinuxV2(proto=0x8100) / Dot1Q(vlan=7) / v4(), CookedLinuxV2(proto=0x86DD) / v6()]),
    "802.11": (105, [data_frame() / LLC() / SNAP() / v4()]),
    "802.11 qos": (105, [data_frame(subtype=8) / Dot11QoS() / LLC() / SNAP() / v6()]),
    "a-msdu": (
        105,
        [data_frame(subtype=8) / Dot11QoS(A_MSDU_Present=1) / a_msdu(v4(), v4(6, seq=6), v4(7, seq=12))],
    ),
    "radiotap": (127, [RadioTap() / data_frame() / LLC() / SNAP() / v4()]),
    "radiotap with padding": (
        127,
        [
            RadioTap(present="TSFT+Flags", mac_timestamp=1, Flags="pad")
            / Raw(bytes(data_frame(subtype=8) / Dot11QoS()) + b"\0\0" + bytes(LLC() / SNAP() / v4()))
        ],
    ),
    "radiotap with check sequence": (
        127,
        [
            RadioTap(present="Flags", Flags="FCS")
            / Dot11FCS(type=2, FCfield=1, addr1="02:00:00:00:00:05", addr2="02:00:00:00:00:06")
            / LLC()
            / SNAP()
            / v4()
        ],
    ),
    "ppi": (192, [Raw(struct.pack("<BBHI", 0, 0, 8, 105)) / data_frame() / LLC() / SNAP() / v4()]),
    "prism": (119, [Raw(struct.pack("<II", 0x44, 144) + bytes(136)) / data_frame() / LLC() / SNAP() / v4()]),
    "avs": (163, [Raw(struct.pack(">II", 0x80211001, 64) + bytes(56)) / data_frame() / LLC() / SNAP() / v4()]),
    "null": (0, [Raw(b"\2\0\0\0") / v4(), Raw(b"\x1e\0\0\0") / v6()]),
    "enc": (109, [Raw(b"\2\0\0\0" + bytes(8)) / v4()]),
    "pflog": (117, [Raw(b"\x3d\2\0\0" + bytes(60)) / v4()]),
    "frame relay": (107, [Raw(b"\x18\x41\x03\xcc") / v4(), Raw(b"\x18\x41\x03\0\x80\0\0\0\x08\0") / v4()]),
    "pktap": (258, [Raw(struct.pack("<III", 108, 1, 1) + bytes(96)) / ether() / v4()]),
    "juniper": (
        178,
        [
            Raw(b"MGC\1") / ether() / v4(),
            Raw(b"MGC\x80\0\6\3\1\2\4\1\2") / ether() / v6(),
            Raw(b"MGC\3\2\0\0\0") / v4(),
        ],
    ),
    "nflog": (
        239,
        [
            Raw(b"\2\0\0\1\5\0\x0aa\0\0\0\0" + struct.pack("<HH", len(v4()) + 4, 9)) / v4(),
            Raw(b"\x0a\0\0\1" + struct.pack("<HH", len(v6()) + 4, 9)) / v6(),
        ],
    ),
    "loop": (108, [Raw(b"\0\0\0\2") / v4(), Raw(b"\0\0\0\x18") / v6()]),
    "raw of one version": (228, [v4()]),
    "pppoe as link type": (51, [PPPoE() / PPP(proto=0x21) / v4()]),
    "length zero": (ETHERNET, [ether() / IP(src="10.0.0.1", dst="10.0.0.2", len=0) / segment(3000)]),
    "isl": (
        ETHERNET,
        [Raw(b"\1\0\x0c\0\0\0" + bytes(6) + b"\0\x4b\xaa\xaa\3" + bytes(9) + bytes(ether() / v4()) + bytes(4))],
    ),
    "lisp": (ETHERNET, [in_udp(4341) / Raw(b"\xc0" + bytes(7)) / v4()]),
    "atm": (100, [LLC() / SNAP() / v4()]),
    "trill": (ETHERNET, [ether(0x22F3) / Raw(b"\0\x3f\0\1\0\2") / ether() / v4()]),
    "hsr": (ETHERNET, [ether(0x892F) / Raw(b"\0\x40\0\1\x08\0") / v4()]),
    "wccp": (ETHERNET, [outer() / GRE(proto=0x883E) / Raw(bytes(4)) / v4()]),
    "tzsp": (ETHERNET, [in_udp(37008) / Raw(b"\1\0\0\1\1") / ether() / v4()]),
    "mpls in udp": (ETHERNET, [in_udp(6635) / MPLS(label=18, s=1) / v4()]),
    "fddi": (10, [Raw(b"\x50" + b"\2" * 12) / LLC() / SNAP() / v4()]),
    "an ICMP error before an unseen connection": (
        ETHERNET,
        [
            ICMP_UNREACHABLE / QUOTED / TCPerror(sport=1111, dport=443, seq=1, flags="A"),
            ether() / v4(sport=2222),
            ether() / v4(sport=1111),
            ether() / v4(sport=3333),
        ],
    ),
    "an ICMP error about a connection that was seen": (
        ETHERNET,
        [
            ether() / v4(sport=1111),
            ICMP_UNREACHABLE / QUOTED / TCPerror(sport=1111, dport=443, seq=1, flags="A"),
            ether() / v4(sport=2222),
        ],
    ),
    "an ICMPv6 error before an unseen connection": (
        RAW,
        [
            IPv6(dst="2001:db8::1") / ICMPv6DestUnreach() / bytes(v6(sport=1111)),
            v6(sport=2222),
        ],
    ),
    "an ICMP error in a tunnel": (
        ETHERNET,
        [outer() / GRE() / (ICMP_UNREACHABLE / QUOTED / TCPerror(sport=1111, dport=443))[IP], ether() / v4(sport=2222)],
    ),
    "an ICMP error with eight bytes": (
        ETHERNET,
        [ICMP_UNREACHABLE / QUOTED / Raw(b"\4\x57\1\xbb\0\0\0\1"), ether() / v4(sport=2222)],
    ),
}


def tshark_says(capture: bytes, folder) -> list[Seen]:
    """One row per TCP segment that tshark found, quoted ones left out."""
    path = folder / "packets.pcap"
    path.write_bytes(capture)
    options = ["-o", "ip.defragment:TRUE", "-o", "wlan.defragment:TRUE", "-T", "fields", "-E", "occurrence=a"]
    fields = [option for name in ("frame.number", "tcp.stream", "tcp.len") for option in ("-e", name)]
    command = ["tshark", "-n", "-r", str(path), *options, *fields]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    seen = []
    for frame, streams, sizes in (line.split("\t") for line in lines):
        pairs = zip(streams.split(","), sizes.split(","), strict=False)
        seen += [Seen(int(frame), int(stream), int(size)) for stream, size in pairs if stream and size]
    return seen


def easpcap_says(capture: bytes) -> list[Seen]:
    """One row per TCP segment that easpcap found, with the number that its connection gets in the end."""
    assembler, rows, connections = Assembler(), [], {}
    for batch in open_capture(io.BytesIO(capture)):
        rows += rows_of(batch)
        connections |= {connection.id: connection for connection, _ in assembler.feed(batch)}
    connections |= {connection.id: connection for connection, _ in assembler.finish()}
    firsts = {frozenset({tuple(c.client), tuple(c.server)}): c.first.frame for c in connections.values()}
    numbered = sorted([*firsts.values(), *assembler.unanswered_frames])
    flows = [frozenset({(row.src, row.sport), (row.dst, row.dport)}) for row in rows]
    return [Seen(row.frame, numbered.index(firsts[flow]), row.on_wire) for row, flow in zip(rows, flows, strict=True)]


ALONE = [name for name in PACKETS if "ICMP" in name or "fragments" in name]
TOGETHER = [name for name in PACKETS if name not in ALONE]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """For each name of TOGETHER what easpcap and what tshark found in its packets, all read as one capture."""
    interfaces, blocks, frames = [], [], {}
    for number, name in enumerate(TOGETHER):
        link_type, packets = PACKETS[name]
        interfaces.append(pcapng_interface(link_type))
        frames[name] = range(len(blocks) + 1, len(blocks) + len(packets) + 1)
        blocks += [pcapng_packet(10**9, bytes(packet), interface=number) for packet in packets]
    capture = pcapng_section() + b"".join([*interfaces, *blocks])
    found = easpcap_says(capture), tshark_says(capture, tmp_path_factory.mktemp("together"))
    return {name: tuple([seen for seen in side if seen.frame in frames[name]] for side in found) for name in TOGETHER}


@pytest.mark.parametrize("name", TOGETHER)
def test_the_segments_are_those_of_tshark(name, together):
    ours, tsharks = together[name]
    assert ours == tsharks
    assert len({seen.frame for seen in ours}) == len(PACKETS[name][1])


@pytest.mark.parametrize("name", ALONE)
def test_fragments_and_quotes_count_as_in_tshark(name, tmp_path):
    link_type, packets = PACKETS[name]
    capture = pcap_bytes([bytes(packet) for packet in packets], link_type=link_type)
    assert easpcap_says(capture) == tshark_says(capture, tmp_path)
