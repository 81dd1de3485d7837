"""TLS after clear text, from packets to results: the same results as for TLS alone, at the right frames."""

from __future__ import annotations

import random
import struct
from functools import cache
from itertools import pairwise

import pytest

from easpcap.batch import ACK, SYN
from easpcap.facts import TlsBegin
from easpcap.pipeline import Analyzer, judge
from easpcap.report.timeline import timeline_rows
from easpcap.tls.secrets.keyring import KeyRing
from tests.pipeline.captures import CAPTURES, PACKET_HEADER, packets_of
from tests.pipeline.captures import read as analysis_of
from tests.support.batches import Script, batch
from tests.support.packets import PSH
from tests.support.prologues import AGREED, C, S
from tests.support.tls_peer import SMALL_SCRIPT, TlsPeer, record_session, server_private_key

every_protocol = pytest.mark.parametrize("name", AGREED)


@cache
def recording():
    return record_session()


def segments(story, step=None):
    for direction, data in story:
        for at in range(0, len(data), step or len(data)):
            yield direction, data[at : at + (step or len(data))]


def packets(story, step=None):
    script = Script().handshake()
    for direction, data in segments(story, step):
        script.send(direction, data)
    return script.fin(C).fin(S).put(C).packets


def analyse(packets, *, key=True, columnar=True):
    keyring = KeyRing()
    if key:
        keyring.add_private_key(server_private_key(), 0)
    analyzer = Analyzer(keyring, digest=True, columnar=columnar)
    analyzer.feed(batch(packets))
    return judge(analyzer.finish())


def only(analysis):
    (connection,) = analysis.connections
    return connection


def frame_of(packets, data):
    """The frame that brings these bytes as its whole payload."""
    return next(number for number, packet in enumerate(packets, 1) if packet.payload == data)


def facts(connection, kind):
    return [fact for fact in connection.facts if fact.kind == kind]


def message(exchange):
    return exchange.request.method, exchange.request.target, exchange.response.status, exchange.outcome


# ---------------------------------------------------------------------- found


@every_protocol
@pytest.mark.parametrize("columnar", [True, False])
def test_plaintext_of_tls_is_read_and_cited(name, columnar):
    wire = packets([*AGREED[name], *recording().flights])
    connection = only(analyse(wire, columnar=columnar))
    assert connection.decryption.status == "decrypted"
    assert [size for size, _ in connection.digest] == [len(data) for data in recording().plaintext]
    (begin,) = facts(connection, "tls-begin")
    assert begin.what == TlsBegin("" if name == "clear text" else name)
    assert begin.position.frame == frame_of(wire, recording().flights[0][1])
    inner = connection.exchanges[-1]
    assert message(inner) == ("POST", "/Microsoft-Server-ActiveSync?Cmd=Ping", 200, "completed")
    flights = [data for _, data in recording().flights]
    assert inner.request.first.frame == frame_of(wire, flights[-5])
    assert inner.request.last.frame == frame_of(wire, flights[-4])
    assert inner.response.first.frame == frame_of(wire, flights[-3])


@every_protocol
def test_single_bytes_give_the_same_result_as_whole_flights(name):
    story = [*AGREED[name], *recording().flights]
    whole, single = only(analyse(packets(story))), only(analyse(packets(story, 1)))
    assert single.digest == whole.digest
    assert [fact.what for fact in single.facts] == [fact.what for fact in whole.facts]
    assert [message(e) for e in single.exchanges] == [message(e) for e in whole.exchanges]
    assert not analyse(packets(story, 1)).anomalies


@pytest.mark.parametrize("seed", range(8))
def test_random_pieces_give_the_same_result_as_whole_flights(seed):
    chance = random.Random(seed)
    story = [*AGREED[chance.choice(list(AGREED))], *recording().flights]
    cut = [(to, data[a:b]) for to, data in story for a, b in pieces(chance, len(data))]
    assert only(analyse(packets(cut))).digest == only(analyse(packets(story))).digest


def pieces(chance, size):
    marks = sorted({0, size, *(chance.randrange(size) for _ in range(chance.randrange(6)))})
    return pairwise(marks)


def test_the_timeline_shows_where_tls_begins():
    rows = list(timeline_rows(analyse(packets([*AGREED["SMTP STARTTLS"], *recording().flights]))))
    events = [row["event"] for row in rows]
    assert events[:4] == ["tcp-open", "tls-begin", "client-hello", "server-hello"]
    assert rows[1]["detail"] == "TLS begins after SMTP STARTTLS"
    assert rows[1]["direction"] == "to_server"


def test_without_a_key_the_connection_says_why_it_is_closed():
    connection = only(analyse(packets([*AGREED["IMAP STARTTLS"], *recording().flights]), key=False))
    assert (connection.decryption.status, connection.decryption.reason) == ("opaque", "no-key")
    begin = facts(connection, "tls-begin")[0].position.frame
    assert all(run.first.frame > begin for run in connection.record_runs)


