"""When a connection is closed, and what its result holds then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from easpcap.batch import ACK, SYN
from easpcap.limits import ENDED_LINGER_NS
from easpcap.pipeline import Analyzer, analyzer, judge
from easpcap.tcp import table
from easpcap.tls.secrets.keyring import KeyRing
from tests.support.batches import Packet, Script, batch

CLIENT, SERVER = 0, 1


def exchange(port=50_000):
    """A connection with one request and one response that both sides close."""
    script = Script(client=("10.0.0.1", port)).handshake().send(CLIENT, b"GET / HTTP/1.1\r\n\r\n")
    script.send(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    return script.fin(SERVER).fin(CLIENT)


def at(packets, time_ns):
    return [replace(packet, time_ns=time_ns) for packet in packets]


SYN_OF_ANOTHER = Packet(("10.0.0.9", 40_000), ("10.0.0.2", 80), 1, 0, SYN)


@pytest.mark.parametrize(("after", "is_closed"), [(ENDED_LINGER_NS, False), (ENDED_LINGER_NS + 1, True)])
def test_a_connection_is_closed_once_the_capture_is_past_its_linger(after, is_closed):
    reader = Analyzer(KeyRing())
    assert reader.feed(batch(at(exchange().packets, 5))) == []
    closed = reader.feed(batch([replace(SYN_OF_ANOTHER, time_ns=5 + after)], first_frame=100))
    assert [one.client.port for one in closed] == [50_000] * is_closed


def test_a_reset_that_follows_both_ends_belongs_to_the_result():
    script = exchange()
    reader = Analyzer(KeyRing())
    assert reader.feed(batch(at(script.packets, 5))) == []
    late = Script()
    late.next = script.next
    assert reader.feed(batch(at(late.rst(CLIENT).packets, 6), first_frame=100)) == []
    [connection] = reader.finish().connections
    assert [fact.kind for fact in connection.facts][-1] == "rst"
    assert connection.last.frame == 100


def test_above_the_limit_the_connections_that_ended_first_are_closed_at_once(monkeypatch):
    monkeypatch.setattr(analyzer, "MAX_ENDED_CONNECTIONS", 2)
    packets = [packet for port in range(50_000, 50_004) for packet in exchange(port).packets]
    closed = Analyzer(KeyRing()).feed(batch(at(packets, 5)))
    assert [one.client.port for one in closed] == [50_000, 50_001]


def test_only_the_newly_closed_connections_are_returned(monkeypatch):
    monkeypatch.setattr(analyzer, "MAX_ENDED_CONNECTIONS", 0)
    reader = Analyzer(KeyRing())
    closed = [reader.feed(batch(at(exchange(port).packets, 5), first_frame=port)) for port in (50_000, 50_100)]
    assert [[one.client.port for one in each] for each in closed] == [[50_000], [50_100]]
    assert len(reader.finish().connections) == 2


def test_an_open_connection_ends_with_the_capture_and_a_closed_one_does_not():
    reader = Analyzer(KeyRing())
    reader.feed(batch([*exchange().packets, *Script(client=("10.0.0.1", 50_001)).handshake().packets]))
    closed, still_open = reader.finish().connections
    assert (closed.closed_by, still_open.closed_by) == ("server-fin", "open")
    assert "capture-end" not in {fact.kind for fact in closed.facts}
    assert [fact.kind for fact in still_open.facts][-1] == "capture-end"


def test_a_batch_without_packets_closes_nothing():
    assert Analyzer(KeyRing()).feed(batch([])) == []


def test_unanswered_connections_dropped_for_lack_of_room_still_count_in_the_numbering(monkeypatch):
    monkeypatch.setattr(table, "MAX_LIVE_CONNECTIONS", 1)
    syns = [Packet(("10.0.0.9", port), ("10.0.0.2", 80), 1, 0, SYN) for port in (1000, 1001, 1002)]
    reader = Analyzer(KeyRing())
    reader.feed(batch([*syns, *exchange().packets]))
    [connection] = judge(reader.finish()).connections
    assert connection.id == 3


def test_a_second_connection_on_the_same_ports_has_its_own_data():
    first, second = exchange(), Script(isn=(900_000, 800_000)).handshake()
    second.send(CLIENT, b"GET /again HTTP/1.1\r\n\r\n").put(SERVER, ACK)
    reader = Analyzer(KeyRing())
    reader.feed(batch([*first.packets, *second.packets]))
    analysis = judge(reader.finish())
    assert [(e.connection, e.request.target, e.outcome) for e in analysis.exchanges] == [
        (0, "/", "completed"),
        (1, "/again", "open"),
    ]
