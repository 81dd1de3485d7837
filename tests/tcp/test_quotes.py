"""Connections that ICMP errors quote: they count in the numbers of connections, as in Wireshark's tcp.stream."""

from __future__ import annotations

import pytest

from easpcap import limits
from easpcap.batch import ACK, SYN, Quote
from easpcap.pipeline import analyze
from easpcap.tcp.assembler import Assembler
from tests.support.batches import CLIENT, SERVER, Packet, address, batch
from tests.support.packets import ethernet, ipv4, pcap_bytes, tcp, tcp_packet

QUOTED = ("10.0.0.1", 1111)


def quote(frame, source=QUOTED, target=SERVER):
    return Quote(frame, frame * 10**6, (*address(source[0]), source[1]), (*address(target[0]), target[1]))


def opening(frame, client=CLIENT):
    return Packet(client, SERVER, seq=100, flags=SYN, frame=frame)


def connections_of(*batches, columnar):
    """The first frames of all connections with packets, by client port, and the frames that count without one."""
    assembler, firsts = Assembler(columnar=columnar), {}
    events = [event for one in batches for event in assembler.feed(one)] + list(assembler.finish())
    for connection, _ in events:
        firsts[connection.client.port] = connection.first.frame
    return firsts, list(assembler.unanswered_frames)


def quoting(packets, *quotes):
    made = batch(packets)
    made.quoted = quotes
    return made


both_paths = pytest.mark.parametrize("columnar", [True, False])


@both_paths
def test_a_connection_that_was_only_quoted_counts_with_the_frame_of_the_error(columnar):
    assert connections_of(quoting([opening(2)], quote(1)), columnar=columnar) == ({50000: 2}, [1])


@both_paths
def test_however_often_it_is_quoted_and_in_either_direction(columnar):
    again = quoting([opening(5, ("10.0.0.3", 2))], quote(4, SERVER, QUOTED))
    found = connections_of(quoting([opening(3)], quote(1), quote(2)), again, columnar=columnar)
    assert found == ({50000: 3, 2: 5}, [1])


@both_paths
def test_a_connection_that_opens_after_it_was_quoted_begins_with_the_quote(columnar):
    same = connections_of(quoting([opening(2), opening(3, QUOTED)], quote(1)), columnar=columnar)
    later = connections_of(quoting([opening(2)], quote(1)), batch([opening(3, QUOTED)]), columnar=columnar)
    assert same == later == ({50000: 2, 1111: 1}, [])


@both_paths
def test_a_quote_of_a_connection_that_was_seen_uses_up_no_number(columnar):
    same = connections_of(quoting([opening(1, QUOTED), opening(3)], quote(2)), columnar=columnar)
    later = connections_of(batch([opening(1, QUOTED)]), quoting([opening(3)], quote(2)), columnar=columnar)
    assert same == later == ({1111: 1, 50000: 3}, [])


def test_a_flood_of_quotes_is_bounded(monkeypatch):
    monkeypatch.setattr("easpcap.tcp.quotes.MAX_QUOTED_CONNECTIONS", 10)
    quotes = [quote(frame, ("10.0.0.1", frame)) for frame in range(1, 100)]
    assert connections_of(quoting([opening(100)], *quotes), columnar=True) == ({50000: 100}, list(range(1, 11)))
    assert limits.MAX_QUOTED_CONNECTIONS >= 10


def test_connections_after_the_error_have_the_numbers_of_wireshark(tmp_path):
    quoted = ipv4("10.0.0.1", "10.0.0.2", tcp(1111, 443, 1, 0, ACK))
    error = ethernet(ipv4("203.0.113.1", "10.0.0.1", b"\3\1" + bytes(6) + quoted, protocol=1))
    packets = [tcp_packet(sport=3, payload=b"a"), error, tcp_packet(sport=5, payload=b"b")]
    path = tmp_path / "quoted.pcap"
    path.write_bytes(pcap_bytes(packets))
    found = analyze([str(path)]).connections
    assert [(connection.id, connection.client.port) for connection in found] == [(0, 3), (2, 5)]