def test_a_session_begun_after_clear_text_can_be_resumed_from_the_first_byte():
    peer = TlsPeer(tickets=False)
    first, second = peer.record(SMALL_SCRIPT), peer.record(SMALL_SCRIPT, resume=True)
    assert second.resumed
    again = Script(client=("10.0.0.1", 50001)).handshake()
    for direction, data in second.flights:
        again.send(direction, data)
    analysis = analyse([*packets([*AGREED["POP3 STLS"], *first.flights]), *again.packets])
    assert [c.decryption.status for c in analysis.connections] == ["decrypted", "decrypted"]
    assert analysis.connections[1].tls.resumed == "session-id"


# ---------------------------------------------------------------------- HTTP outside and inside


def test_a_tunnel_has_an_exchange_outside_and_those_inside():
    wire = packets([*AGREED["HTTP CONNECT"], *recording().flights])
    analysis = analyse(wire)
    outer, inner = analysis.exchanges
    assert message(outer) == ("CONNECT", "mail.example.test:443", 200, "completed")
    assert [(e.id, e.index, e.connection) for e in (outer, inner)] == [(0, 0, 0), (1, 1, 0)]
    assert (outer.request.first.frame, outer.request.last.frame) == (4, 4)
    assert (outer.response.first.frame, outer.response.last.frame) == (5, 5)
    assert list(analysis.commands) == [1]


