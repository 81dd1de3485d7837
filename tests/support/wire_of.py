"""A capture of TLS flights, so that a whole program, ours or another, can read what a script wrote."""

from __future__ import annotations

from tests.support.packets import ACK, FIN, PSH, SYN, pcap_bytes, tcp_packet

CLIENT, SERVER = ("10.0.0.1", 50000), ("10.0.0.2", 443)
SEGMENT = 1400


def pcap_of(flights, *, port=443):
    """A pcap file with one TCP connection that carries the (direction, bytes) ``flights`` in order."""
    return pcap_bytes(packets_of(flights, port=port))


def packets_of(flights, *, port=443, sport=50000):
    """The packets of that connection: its opening, a segment at most 1400 bytes long, FINs of both sides."""
    ends = [("10.0.0.1", sport), ("10.0.0.2", port)]
    following = [1001, 70_001]

    def packet(sender, flags, payload=b"", **numbers):
        (src, from_port), (dst, to_port) = ends[sender], ends[1 - sender]
        numbers = {"seq": following[sender], "ack": following[1 - sender], **numbers}
        return tcp_packet(src, dst, from_port, to_port, flags=flags, payload=payload, **numbers)

    packets = [packet(0, SYN, seq=1000, ack=0), packet(1, SYN | ACK, seq=70_000), packet(0, ACK)]
    for sender, flight in flights:
        for at in range(0, len(flight), SEGMENT):
            piece = flight[at : at + SEGMENT]
            packets.append(packet(sender, PSH | ACK, piece))
            following[sender] += len(piece)
    for sender in (0, 1):
        packets.append(packet(sender, FIN | ACK))
        following[sender] += 1
    return packets
