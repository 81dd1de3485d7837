"""The life of a connection: it opens, carries bytes in two directions, loses some, and closes in one of many ways."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest

from easpcap import limits
from easpcap.batch import ACK, FIN, RST, SYN
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap
from easpcap.tcp.assembler import Assembler, TcpConnection, TcpFact
from tests.support.batches import CLIENT, MILLISECOND, SERVER, Packet, Script, batch

SECOND = 1000 * MILLISECOND


def script(**changes) -> Script:
    return Script(**changes).handshake()


# ---------------------------------------------------------------------- opening


def test_a_complete_connection_is_delivered_in_order(read):
    talk = script().send(0, b"GET").send(0, b" /").send(1, b"200 ").send(1, b"OK").fin(0).fin(1).put(0)
    (events,) = read(talk.packets).values()
    assert [event if type(event) is not tuple else event[:4] for event in events.story] == [
        ("tcp-open", TO_SERVER, 0, 1),
        Data(TO_SERVER, 0, b"GET /"),
        Data(TO_CLIENT, 0, b"200 OK"),
        ("fin", TO_SERVER, 5, 8),
        End(TO_SERVER, 5, "fin"),
        ("fin", TO_CLIENT, 6, 9),
        End(TO_CLIENT, 6, "fin"),
    ]
    connection = events.connection
    assert (str(connection.client), str(connection.server)) == ("10.0.0.1:50000", "10.0.0.2:443")
    assert (connection.roles_known_by, connection.closed_by, connection.packets) == ("syn", "client-fin", 10)
    assert (connection.payload_bytes, connection.gaps, connection.acked) == ([5, 6], [0, 0], [5, 6])
    assert (connection.first.frame, connection.last.frame) == (1, 10)
    assert not connection.truncated


def test_each_byte_is_located_in_the_packet_that_delivered_it(read):
    talk = script().send(0, b"abc").send(1, b"12").send(0, b"de").put(1).send(0, b"f")
    (events,) = read(talk.packets, sizes=[6]).values()
    found = [events.connection.locate(TO_SERVER, offset) for offset in range(6)]
    assert [position.frame for position in found] == [4, 4, 4, 6, 6, 8]
    assert [position.acked for position in found] == [0, 0, 0, 2, 2, 2]
    assert [position.time_ns for position in found] == [frame * MILLISECOND for frame in (4, 4, 4, 6, 6, 8)]
    assert events.connection.locate(TO_SERVER, 99).frame == 8
    assert events.connection.locate(TO_CLIENT, 0).acked == 3


def test_pruned_offsets_give_the_oldest_position_kept(read):
    talk = script().send(0, b"ab").send(1, b"1").send(0, b"cd").send(1, b"2").send(0, b"ef")
    (events,) = read(talk.packets).values()
    events.connection.prune(TO_SERVER, 3)
    assert [events.connection.locate(TO_SERVER, offset).frame for offset in (0, 2, 3, 5)] == [6, 6, 6, 8]


def test_a_connection_without_bytes_places_everything_at_its_first_packet(read):
    (events,) = read(script().packets).values()
    assert events.connection.locate(TO_SERVER, 7) == events.connection.first


def test_the_opening_comes_before_the_data_also_where_only_the_client_was_captured(read):
    talk = Script().put(0, SYN, seq=1000, ack=0)
    talk.put(0, ACK, b"GET", seq=1001, ack=70_001)
    (events,) = read(talk.packets).values()
    first, second, *_ = events.story
    assert first[0] == "tcp-open"
    assert second == Data(TO_SERVER, 0, b"GET")


def test_data_on_the_syn_begins_the_stream(read):
    talk = Script()
    talk.put(0, SYN, b"fast", seq=1000, ack=0)
    talk.put(1, SYN | ACK, seq=70_000, ack=1005)
    talk.next[0] += 4
    (events,) = read(talk.send(0, b" open").packets).values()
    assert bytes(events.data[0]) == b"fast open"
    assert events.facts() == ["tcp-open"]


def test_a_start_in_mid_connection_counts_from_the_first_packet_of_each_side(read):
    talk = Script().send(1, b"late").send(0, b"question").send(1, b"answer")
    (events,) = read(talk.packets).values()
    assert (bytes(events.data[0]), bytes(events.data[1])) == (b"question", b"lateanswer")
    assert (events.connection.roles_known_by, events.connection.handshake_seen) == ("port", False)
    assert str(events.connection.client) == "10.0.0.1:50000"
    assert events.facts() == []


@pytest.mark.parametrize(
    ("first", "second", "client", "how"),
    [
        (443, 1500, 1500, "port"),
        (8443, 50_000, 50_000, "port"),
        (9999, 40_000, 40_000, "port"),
        (2000, 3000, 2000, "first-packet"),
        (50_000, 60_000, 50_000, "first-packet"),
    ],
)
def test_without_a_syn_the_ports_decide_which_end_is_the_client(read, first, second, client, how):
    packet = Packet(("10.0.0.1", first), ("10.0.0.2", second), payload=b"x")
    (events,) = read([packet]).values()
    assert (events.connection.client.port, events.connection.roles_known_by) == (client, how)


def test_a_syn_ack_alone_shows_the_server_and_where_both_streams_begin(read):
    talk = script(client=("10.0.0.1", 80), server=("10.0.0.2", 50_000))
    talk.send(0, b"lost").send(0, b"kept").put(1)
    (events,) = read([packet for number, packet in enumerate(talk.packets) if number not in (0, 2, 3)]).values()
    assert (events.connection.server.port, events.connection.roles_known_by) == (50_000, "syn-ack")
    assert events.gaps[0] == [(0, 4)]
    assert bytes(events.data[0]) == b"kept"


def test_ipv6_addresses_are_written_in_canonical_form(read):
    talk = script(client=("2001:db8:0:0:0:0:0:1", 50_000), server=("fe80::2", 443)).send(0, b"six")
    other = script().send(0, b"four")
    events = read([*talk.packets, *other.packets])
    assert str(events[0].connection.client) == "[2001:db8::1]:50000"
    assert [bytes(events[number].data[0]) for number in (0, 1)] == [b"six", b"four"]


def test_connections_are_numbered_by_their_first_packets(read):
    talks = [script(client=("10.0.0.1", port)).send(0, str(port).encode()) for port in (50_009, 50_001, 50_005)]
    mixed = [packet for turn in zip(*(talk.packets for talk in talks), strict=True) for packet in turn]
    events = read(mixed, sizes=[2, 5])
    assert [bytes(events[number].data[0]) for number in range(3)] == [b"50009", b"50001", b"50005"]


# ---------------------------------------------------------------------- order


def test_sequence_numbers_may_wrap(read):
    talk = script(isn=(2**32 - 4, 2**32 - 2))
    for piece in (b"abc", b"def", b"ghi"):
        talk.send(0, piece).send(1, piece.upper())
    (events,) = read(talk.packets).values()
    assert (bytes(events.data[0]), bytes(events.data[1])) == (b"abcdefghi", b"ABCDEFGHI")
    assert events.connection.acked == [9, 6]


def test_offsets_go_on_beyond_four_gigabytes(columnar):
    talk, assembler, big = script(), Assembler(columnar=columnar), 2**28
    for _ in range(17):
        talk.send(0, b"x", beyond=big - 1).put(1)
    list(assembler.feed(batch(talk.packets)))
    talk.packets = []
    talk.send(0, b"small").put(1).send(0, b"pieces").put(1)
    events = list(assembler.feed(batch(talk.packets)))
    offset = 17 * big
    assert offset > 2**32
    connection, first = events[0]
    assert (first.offset, first.data[:5]) == (offset, b"small")
    assert connection.acked[0] == offset + 11
    assert connection.locate(0, offset + 5).frame == connection.locate(0, 2**40).frame == 3


def test_a_response_captured_before_its_request_is_delivered_after_it(read):
    talk = script().send(0, b"question").send(1, b"answer")
    packets = talk.packets
    packets[3], packets[4] = packets[4], packets[3]
    (events,) = read(packets).values()
    assert events.story[1:3] == [Data(TO_SERVER, 0, b"question"), Data(TO_CLIENT, 0, b"answer")]
    assert events.connection.locate(TO_CLIENT, 0).frame == 4


def test_segments_later_than_their_acknowledgement_fill_the_gap(read):
    talk = script().send(0, b"one").send(0, b"two").put(1).send(0, b"three").put(1).send(0, b"four")
    packets = talk.packets
    packets.insert(8, packets.pop(3))
    (events,) = read(packets).values()
    assert (bytes(events.data[0]), events.gaps[0]) == (b"onetwothreefour", [])


def test_directions_that_wait_for_each_other_are_both_delivered(read):
    packets = script().packets
    client, server = packets[-1].seq, packets[-1].ack
    packets.append(Packet(CLIENT, SERVER, client, server + 5, payload=b"12345"))
    packets.append(Packet(SERVER, CLIENT, server, client + 5, payload=b"abcde"))
    (events,) = read(packets).values()
    assert events.story[1:3] == [Data(TO_SERVER, 0, b"12345"), Data(TO_CLIENT, 0, b"abcde")]


def test_an_acknowledgement_of_bytes_never_sent_holds_a_segment_back_only_for_a_while(columnar):
    talk, assembler = script(), Assembler(columnar=columnar)
    talk.send(0, b"held", ack=talk.next[1] + 10_000)
    for _ in range(limits.GAP_PATIENCE_PACKETS):
        talk.put(1, ack=talk.next[1])
    events = [event for _, event in assembler.feed(batch(talk.packets))]
    assert Data(TO_SERVER, 0, b"held") in events


# ---------------------------------------------------------------------- loss


def test_a_gap_is_declared_when_it_was_acknowledged_long_enough_ago(columnar):
    talk, assembler = script().send(0, b"lost!").send(0, b"kept"), Assembler(columnar=columnar)
    del talk.packets[3]
    for _ in range(limits.GAP_PATIENCE_PACKETS):
        talk.put(1)
    before = [event for _, event in assembler.feed(batch(talk.packets))]
    after = [event for _, event in assembler.feed(batch(talk.put(1).packets[-1:]))]
    assert not [event for event in before if type(event) is Gap]
    assert after == [Gap(TO_SERVER, 0, 5, 5), Data(TO_SERVER, 5, b"kept")]


def test_an_unacknowledged_gap_is_declared_only_at_the_end(read):
    talk = script().send(0, b"lost!").send(0, b"kept")
    del talk.packets[3]
    for _ in range(3 * limits.GAP_PATIENCE_PACKETS):
        talk.put(1, ack=1001)
    (events,) = read(talk.packets).values()
    assert events.story[1:] == [
        Gap(TO_SERVER, 0, 5, 5),
        Data(TO_SERVER, 5, b"kept"),
        End(TO_SERVER, 9, "capture-end"),
        End(TO_CLIENT, 0, "capture-end"),
    ]
    assert events.connection.gaps == [5, 0]


def test_bytes_acknowledged_but_never_seen_are_a_gap_at_the_end(read):
    talk = script().send(0, b"seen").send(0, b"unseen").put(1)
    del talk.packets[4]
    (events,) = read(talk.packets).values()
    assert events.gaps[0] == [(4, 6)]


def test_a_direction_never_seen_has_no_gap(read):
    talk = Script().send(0, b"one").send(1, b"never captured").send(0, b"two").put(0)
    (events,) = read([packet for packet in talk.packets if packet.src == CLIENT]).values()
    assert bytes(events.data[0]) == b"onetwo"
    assert (events.connection.gaps, events.connection.seen) == ([0, 0], [True, False])


def test_waiting_bytes_are_bounded(columnar, monkeypatch):
    monkeypatch.setattr("easpcap.tcp.direction.MAX_OUT_OF_ORDER_BYTES", 100)
    talk, assembler = script().send(0, b"lost"), Assembler(columnar=columnar)
    del talk.packets[3]
    for _ in range(11):
        talk.send(0, b"0123456789")
    events = [event for _, event in assembler.feed(batch(talk.packets))]
    assert events[1] == Gap(TO_SERVER, 0, 4, 4)
    assert b"".join(event.data for event in events[2:]) == b"0123456789" * 11


def test_bytes_after_their_gap_are_an_anomaly(columnar):
    talk, assembler = script().send(0, b"lost!").send(0, b"kept"), Assembler(columnar=columnar)
    late = talk.packets.pop(3)
    for _ in range(limits.GAP_PATIENCE_PACKETS + 1):
        talk.put(1)
    events = list(assembler.feed(batch([*talk.packets, late])))
    connection = events[-1][0]
    assert [anomaly[:3] for anomaly in connection.anomalies] == [("tcp-late-bytes", TO_SERVER, 0)]
    assert connection.payload_bytes == [4, 0]


def test_the_first_copy_of_a_byte_is_used_and_a_different_copy_is_an_anomaly(read):
    talk = script().send(0, b"....").send(0, b"first")
    first = talk.packets.pop(3)
    again = talk.packets[-1]
    talk.put(0, ACK, b"FIRST", seq=again.seq)
    (events,) = read([*talk.packets, first]).values()
    assert bytes(events.data[0]) == b"....first"
    assert [anomaly[:3] for anomaly in events.connection.anomalies] == [("tcp-overlap-conflict", TO_SERVER, 4)]


def test_a_truncated_packet_yields_its_bytes_and_a_gap_at_once(columnar):
    assembler = Assembler(columnar=columnar)
    talk = script().send(0, b"head and tail", cut=9).send(0, b"next")
    events = list(assembler.feed(batch(talk.packets)))
    assert [event for _, event in events[1:]] == [
        Data(TO_SERVER, 0, b"head"),
        Gap(TO_SERVER, 4, 9, 9),
        Data(TO_SERVER, 13, b"next"),
    ]
    assert events[0][0].truncated


def test_bytes_delivered_by_a_retransmission_are_kept(read):
    talk = script().send(0, b"lost").send(0, b"whole").put(0, ACK, b"....", seq=1001, cut=2)
    talk.put(0, ACK, b"..whole", seq=1003)
    del talk.packets[3]
    (events,) = read(talk.packets).values()
    assert (bytes(events.data[0]), events.gaps[0]) == (b"..whole", [(2, 2)])


def test_keep_alives_deliver_no_byte_and_window_probes_deliver_one(read):
    talk = script().send(0, b"abc")
    talk.put(0, ACK, b"\0", seq=talk.next[0] - 1).put(0, ACK, b"", seq=talk.next[0] - 1)
    talk.put(1, ACK, window=0).send(0, b"d").put(1, ACK, window=500).send(0, b"e")
    (events,) = read(talk.packets).values()
    assert bytes(events.data[0]) == b"abcde"
    assert events.facts() == ["tcp-open", "zero-window", "window-open"]
    assert events.story[2][:4] == ("zero-window", TO_CLIENT, 0, 7)
    assert events.story[2][5] == 3
    assert events.connection.anomalies == []


def test_a_start_with_a_keep_alive_has_no_gap(read):
    talk = Script()
    talk.put(0, seq=talk.next[0] - 1).put(1).send(0, b"data").put(1)
    (events,) = read(talk.packets).values()
    assert (bytes(events.data[0]), events.gaps[0]) == (b"data", [])


def test_numbers_outside_every_window_are_ignored(read):
    talk = script().send(0, b"good")
    talk.put(0, ACK, b"bad", seq=talk.next[0] + 2**31 - 9).put(1, ack=talk.next[0] + 2**31 - 9)
    (events,) = read(talk.send(0, b" bytes").packets).values()
    assert bytes(events.data[0]) == b"good bytes"
    assert [anomaly.code for anomaly in events.connection.anomalies] == ["tcp-out-of-window"] * 2


# ---------------------------------------------------------------------- closing


def test_the_other_side_may_send_on_after_a_fin(read):
    talk = script().send(0, b"request").fin(0).send(1, b"late ").put(0).send(1, b"answer").fin(1)
    (events,) = read(talk.packets).values()
    assert bytes(events.data[1]) == b"late answer"
    assert events.ends == ["fin", "fin"]
    assert events.connection.closed_by == "client-fin"


def test_a_fin_waits_for_the_bytes_before_it(read):
    talk = script().send(0, b"first").fin(0, b"last").put(1)
    talk.packets.append(talk.packets.pop(3))
    (events,) = read(talk.packets).values()
    assert events.story[1] == Data(TO_SERVER, 0, b"firstlast")
    assert events.story[2][:4] == ("fin", TO_SERVER, 9, 4)


def test_data_after_a_fin_is_an_anomaly(read):
    talk = script().fin(0).send(0, b"ghost")
    (events,) = read(talk.packets).values()
    assert events.data[0] == b""
    assert [anomaly.code for anomaly in events.connection.anomalies] == ["tcp-data-after-close"]


def test_bytes_in_flight_to_the_sender_of_a_rst_are_delivered(read):
    talk = script().send(0, b"request").rst(0).send(1, b"too late")
    (events,) = read(talk.packets).values()
    assert bytes(events.data[1]) == b"too late"
    assert events.ends == ["rst", "reset-by-peer"]
    assert events.story[2][:4] == ("rst", TO_SERVER, 7, 5)
    assert events.connection.closed_by == "client-rst"


def test_a_rst_after_both_fins_does_not_change_who_closed(read):
    talk = script().fin(1).fin(0).rst(0)
    (events,) = read(talk.packets).values()
    assert events.connection.closed_by == "server-fin"
    assert events.facts() == ["tcp-open", "fin", "fin", "rst"]
    assert events.ends == ["fin", "fin"]


def test_the_other_direction_ends_some_time_after_a_rst(columnar):
    assembler = Assembler(columnar=columnar)
    talk = script().send(1, b"x").rst(0)
    elsewhere = Packet(("10.0.0.9", 1), ("10.0.0.8", 2), time_ns=60 * SECOND)
    first = [event for _, event in assembler.feed(batch(talk.packets))]
    later = [event for _, event in assembler.feed(batch([elsewhere]))]
    assert [event[0] for event in first[1:] if type(event) is TcpFact] == ["rst"]
    assert later == [End(TO_SERVER, 0, "rst"), End(TO_CLIENT, 1, "reset-by-peer")]


def test_a_refused_connection_may_succeed_at_a_second_attempt(read):
    syn = Packet(CLIENT, SERVER, 1000, 0, SYN)
    refusal = Packet(SERVER, CLIENT, 0, 1001, RST | ACK)
    (events,) = read([syn, refusal]).values()
    assert (events.ends, events.connection.closed_by) == (["reset-by-peer", "rst"], "server-rst")
    (events,) = read([syn, refusal, *script().send(0, b"in").send(1, b"welcome").packets]).values()
    assert (bytes(events.data[0]), bytes(events.data[1])) == (b"in", b"welcome")
    assert events.connection.closed_by == "open"


def test_a_different_syn_on_the_same_ports_is_another_connection(read):
    first, second = script().send(0, b"old").send(1, b"one"), script(isn=(5_000_000, 9)).send(0, b"new")
    events = read([*first.packets, first.packets[0], *second.packets, second.packets[0]])
    assert [bytes(events[number].data[0]) for number in (0, 1)] == [b"old", b"new"]
    assert events[0].connection.packets == 6
    assert events[0].ends == ["capture-end", "capture-end"]


def test_the_older_connection_ends_before_the_newer_one_begins(columnar):
    assembler = Assembler(columnar=columnar)
    packets = [*script().send(0, b"old").packets, *script(isn=(5_000_000, 9)).send(0, b"new").packets]
    events = [(connection.id, type(event)) for connection, event in assembler.feed(batch(packets))]
    assert [number for number, _ in events] == sorted(number for number, _ in events)
    assert events.count((0, End)) == 2


# ---------------------------------------------------------------------- limits


def test_a_flood_of_syns_is_only_counted(columnar, monkeypatch):
    monkeypatch.setattr("easpcap.tcp.table.MAX_LIVE_CONNECTIONS", 50)
    assembler = Assembler(columnar=columnar)
    talk = script(client=("10.9.9.9", 9)).send(0, b"real")
    syns = [Packet((f"10.1.{n >> 8}.{n & 255}", 40_000), SERVER, n, 0, SYN) for n in range(400)]
    events = [*assembler.feed(batch(talk.packets))]
    for start in range(0, 400, 100):
        events += assembler.feed(batch(syns[start : start + 100], first_frame=10 + start))
    assert {connection.id for connection, _ in events} == {0}
    assert assembler.unanswered > 300
    assert len(assembler.connections) <= 50 + 1
    assert sum(type(event) is End for _, event in events) == 2  # the real one was silent the longest


def test_anomalies_of_a_connection_are_bounded(read):
    talk = script().fin(0)
    for _ in range(3 * limits.MAX_CONNECTION_ANOMALIES):
        talk.send(0, b"ghost")
    (events,) = read(talk.packets).values()
    assert len(events.connection.anomalies) == limits.MAX_CONNECTION_ANOMALIES


def test_a_consumer_that_never_prunes_loses_the_oldest_positions(columnar, monkeypatch):
    monkeypatch.setattr("easpcap.tcp.positions.MAX_INDEX_ENTRIES", 20)
    talk = script()
    for _ in range(50):
        talk.send(0, b"x").send(1, b"y")
    events = dict(Assembler(columnar=columnar).feed(batch(talk.packets)))
    (connection,) = events
    assert connection.locate(0, 49).frame == 3 + 99
    assert connection.locate(0, 0).frame > 3 + 1


def test_the_columnar_path_joins_all_segments_that_follow_each_other():
    talk = script()
    for number in range(40):
        talk.send(0, b"request").send(1, b"a" * 50).send(1, b"b" * 50).put(0)
        if number == 20:
            talk.packets.append(talk.packets[-2])  # one retransmission
    talk.fin(0).fin(1).put(0)
    pieces = [event for _, event in Assembler().feed(batch(talk.packets)) if type(event) is Data]
    assert 80 <= len(pieces) <= 82


@pytest.mark.parametrize("sender", [0, 1])
def test_the_columnar_path_joins_the_segments_of_a_known_connection_in_the_next_batch(sender):
    assembler, talk = Assembler(), script().send(0, b"a").send(1, b"b")
    feed(assembler, talk.packets)
    for _ in range(3):
        talk.packets = []
        talk.send(sender, b"more").send(sender, b" and more").put(1 - sender)
        assert [event.data for _, event in feed(assembler, talk.packets)] == [b"more and more"]


def test_empty_batches_yield_no_events(columnar):
    assert list(Assembler(columnar=columnar).feed(batch([]))) == []
    assert list(Assembler(columnar=columnar).finish()) == []


# ---------------------------------------------------------------------- forgotten connections


def closed(port: int, isn: tuple[int, int] = (1000, 70_000)) -> Script:
    return script(client=("10.0.0.1", port), isn=isn).send(0, b"question").send(1, b"answer").fin(0).fin(1).put(0)


def feed(assembler: Assembler, packets: list[Packet]) -> list[Any]:
    return list(assembler.feed(batch(packets)))


def test_forgotten_connections_take_no_memory(columnar):
    def alive() -> int:
        gc.collect()
        return sum(isinstance(found, TcpConnection) for found in gc.get_objects())

    assembler, before = Assembler(columnar=columnar), alive()
    for port in range(1000, 1050):
        feed(assembler, closed(port).packets)[0][0].forget()
        assert assembler.connections == []
    assert alive() == before


def test_late_segments_of_a_forgotten_connection_are_no_new_connection(columnar):
    assembler, talk = Assembler(columnar=columnar), closed(1000)
    feed(assembler, talk.packets)[0][0].forget()
    late = Script(client=("10.0.0.1", 1000))
    late.next = [*talk.next]
    late.put(1, RST).put(0, ACK, b"late").put(0, SYN, seq=1000).fin(1)
    assert feed(assembler, late.packets) == []
    assert feed(assembler, late.packets[:1]) == []
    assert assembler.connections == []
    assert list(assembler.finish()) == []


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_the_ports_of_a_forgotten_connection_may_be_reused(columnar, in_one_batch):
    assembler, talk = Assembler(columnar=columnar), closed(1000)
    feed(assembler, talk.packets)[0][0].forget()
    packets = [talk.packets[-1], *closed(1000, isn=(999, 5)).packets]
    events = [feed(assembler, group) for group in ([packets] if in_one_batch else [packets[:1], packets[1:]])]
    assert {connection.id for group in events for connection, _ in group} == {1}
    assert b"".join(event.data for group in events for _, event in group if type(event) is Data) == b"questionanswer"


@pytest.mark.parametrize("flags", [SYN, ACK])
def test_a_side_first_seen_after_a_connection_was_forgotten_belongs_to_it(columnar, flags):
    assembler, talk = Assembler(columnar=columnar), closed(1000)
    server_only = [packet for packet in talk.packets if packet.src == SERVER]
    feed(assembler, server_only)
    assembler.connections[0].forget()
    late = Packet(("10.0.0.1", 1000), SERVER, 1000 if flags == SYN else 1001, 0, flags)
    again = Packet(("10.0.0.1", 1000), SERVER, 1000, 0, SYN)
    assert feed(assembler, [late, again]) == []
    assert feed(assembler, [again]) == []
    feed(assembler, [replace(again, seq=7)])
    assert [connection.id for connection in assembler.connections] == [1]


def test_the_ports_of_few_forgotten_connections_are_remembered(columnar, monkeypatch):
    monkeypatch.setattr("easpcap.tcp.table.MAX_CLOSED_FLOWS", 32)
    assembler = Assembler(columnar=columnar)
    for port in range(1000, 1100):
        feed(assembler, closed(port).packets)[0][0].forget()
    for port in (1099, 1080):
        feed(assembler, closed(port).packets[-1:])
    assert assembler.connections == []
    feed(assembler, closed(1001).packets[-1:])
    assert [connection.client.port for connection in assembler.connections] == [1001]


def test_a_connection_may_be_forgotten_while_it_is_open_and_more_than_once(columnar):
    assembler, talk = Assembler(columnar=columnar), script().send(0, b"abc")
    connection = feed(assembler, talk.packets)[0][0]
    connection.forget()
    connection.forget()
    talk.packets = []
    assert feed(assembler, talk.send(0, b"def").rst(1).packets) == []
    assert list(assembler.finish()) == []


def test_a_forgotten_connection_that_was_reset_yields_nothing_later(columnar):
    assembler = Assembler(columnar=columnar)
    feed(assembler, script().send(1, b"x").rst(0).packets)[0][0].forget()
    elsewhere = Packet(("10.0.0.9", 1), ("10.0.0.8", 2), time_ns=60 * SECOND)
    assert feed(assembler, [elsewhere]) == []


# ---------------------------------------------------------------------- numbers that must be exact


def test_separate_gaps_add_up(read):
    talk = script()
    for piece in (b"lost!", b"kept", b"gone", b"here"):
        talk.send(0, piece)
    talk.put(1)
    del talk.packets[5], talk.packets[3]
    (events,) = read(talk.packets).values()
    assert events.gaps[0] == [(0, 5), (9, 4)]
    assert events.connection.gaps == [9, 0]


@pytest.mark.parametrize(("beyond", "gaps"), [(1, []), (2, [(4, 2)])])
def test_an_acknowledgement_of_one_more_than_all_bytes_is_of_a_fin_that_was_not_captured(read, beyond, gaps):
    talk = script().send(0, b"seen")
    talk.put(1, ack=talk.next[0] + beyond)
    (events,) = read(talk.packets).values()
    assert events.gaps[0] == gaps
    assert events.connection.gaps == [sum(length for _, length in gaps), 0]


@pytest.mark.parametrize("sender", [0, 1])
def test_an_acknowledgement_out_of_the_window_is_noted_against_its_sender(read, sender):
    talk = script().send(0, b"request").send(1, b"answer!!")
    talk.put(sender, ack=talk.next[1 - sender] + 2**31 - 9)
    (events,) = read(talk.packets).values()
    ((code, direction, offset, detail),) = events.connection.anomalies
    assert (code, direction, offset) == ("tcp-out-of-window", sender, (7, 8)[sender])
    assert detail.startswith("acknowledgement number")


def test_above_the_limit_the_connection_silent_longest_is_closed_and_not_the_oldest(columnar, monkeypatch):
    monkeypatch.setattr("easpcap.tcp.table.MAX_LIVE_CONNECTIONS", 3)
    assembler = Assembler(columnar=columnar)
    talks = [script(client=("10.0.0.1", 1000 + number)).send(0, b"x") for number in range(4)]
    frame, ended = 1, []
    for number in (0, 1, 2, 0, 3):  # the oldest speaks again before the fourth opens
        packets = talks[number].packets if frame == 1 or number else talks[0].send(0, b"y").packets[-1:]
        ended += [
            (connection.id, event.cause)
            for connection, event in assembler.feed(batch(packets, first_frame=frame))
            if type(event) is End
        ]
        frame += len(packets)
    assert ended == [(1, "capture-end")] * 2


def test_bytes_after_a_reset_of_the_same_sender_are_dropped(read):
    talk = script().send(0, b"request").rst(0).send(0, b"ghost")
    (events,) = read(talk.packets).values()
    assert bytes(events.data[0]) == b"request"
    assert [anomaly[:3] for anomaly in events.connection.anomalies] == [("tcp-data-after-close", TO_SERVER, 7)]


@pytest.mark.parametrize("number", [999, 1001, 5, 2**32 - 1])
@pytest.mark.parametrize("sizes", [[], [4], [5]])
def test_a_syn_with_any_other_number_is_another_connection(read, number, sizes):
    packets = [*script().send(0, b"old").packets, *script(isn=(number, 9)).send(0, b"new").packets]
    events = read(packets, sizes=sizes)
    assert [bytes(events[number].data[0]) for number in sorted(events)] == [b"old", b"new"]


@pytest.mark.parametrize("sizes", [[], [1], [2], [3]])
def test_a_syn_that_is_captured_after_the_data_it_opens_is_no_other_connection(read, sizes):
    opening = script().packets
    talk = Script().send(0, b"data").send(0, b"more")
    events = read([*talk.packets[:1], opening[0], talk.packets[1], opening[1]], sizes=sizes)
    assert list(events) == [0]
    assert bytes(events[0].data[0]) == b"datamore"


@pytest.mark.parametrize("sizes", [[], [4], [5], [6], [7]])
def test_a_zero_window_is_noted_wherever_a_batch_ends(read, sizes):
    talk = script().send(0, b"abc")
    talk.put(1, window=0).put(1, window=0).put(1, window=9).send(0, b"d")
    (events,) = read(talk.packets, sizes=sizes).values()
    assert [event[:4] for event in events.story if type(event) is tuple] == [
        ("tcp-open", TO_SERVER, 0, 1),
        ("zero-window", TO_CLIENT, 0, 5),
        ("window-open", TO_CLIENT, 0, 7),
    ]


def test_a_zero_window_on_a_segment_with_payload_is_noted(read):
    talk = script().send(0, b"abc", window=0).send(0, b"def")
    (events,) = read(talk.packets).values()
    assert events.facts() == ["tcp-open", "zero-window", "window-open"]
    assert bytes(events.data[0]) == b"abcdef"


def test_a_reset_connection_may_deliver_for_some_seconds(columnar):
    assembler, talk = Assembler(columnar=columnar), script().send(1, b"x").rst(0)
    feed(assembler, talk.packets)
    elsewhere = Packet(("10.0.0.9", 1), ("10.0.0.8", 2), time_ns=9 * SECOND)
    assert feed(assembler, [elsewhere]) == []
    talk.packets = []
    events = feed(assembler, talk.send(1, b"y", time_ns=9 * SECOND).packets)
    assert [event for _, event in events] == [Data(TO_CLIENT, 1, b"y")]
    events = feed(assembler, [replace(elsewhere, time_ns=60 * SECOND)])
    assert [event for _, event in events] == [End(TO_SERVER, 0, "rst"), End(TO_CLIENT, 2, "reset-by-peer")]


def test_an_acknowledgement_of_bytes_before_the_capture_is_of_offset_0(read):
    talk = Script().send(1, b"late")
    talk.send(0, b"a", ack=talk.next[1] - 20).send(0, b"b", ack=talk.next[1] - 20)
    (events,) = read(talk.packets).values()
    assert [events.connection.locate(0, offset).acked for offset in (0, 1)] == [0, 0]


def test_no_more_is_acknowledged_than_was_sent_before_a_reset(read):
    talk = script().send(0, b"abc")
    fin_that_was_not_captured = talk.next[0] + 1
    talk.put(1, ack=fin_that_was_not_captured).put(0, RST, seq=fin_that_was_not_captured)
    (events,) = read(talk.packets).values()
    assert (events.connection.acked, events.gaps[0]) == ([3, 0], [])


def test_a_fin_before_bytes_that_were_delivered_does_not_end_the_direction(read):
    talk = script().send(0, b"abcdef").put(0, FIN | ACK, seq=1003).send(0, b"ghi")
    (events,) = read(talk.packets).values()
    assert bytes(events.data[0]) == b"abcdefghi"
    assert "fin" not in events.facts()


def test_late_bytes_of_the_first_of_two_neighbouring_gaps_are_noted(read):
    talk = script().send(0, b"abcdef", cut=6).send(0, b"ghijkl", cut=6).put(0, ACK, b"abcdef", seq=1001)
    (events,) = read(talk.packets).values()
    assert [anomaly[:3] for anomaly in events.connection.anomalies] == [("tcp-late-bytes", TO_SERVER, 0)]


def test_an_older_acknowledgement_in_the_next_batch_does_not_lower_the_acknowledged_offset(read):
    talk = script().send(0, b"abc").put(1).put(1, ack=1001)
    (events,) = read(talk.packets, sizes=[5]).values()
    assert events.connection.acked == [3, 0]