DENIED = [
    (C, b"CONNECT mail.example.test:443 HTTP/1.1\r\n\r\n"),
    (S, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 5\r\n\r\nwho??"),
]


def test_the_second_connect_may_be_the_one_that_succeeds():
    analysis = analyse(packets([*DENIED, *AGREED["HTTP CONNECT"], *recording().flights]))
    assert [message(e)[2] for e in analysis.exchanges] == [407, 200, 200]
    assert [e.index for e in analysis.exchanges] == [0, 1, 2]
    assert only(analysis).decryption.status == "decrypted"


def test_after_a_refused_connect_everything_is_http():
    connection = only(analyse(packets([*DENIED, *recording().flights])))
    assert connection.decryption.status == "plaintext"
    assert connection.tls is None


def test_tls_is_found_in_a_tunnel_whose_response_is_not_in_the_capture():
    wire = packets([*AGREED["HTTP CONNECT"], *recording().flights])
    analysis = analyse([packet for number, packet in enumerate(wire) if number != 4])
    assert only(analysis).decryption.status == "decrypted"
    outer, inner = analysis.exchanges
    assert (outer.request.method, outer.response, outer.outcome) == ("CONNECT", None, "interrupted")
    assert message(inner)[2:] == (200, "completed")


def test_an_uploaded_handshake_is_only_a_body():
    hello, answer = recording().flights[0][1], recording().flights[1][1]
    head = b"POST /capture HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (3 * len(hello))
    story = [
        (C, head),
        (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (C, hello),
        (C, hello),
        (C, hello),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer)),
        (S, answer),
        (C, b"GET / HTTP/1.1\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]
    for step in (None, 1):
        analysis = analyse(packets(story, step))
        connection = only(analysis)
        assert (connection.decryption.status, connection.tls) == ("plaintext", None)
        assert [e.request.body_bytes for e in analysis.exchanges] == [3 * len(hello), 0]
        assert [size for size, _ in connection.digest] == [sum(len(d) for to, d in story if to == t) for t in (C, S)]
        assert not facts(connection, "tls-begin")


def test_a_client_that_asks_for_tls_and_continues_in_clear_text_is_plaintext():
    story = [*AGREED["SMTP STARTTLS"], (C, b"MAIL FROM:<a@b>\r\n"), (S, b"250 OK\r\n")]
    assert only(analyse(packets(story))).decryption.status == "plaintext"


# ---------------------------------------------------------------------- not all captured


def test_lost_clear_text_does_not_hide_tls():
    story = AGREED["SMTP STARTTLS"]
    wire = packets([*story, *recording().flights])
    for lost in range(3, 3 + len(story)):
        connection = only(analyse([packet for number, packet in enumerate(wire) if number != lost]))
        assert connection.decryption.status == "decrypted"
        assert sum(connection.gaps) == len(story[lost - 3][1])
        assert message(connection.exchanges[-1])[2:] == (200, "completed")


def test_a_gap_in_tls_after_clear_text_is_bridged():
    body = [(C, bytes([number]) * 1000) for number in range(20)]
    head = (C, b"POST / HTTP/1.1\r\nContent-Length: 20000\r\n\r\n")
    flights = record_session(script=[head, *body, (S, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]).flights
    wire = packets([*AGREED["SMTP STARTTLS"], *flights])
    lost = frame_of(wire, flights[-10][1]) - 1
    connection = only(analyse([packet for number, packet in enumerate(wire) if number != lost]))
    assert (connection.decryption.status, connection.decryption.reason) == ("partial", "gap")
    (exchange,) = connection.exchanges
    assert (exchange.request.body_bytes, exchange.request.missing) == (19000, 1000)
    assert exchange.response.status == 200


@pytest.mark.parametrize("captured", [C, S])
def test_with_one_direction_missing_no_statement_is_wrong(captured):
    wire = packets([*AGREED["SMTP STARTTLS"], *recording().flights])
    server = wire[1].src
    connection = only(analyse([p for p in wire if (p.src == server) == (captured == S)]))
    assert connection.decryption.status in ("opaque", "plaintext")
    if captured == C:
        assert connection.decryption.reason == "one-direction-missing"


# ---------------------------------------------------------------------- a proxy before what was captured


def tunnelled(path):
    """The capture as the client of a proxy would have made it, with a CONNECT; and where each frame is now."""
    header, frames = packets_of(path)
    said = [data for _, data in AGREED["HTTP CONNECT"]]
    ports, isn, opened, out, place = {}, {}, set(), [], {}
    for number, frame in enumerate(frames, 1):
        packet = bytearray(frame)
        at = PACKET_HEADER + 14 + 20
        source, target, seq, ack, _, flags = struct.unpack_from(">HHIIBB", packet, at)
        pair = frozenset((source, target))
        if flags & SYN and not flags & ACK:
            ports[pair] = source
        sender = C if ports[pair] == source else S
        if flags & SYN:
            isn[pair, sender] = seq
        elif pair not in opened:
            opened.add(pair)
            for way, data in enumerate(said):
                out.append(opening(packet, isn, pair, way, said, data))
        if not flags & SYN:
            struct.pack_into(">I", packet, at + 4, (seq + len(said[sender])) % 2**32)
            struct.pack_into(">I", packet, at + 8, (ack + len(said[1 - sender])) % 2**32)
        out.append(bytes(packet))
        place[number] = len(out)
    return header + b"".join(out), place


def opening(like, isn, pair, way, said, data):
    """A packet that carries a piece of the clear text; ``like`` is the client's first one behind the SYN."""
    at = PACKET_HEADER + 14
    ip, ports = like[at : at + 20], like[at + 20 : at + 24]
    if way == S:
        ip[12:20], ports = ip[16:20] + ip[12:16], ports[2:] + ports[:2]
    struct.pack_into(">H", ip, 2, 40 + len(data))
    seq, ack = isn[pair, way] + 1, isn[pair, 1 - way] + 1 + (len(said[C]) if way == S else 0)
    tcp = ports + struct.pack(">IIBBHHH", seq % 2**32, ack % 2**32, 0x50, PSH | ACK, 65535, 0, 0)
    body = bytes(like[PACKET_HEADER : PACKET_HEADER + 14] + ip + tcp) + data
    return bytes(like[:8]) + struct.pack("<II", len(body), len(body)) + body


@pytest.mark.parametrize("path", [path for path in CAPTURES if path.stem != "plain-http"], ids=lambda path: path.stem)
def test_a_proxy_before_them_changes_no_finding(path):
    plain = analysis_of(path)
    data, place = tunnelled(path)
    proxied = analysis_of(data)
    inner = [e for e in proxied.exchanges if e.request is None or e.request.method != "CONNECT"]
    assert len(proxied.exchanges) - len(inner) == len(plain.connections)

    def spots(exchanges, where):
        return [
            (
                e.index,
                e.outcome,
                *((where(m.first.frame), where(m.last.frame), m.body_bytes) for m in (e.request, e.response) if m),
            )
            for e in exchanges
        ]

    moved = [(index - 1, *rest) for index, *rest in spots(inner, lambda frame: frame)]
    assert moved == spots(plain.exchanges, place.get)
    assert [c.decryption.status for c in proxied.connections] == [c.decryption.status for c in plain.connections]
    assert [c.digest for c in proxied.connections] == [c.digest for c in plain.connections]
    assert [
        (r.position.frame, r.outcome, r.body_offset_sent, r.body_offset_acknowledged)
        for c in proxied.connections
        for r in c.tls.renegotiations
    ] == [
        (place[r.position.frame], r.outcome, r.body_offset_sent, r.body_offset_acknowledged)
        for c in plain.connections
        for r in c.tls.renegotiations
    ]
    assert [(f.rule, f.severity, [e.position.frame for e in f.evidence]) for f in proxied.findings] == [
        (f.rule, f.severity, [place[e.position.frame] for e in f.evidence]) for f in plain.findings
    ]
